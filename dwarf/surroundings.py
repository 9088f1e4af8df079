"""What is around a lab and a command: where its flows are kept, with which permissions, and who uses it."""

from __future__ import annotations

import getpass
import os
import re
from contextlib import suppress
from pathlib import Path

__all__ = ["LAB_FILE", "address_of", "make_private", "prepare_folder", "user_name", "without_password"]

_HOME = Path(".dwarf")
LAB_FILE = _HOME / "flows.db"
"""The database of a lab that is given no address."""

_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


def address_of(url: str | os.PathLike[str] | None) -> tuple[str, str]:
    """What tells one lab from another, and the engine's URL for it."""
    text = os.fspath(LAB_FILE) if url is None else os.fspath(url)
    if text == "memory":
        return text, "sqlite://"
    if "://" in text:
        return text, text
    path = Path(text).expanduser().resolve()
    return str(path), f"sqlite:///{path.as_posix()}"


def prepare_folder(place: str) -> None:
    """Make the folder of a database file; one of our own is private, and tells git to leave it alone."""
    if place == "memory" or "://" in place:
        return
    path = Path(place)
    folder = path.parent
    if folder.name != _HOME.name:
        folder.mkdir(parents=True, exist_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    path.touch(mode=_PRIVATE_FILE)  # what the database puts beside it gets the same mode
    make_private(place)


def make_private(place: str) -> None:
    """Let nobody but their owner read the files of a folder of our own: states, answers and keys are in them."""
    folder = Path(place).parent
    if "://" in place or folder.name != _HOME.name:
        return
    for path, mode in [(folder, _PRIVATE_FOLDER), *((each, _PRIVATE_FILE) for each in folder.iterdir())]:
        with suppress(OSError):  # another user's, or gone
            if path == folder or path.is_file():
                path.chmod(mode)


def without_password(text: str) -> str:
    """A text in which no URL shows its password: what a cell shows is saved, and what a command says is logged."""
    return re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", text)


def user_name() -> str:
    """Who uses this process, to be kept with answers: the name at a JupyterHub, else that of the account; or ""."""
    hub = os.environ.get("JUPYTERHUB_USER", "")
    if hub:
        return hub
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # an account without a name, as in many containers
        return ""
