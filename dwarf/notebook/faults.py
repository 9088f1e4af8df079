"""How is an error told in a cell? By the reader's own lines and one sentence, not by the lines of this package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

from dwarf.errors import DwarfError, InvalidRequest
from dwarf.notebook.past.reading import all_steps
from dwarf.workflow.results import Outcome, Step
from dwarf.workflow.status import Status
from dwarf.workflow.suggest import near_node

__all__ = ["check_step_key", "install_short_errors", "no_attribute", "tell_where", "users_frames"]

_PACKAGE = str(Path(__file__).resolve().parents[1])
_OF_OUTCOME = {field.name for field in fields(Outcome)} | {"raise_for_status"}


def install_short_errors(shell: Any) -> None:
    """Show the errors of this package without its own frames. Whoever has set a way to show errors before keeps it."""
    if shell is not None and not getattr(shell, "custom_exceptions", True):
        shell.set_custom_exc((DwarfError,), _show)


def users_frames(trace: TracebackType | None) -> TracebackType | None:
    """A traceback up to the call into this package; unchanged where it begins there."""
    frames = []
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frames.append(trace)
        trace = trace.tb_next
    found = None if frames else trace
    for each in reversed(frames):
        found = TracebackType(found, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return found


def _show(
    shell: Any,
    kind: type[BaseException],
    value: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    """IPython's own way to show an error, with less of it: its causes are inside this package."""
    causes = value.__cause__, value.__context__, value.__suppress_context__
    value.__cause__ = value.__context__ = None
    try:
        shell.showtraceback((kind, value, users_frames(trace)), tb_offset=tb_offset)
    finally:
        value.__cause__, value.__context__, value.__suppress_context__ = causes


def tell_where(error: DwarfError, steps: Iterable[Step], read: Callable[[Step], Step]) -> None:
    """Note on an error in which node it was raised, and on which lines of the task. ``read`` gives a step whole."""
    failed = [step for step in all_steps(list(steps)) if step.status is Status.FAILED and not step.sub_flows]
    if not failed:
        return
    lines = read(failed[0]).traceback.rstrip().removeprefix("Traceback (most recent call last):\n")
    where = f":\n{lines}" if lines.lstrip().startswith("File ") else ""
    error.add_note(f"in the task of the node {failed[0].node!r}{where}")


def no_attribute(name: str) -> str:
    """What to say of an attribute that a Run does not have."""
    if name in _OF_OUTCOME:
        return f"a Run has no {name!r}, its outcome has: (await run).{name}, or run.wait().{name}"
    return f"a Run has no attribute {name!r}"


def check_step_key(given: str, nodes: Iterable[str]) -> str:
    """The given text if it looks like the key of a step. InvalidRequest where it can only be meant as a node."""
    if re.match(r"\d+-\d+-", given):
        return given
    raise InvalidRequest(f"there is no node {given!r}{near_node(given, nodes)}")
