"""The documentation builds without a warning, and every public name has its place in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dwarf
import dwarf.errors
from tests.architecture.repository import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "-b", "html", "docs", str(folder)]
    done = subprocess.run(
        [*command, "-d", str(folder / ".doctrees")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_public_name_is_documented(built: Path) -> None:
    page = (built / "genindex.html").read_text(encoding="utf-8")
    names = {*dwarf.__all__, *dwarf.errors.__all__} - {"__version__"}
    missing = [name for name in names if f"#dwarf.{name}" not in page and f"#dwarf.errors.{name}" not in page]
    assert not missing


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_readme_links_to_files_that_exist() -> None:
    import re

    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
        assert targets
        assert [target for target in targets if not (ROOT / target).exists()] == []
