"""Where the repository is, and which files belong to it."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dwarf"
_LEFT_BEHIND = {
    ".git",
    ".venv",
    ".dwarf",
    ".hypothesis",
    ".ipynb_checkpoints",
    "__pycache__",
    "_build",
    "build",
    "dist",
}


@cache
def files() -> tuple[Path, ...]:
    """Every file that git keeps or would keep; without git, every file but what tools leave behind."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
        paths = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for path in ROOT.rglob("*") if not _left_behind(path)]
    return tuple(sorted(path for path in paths if path.is_file()))


def _left_behind(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    caches = any(part in _LEFT_BEHIND or part.endswith(("_cache", ".egg-info")) for part in parts)
    return caches or ".db" in path.suffixes


def modules() -> list[Path]:
    """The Python files of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def relative(path: Path) -> str:
    """The path as it is written in the repository."""
    return path.relative_to(ROOT).as_posix()
