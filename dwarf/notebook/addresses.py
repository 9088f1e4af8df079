"""Where are a lab's flows kept? What its address means, and the folder of a database file."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["address_of", "prepare_folder", "without_password"]

_HOME = Path(".dwarf")


def address_of(url: str | os.PathLike[str] | None) -> tuple[str, str]:
    """What tells one lab from another, and the engine's URL for it."""
    text = os.fspath(_HOME / "flows.db") if url is None else os.fspath(url)
    if text == "memory":
        return text, "sqlite://"
    if "://" in text:
        return text, text
    path = Path(text).expanduser().resolve()
    return str(path), f"sqlite:///{path.as_posix()}"


def prepare_folder(place: str) -> None:
    """Make the folder of a database file; one of our own tells git to leave it alone."""
    if place == "memory" or "://" in place:
        return
    folder = Path(place).parent
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if folder.name == _HOME.name and not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def without_password(place: str) -> str:
    """The place as it may be shown: what a cell shows is saved with the notebook."""
    return re.sub(r"(://[^:/@]*):[^/]*@", r"\1:***@", place)
