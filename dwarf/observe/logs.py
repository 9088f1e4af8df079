"""Log lines with fields: the allowed content, the names, and protection against broken handlers.

A line never contains a key's token, a payload or a state: flows are named by their correlation id, errors of tasks by
their class and the place where they were raised.
"""

from __future__ import annotations

import logging
from pathlib import Path
from traceback import walk_tb
from typing import Any

FIELD = "dwarf_"
MOST_FRAMES = 30

_PACKAGE = str(Path(__file__).parents[1])

logging.getLogger("dwarf").addHandler(logging.NullHandler())  # silent, unless the program configures logging


class Log:
    """A logger whose lines have fields: ``flow=...`` becomes the attribute ``dwarf_flow`` of the record.

    A handler that raises is ignored: logging must not fail the work.
    """

    __slots__ = ("_logger",)

    def __init__(self, logger: Any = "dwarf.engine") -> None:
        """``logger``: a Logger, an adapter of one, or a name."""
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger

    def wants(self, level: int) -> bool:
        """Whether lines of this level are enabled."""
        return bool(self._logger.isEnabledFor(level))

    def debug(self, message: str, *values: object, **fields: object) -> None:
        """A detail."""
        self._say(logging.DEBUG, message, values, fields)

    def info(self, message: str, *values: object, **fields: object) -> None:
        """An expected event: a flow changes its status, a task fails."""
        self._say(logging.INFO, message, values, fields)

    def warning(self, message: str, *values: object, **fields: object) -> None:
        """An event that may need an operator's attention."""
        self._say(logging.WARNING, message, values, fields)

    def error(self, message: str, *values: object, **fields: object) -> None:
        """A fault of the engine or of its database, never of a task."""
        self._say(logging.ERROR, message, values, fields)

    def fault(self, message: str, error: BaseException, *values: object, **fields: object) -> None:
        """An unexpected error: its class and where it was raised, since its text may contain data."""
        fields |= {"error": class_name(error), "where": places(error, whole=True)}
        self._say(logging.ERROR, f"{message}: %s, raised at\n%s", (*values, fields["error"], fields["where"]), fields)

    def _say(self, level: int, message: str, values: tuple[object, ...], fields: dict[str, object]) -> None:
        try:
            if self._logger.isEnabledFor(level):
                extra = {FIELD + name: value for name, value in fields.items()}
                self._logger.log(level, message, *values, extra=extra, stacklevel=3)
        except Exception:  # noqa: BLE001, S110 - a handler is the user's, and there is nobody else to tell
            pass


def class_name(error: BaseException) -> str:
    """The class of an error, with its module unless that is Python's own."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def places(error: BaseException, *, whole: bool = False) -> str:
    """Where an error was raised, innermost last: file, line and function, without source text and without values.

    The frames of this package around a task are left out, unless ``whole``.
    """
    frames = []
    for frame, line in walk_tb(error.__traceback__):
        code = frame.f_code
        if whole or not code.co_filename.startswith(_PACKAGE):
            frames.append(f'  File "{code.co_filename}", line {line}, in {code.co_name}')
    return "\n".join(frames[-MOST_FRAMES:])
