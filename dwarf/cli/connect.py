"""From the options of a command to an engine, and from an error to an exit status."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from dwarf.errors import (
    ConfigError,
    DwarfError,
    EngineClosed,
    GraphError,
    InvalidRequest,
    NotFound,
    StateConflict,
    StateError,
    StorageError,
    WaitTimeout,
)
from dwarf.surroundings import LAB_FILE, prepare_folder, without_password

if TYPE_CHECKING:
    from dwarf.engine import Engine

T = TypeVar("T")

URL_VARIABLE = "DWARF_URL"


class Exit(IntEnum):
    """The exit statuses, as the documentation lists them."""

    FINE = 0
    FAILED = 1  # the flow failed or was cancelled
    USAGE = 2  # an argument or a setting is wrong
    NOT_FOUND = 3
    CONFLICT = 4  # the flow is in another status, or somebody else was quicker
    UNAVAILABLE = 5  # the database cannot be reached
    WAITS = 6  # the flow waits for an answer
    TIMEOUT = 7
    INTERRUPTED = 130


_STATUS: tuple[tuple[type[BaseException], Exit], ...] = (
    (NotFound, Exit.NOT_FOUND),
    (StateConflict, Exit.CONFLICT),
    (StorageError, Exit.UNAVAILABLE),
    (EngineClosed, Exit.UNAVAILABLE),
    (WaitTimeout, Exit.TIMEOUT),
    (ConfigError, Exit.USAGE),
    (GraphError, Exit.USAGE),
    (InvalidRequest, Exit.USAGE),
    (StateError, Exit.USAGE),
)


def say(text: str) -> None:
    """Print a line for people, apart from what a command answers."""
    print(without_password(text), file=sys.stderr)


def fail(text: str, status: Exit = Exit.USAGE) -> NoReturn:
    """End the command with an error in words."""
    say(f"dwarf: {text}")
    raise SystemExit(int(status))


def find_url(url: str, *, make: bool = False) -> str:
    """The engine's URL for ``--url``, the variable DWARF_URL, or the file of the notebook's lab in this folder.

    A path is a SQLite file. ``make``: a file that is missing will be made.
    """
    if url and re.search(r"://[^/@\s]*:[^/@\s]+@", url):
        say(f"dwarf: a password on the command line is seen by everybody on this machine: set {URL_VARIABLE} instead")
    given = url or os.environ.get(URL_VARIABLE, "")
    if "://" in given:
        path = re.match(r"sqlite:///(?!file:)([^?]+)$", given)
        if path is not None and not make and not Path(path[1]).is_file():
            fail(f"there is no database file {path[1]}", Exit.NOT_FOUND)
        return given
    file = Path(given) if given else LAB_FILE
    if not file.is_file() and not make:
        hint = "" if given else f"; name a database by --url or {URL_VARIABLE}"
        fail(f"there is no database file {file}{hint}", Exit.NOT_FOUND)
    if make:
        prepare_folder(str(file.resolve()))
    return f"sqlite:///{file.resolve().as_posix()}"


@asynccontextmanager
async def looking(url: str) -> AsyncIterator[Engine]:
    """An engine that runs nothing: it lists, waits, answers."""
    from dwarf.engine import Engine
    from dwarf.hosts import LocalHost

    async with Engine(LocalHost(), find_url(url), workers=0) as engine:
        yield engine


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run a command's work, and turn every error into words and an exit status."""

    async def whole() -> T:
        return await work()

    try:
        return asyncio.run(whole())
    except KeyboardInterrupt:
        say("dwarf: stopped; flows go on where their workers run")
        raise SystemExit(int(Exit.INTERRUPTED)) from None
    except DwarfError as error:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), Exit.FAILED)
        fail(str(error) or type(error).__name__, status)
    except BrokenPipeError:
        # the reader, such as `head`, has enough: nothing is left to be written when the interpreter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(int(Exit.FINE)) from None


def read_argument(text: str, what: str) -> str:
    """The text of an argument; ``@file`` reads it from a file, ``-`` from the standard input."""
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except OSError as error:
            fail(f"{what} cannot be read from {text[1:]}: {error.strerror}")
    return text


def read_json(text: str, what: str) -> Any:
    """A JSON argument, as ``read_argument`` reads it."""
    return parse_json(read_argument(text, what), what)


def parse_json(text: str, what: str) -> Any:
    """What a JSON text means; the command fails where it is none."""
    from dwarf.workflow.jsontext import loads

    try:
        return loads(text, bounded=True)
    except StateError as error:
        fail(f"{what} is no JSON ({error}); a text needs quotes of its own: '\"text\"'")
