"""How is an error told in a cell? By the reader's own lines and one sentence, not by the lines of this package."""

from __future__ import annotations

import asyncio
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

from dwarf.errors import DwarfError, InvalidRequest
from dwarf.notebook.analysis.reading import all_steps
from dwarf.notebook.kernel import name_cells
from dwarf.workflow.results import Outcome, Step
from dwarf.workflow.status import Status
from dwarf.workflow.suggest import near_node

__all__ = ["check_step_key", "install_short_errors", "no_attribute", "readers_frames", "stoppable", "tell_where"]

_PACKAGE = str(Path(__file__).resolve().parents[1])
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_OF_OUTCOME = {field.name for field in fields(Outcome) if field.compare} | {"raise_for_status"}
_STOPPED = "_dwarf_stopped"  # the attribute of an interrupt with the line that is shown in its place
_STOPS = KeyboardInterrupt, asyncio.CancelledError


def install_short_errors(shell: Any) -> None:
    """Show errors from this package without its own frames; ``%tb`` shows all frames.

    An error handler that was installed before is kept.
    """
    if shell is not None and not getattr(shell, "custom_exceptions", True):
        shell.set_custom_exc((Exception, *_STOPS), _show)


@contextmanager
def stoppable(tell: Callable[[], str]) -> Iterator[None]:
    """A wait that the stop button may end: the cell then shows the line from ``tell`` instead of a traceback.

    The interrupt itself is raised unchanged, since other code waits for it: time-outs, task groups.
    """
    try:
        yield
    except _STOPS as stop:
        setattr(stop, _STOPPED, tell())
        raise


def _show(
    shell: Any,
    kind: type[BaseException],
    value: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    """IPython's error output, shortened for errors from this package."""
    line = getattr(value, _STOPPED, "")
    if line:
        shell._showtraceback(kind, value, [line])
    elif not any(_is_ours(each) for each in _chain(value)):
        shell.showtraceback((kind, value, trace), tb_offset=tb_offset, running_compiled_code=True)
    else:
        _show_short(shell, kind, value, trace, tb_offset)
    # read by `%tb` and `%debug`
    sys.last_type, sys.last_value, sys.last_traceback = kind, value, trace


def _show_short(
    shell: Any, kind: type[BaseException], value: BaseException, trace: TracebackType | None, tb_offset: int | None
) -> None:
    """The frames of the user's code, and of the causes the part that was raised in them."""
    causes = value.__cause__, value.__context__, value.__suppress_context__
    if value.__cause__ is not None and not _has_readers_frames(value.__cause__):
        value.__cause__ = None
    if value.__context__ is not None and not _has_readers_frames(value.__context__):
        value.__context__ = None
    try:
        shell.showtraceback((kind, value, readers_frames(trace)), tb_offset=tb_offset)
    finally:
        value.__cause__, value.__context__, value.__suppress_context__ = causes


def _chain(value: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes."""
    seen: set[int] = set()
    while value is not None and id(value) not in seen:
        seen.add(id(value))
        yield value
        value = value.__cause__ or value.__context__


def _frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _file(frame: TracebackType) -> str:
    return frame.tb_frame.f_code.co_filename


def _is_ours(value: BaseException) -> bool:
    return any(_file(frame).startswith(_PACKAGE) for frame in _frames(value.__traceback__))


def _is_readers(frame: TracebackType) -> bool:
    return not _file(frame).startswith((_PACKAGE, "<frozen ", *_LIBRARIES))


def _has_readers_frames(value: BaseException) -> bool:
    return any(_is_readers(frame) for frame in _frames(value.__traceback__))


def readers_frames(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this package, and of libraries below its first one.

    Frames of the user's functions that this package has called stay. Unchanged if nothing would be left.
    """
    kept: list[TracebackType] = []
    inside = False
    for frame in _frames(trace):
        inside = inside or _file(frame).startswith(_PACKAGE)
        if _is_readers(frame) or not inside:
            kept.append(frame)
    found: TracebackType | None = None
    for frame in reversed(kept):
        found = TracebackType(found, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return found or trace


def tell_where(error: DwarfError, steps: Iterable[Step], read: Callable[[Step], Step]) -> None:
    """Add a note to an error: its node, and the lines of the task. ``read`` reads a whole step."""
    failed = [step for step in all_steps(list(steps)) if step.status is Status.FAILED and not step.sub_flows]
    if not failed:
        return
    lines = read(failed[0]).traceback.rstrip().removeprefix("Traceback (most recent call last):\n")
    where = f":\n{name_cells(lines)}" if lines.lstrip().startswith("File ") else ""
    error.add_note(f"in the task of the node {failed[0].node!r}{where}")
    error.add_note("inspect() shows what it was given; when its task is mended, retry_failed() goes on from here")


def no_attribute(name: str) -> str:
    """The message about an unknown attribute of a Run."""
    if name in _OF_OUTCOME:
        return f"a Run has no {name!r}, its outcome has: (await run).{name}, or run.wait().{name}"
    return f"a Run has no attribute {name!r}"


def check_step_key(given: str, nodes: Iterable[str]) -> str:
    """The given text if it looks like the key of a step. InvalidRequest if it can only be a node."""
    if re.match(r"\d+-\d+-", given):
        return given
    raise InvalidRequest(f"there is no node {given!r}{near_node(given, nodes)}")
