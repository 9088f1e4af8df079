"""Breakpoints: a flow stops before or after a node, shows its state, and goes on when somebody says so.

A stop is a question of its own kind, told from a task's questions by its key. Before a node the task has not been run,
and what is answered is laid over the step's state. After a node the task has returned: its changes are kept, and so is
where it wanted to go on, in the key of the question.
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

_KEY = "\x1fdwarf breakpoint "  # no key that a person would write
_BEFORE, _AFTER = f"{_KEY}before", f"{_KEY}after "


@dataclass(frozen=True, slots=True)
class Breakpoints:
    """The nodes at which a flow stops. ``passed`` names cohorts that were let go on at one of them.

    ``once``: nodes before which it stops as well until this is changed, which whoever goes on step by step does.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    passed: frozenset[str] = frozenset()
    once: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, JSON]:
        """The form that is kept with the flow."""
        named = {"before": self.before, "after": self.after, "passed": self.passed, "once": self.once}
        return {name: sorted(nodes) for name, nodes in named.items() if nodes}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Breakpoints:
        """Read what ``to_json`` wrote."""
        return cls(**{name: frozenset(data.get(name, ())) for name in ("before", "after", "passed", "once")})

    def changed(
        self, before: Iterable[str] | None, after: Iterable[str] | None, once: Iterable[str] | None = None
    ) -> Breakpoints:
        """These with others in their place, where they are given."""
        given = (("before", before), ("after", after), ("once", once))
        fresh = {name: frozenset(nodes) for name, nodes in given if nodes is not None}
        return replace(self, **fresh)


def is_breakpoint(key: str) -> bool:
    """Whether this is the key of a stop, and not of a task's question."""
    return key.startswith(_KEY)


def pass_of(kind: str, node: str, lineage_id: int) -> str:
    """What a cohort that was let go on at a node is called."""
    return f"{kind} {lineage_id} {node}"


def kind_of(key: str) -> str:
    """Where the stop is: before or after its node."""
    return "before" if key == _BEFORE else "after"


def own_answers(answers: Sequence[Answer]) -> Sequence[Answer]:
    """The answers to a task's own questions."""
    return [answer for answer in answers if not is_breakpoint(answer.key)]


def gone_on(step: StepRecord) -> Returned | None:
    """The result of a step that had stopped after its task, and now goes on; None for others."""
    last = step.answers[-1] if step.answers else None
    if last is None or not last.key.startswith(_AFTER):
        return None
    told = loads(last.key.removeprefix(_AFTER))
    changes = last.value if isinstance(last.value, Mapping) else {}
    return Returned(Control(goto=told["goto"], delay_ms=told["delay"]), overlay(step.changes, changes))


def stop_before(step: StepRecord, points: Breakpoints) -> Returned | None:
    """The stop of a step that is about to run for the first time, where it has to stop."""
    if step.node not in points.before | points.once or step.attempt:
        return None
    if any(is_breakpoint(answer.key) for answer in step.answers):
        return None
    if step.lineage_id and pass_of("before", step.node, step.lineage_id) in points.passed:
        return None
    return Returned(Control(park=Interrupt(_payload("before", step.node), key=_BEFORE)), step.changes)


def stop_after(step: StepRecord, returned: Returned, points: Breakpoints) -> Returned:
    """What a task came to, or the stop behind it."""
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
