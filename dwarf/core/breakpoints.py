"""Breakpoints: a flow stops before or after a node, shows its state, and waits for the user to continue it.

A stop is an interrupt, distinguished from a task's own questions by its key. Before a node the task has not run, and
the answer is laid over the step's state. After a node the task has returned: its changes are stored with the step, and
its routing (goto and delay) is stored in the key of the interrupt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dwarf.core.records import JSON, StepRecord
from dwarf.core.step import Returned
from dwarf.workflow.algebra import overlay
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.signals import Answer, Control, Interrupt

_KEY = "\x1fdwarf breakpoint "  # no task uses such a key by accident
_BEFORE, _AFTER = f"{_KEY}before", f"{_KEY}after "


@dataclass(frozen=True, slots=True)
class Breakpoints:
    """The nodes at which a flow stops. ``passed`` names cohorts that the user has continued at one of them.

    ``once``: further nodes before which the flow stops until it goes on from a stop, for users who go step by step.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    passed: frozenset[str] = frozenset()
    once: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, JSON]:
        """The form that is stored with the flow."""
        named = {"before": self.before, "after": self.after, "passed": self.passed, "once": self.once}
        return {name: sorted(nodes) for name, nodes in named.items() if nodes}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Breakpoints:
        """Parse the result of ``to_json``."""
        return cls(**{name: frozenset(data.get(name, ())) for name in ("before", "after", "passed", "once")})

    def changed(self, before: Iterable[str] | None, after: Iterable[str] | None) -> Breakpoints:
        """A copy with the given members replaced."""
        given = (("before", before), ("after", after))
        fresh = {name: frozenset(nodes) for name, nodes in given if nodes is not None}
        return replace(self, **fresh)


def is_breakpoint(key: str) -> bool:
    """Whether this is the key of a stop, and not of a task's question."""
    return key.startswith(_KEY)


def pass_of(kind: str, node: str, lineage_id: int) -> str:
    """The entry in ``passed`` for a cohort that was continued at a node."""
    return f"{kind} {lineage_id} {node}"


def kind_of(key: str) -> str:
    """The position of a stop: before or after its node."""
    return "before" if key == _BEFORE else "after"


def own_answers(answers: Sequence[Answer]) -> Sequence[Answer]:
    """The answers to a task's own questions."""
    return [answer for answer in answers if not is_breakpoint(answer.key)]


def gone_on(step: StepRecord) -> Returned | None:
    """The result of a step that stopped after its task and was continued; None for other steps."""
    last = step.answers[-1] if step.answers else None
    if last is None or not last.key.startswith(_AFTER):
        return None
    told = loads(last.key.removeprefix(_AFTER))
    changes = last.value if isinstance(last.value, Mapping) else {}
    return Returned(Control(goto=told["goto"], delay_ms=told["delay"]), overlay(step.changes, changes))


def stop_before(step: StepRecord, points: Breakpoints) -> Returned | None:
    """The stop of a step before its first run, or None if it does not stop."""
    if step.node not in points.before | points.once or step.attempt:
        return None
    if any(is_breakpoint(answer.key) for answer in step.answers):
        return None
    # the answer to one branch was meant for all: those that come later do not stop
    if step.lineage_id and pass_of("before", step.node, step.lineage_id) in points.passed:
        return None
    return Returned(Control(park=Interrupt(_payload("before", step.node), key=_BEFORE)), step.changes)


def stop_after(step: StepRecord, returned: Returned, points: Breakpoints) -> Returned:
    """The result of a task, or the stop after it."""
    control = returned.control
    if step.node not in points.after or control.park is not None or control.problem:
        return returned
    if step.lineage_id and pass_of("after", step.node, step.lineage_id) in points.passed:
        return returned
    key = _AFTER + dumps({"goto": control.goto, "delay": control.delay_ms})
    park = Interrupt(_payload("after", step.node), key=key)
    return replace(returned, control=Control(park=park))


def _payload(kind: str, node: str) -> dict[str, JSON]:
    return {"title": f"Breakpoint {kind} {node!r}", "breakpoint": kind, "node": node}
