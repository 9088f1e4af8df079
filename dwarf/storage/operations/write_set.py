"""Outcomes that follow from the steps' own rows, and new flows: in one go, or in two where branches come together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

from dwarf.core.cohorts import Arrivals, arrival_of, filled, gather
from dwarf.core.decision import Advance, Complete, Decision
from dwarf.core.records import NewFlow, NewStep
from dwarf.storage.operations.cohorts import ARRIVE, settle_cohorts
from dwarf.storage.operations.commit import note
from dwarf.storage.operations.complete import END_FLOW, end_row
from dwarf.storage.operations.own_rows import count_payloads, finish, own_row
from dwarf.storage.operations.unit_of_work import LINK_MEMBERS, UnitOfWork
from dwarf.storage.sql.rows import insert_flows, insert_steps
from dwarf.storage.sql.script import AggregatedUpdate, Part, Row, Script, UpdateEach, WriteSet
from dwarf.workflow.status import Status

Numbered: TypeAlias = tuple[int, Advance | Complete]
_ALWAYS = -1


def is_plain(decision: Decision) -> TypeGuard[Advance | Complete]:
    """Whether a step is over without warnings, no caller is told, and no cohort that it opens is full at once.

    What has to do with the cache is not plain.
    """
    if decision.warnings or decision.step.keep is not None or decision.step.cached_from:
        return False
    if isinstance(decision, Advance):
        return not decision.arrivals or decision.cohort_id != decision.step.step_id or bool(decision.successors)
    return isinstance(decision, Complete) and not decision.step.flow.parent_step_id


def write_outcomes(
    decisions: Sequence[Advance | Complete], created: Sequence[NewFlow], work: UnitOfWork, *, last: bool
) -> Script[list[bool]]:
    """Write plain decisions and insert flows; answer which decisions landed. ``last``: see WriteSet.

    Branches that arrive are counted as their own rows are written. What else there is follows when it is known which
    cohorts are full by that.
    """
    # every transaction locks steps in this order
    order = sorted(range(len(decisions)), key=lambda position: decisions[position].step.step_id)
    numbered = [(number, decisions[position]) for number, position in enumerate(order)]
    own = finish([own_row(decision, work.now)[1] for _, decision in numbered])
    tally = _tally(numbered)
    if tally[1]:
        written, counted = yield WriteSet(own, [tally])
        through = [(_ALWAYS, decision) for number, decision in numbered if written[number]]
        yield from _settle(through, counted, work)
        rest = _Rest.of(through, created, work)
        links = UpdateEach(LINK_MEMBERS, work.links)
        others = []
        if rest.parts or work.links:
            _, *others = yield WriteSet(links, rest.parts, last)
    else:
        rest = _Rest.of(numbered, created, work)
        written, *others = yield WriteSet(own, rest.parts, last)
    landed = [False] * len(decisions)
    for position, row, ok in zip(order, own.rows, written, strict=True):
        landed[position] = ok
        if ok:
            note(decisions[position], work)
            count_payloads(decisions[position], row, work.written)
    rest.tell(written, others, work)
    work.flows += created
    work.count_states()
    return landed


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is written beside the own rows. Numbers say which of them that needs."""

    parts: list[tuple[Part, Sequence[int]]]
    done: list[Complete]
    new: list[tuple[int, NewStep]]

    @classmethod
    def of(cls, numbered: Sequence[Numbered], created: Sequence[NewFlow], work: UnitOfWork) -> _Rest:
        """The ends of flows, new flows, and new steps with those that ``work`` has already."""
        now, writer = work.now, work.writer
        rest = cls([], [], [(_ALWAYS, flow.entry) for flow in created])
        ending: list[int] = []
        for number, decision in numbered:
            if isinstance(decision, Complete):
                rest.done.append(decision)
                ending.append(number)
            else:
                rest.new.extend((number, successor) for successor in decision.successors)
        if ending:
            ends = [end_row(done.step.flow, Status.COMPLETED, done.final_state, now) for done in rest.done]
            rest.parts.append((UpdateEach(END_FLOW, ends), ending))
        if created:
            for part in insert_flows(created, now, writer.engine_id):
                rest.parts.append((part, [_ALWAYS] * len(part.rows)))
        inserted = [*((_ALWAYS, step) for step in work.steps), *rest.new]
        if inserted:
            steps = insert_steps([step for _, step in inserted], now, writer.engine_id, writer.margin_ms)
            rest.parts.append((steps, [number for number, _ in inserted]))
        return rest

    def tell(self, own: Sequence[bool], written: Sequence[Sequence[bool]], work: UnitOfWork) -> None:
        """Note what has been written. ``own`` and ``written`` say which rows of the own ones and of each part."""
        if self.done:
            for decision, ok in zip(self.done, written[0], strict=True):
                if ok:
                    work.stopped(decision.step.flow, Status.COMPLETED, decision.final_state)
        for number, step in self.new:
            if number == _ALWAYS or own[number]:
                work.add_step(step)


def _tally(numbered: Sequence[Numbered]) -> tuple[AggregatedUpdate, list[int]]:
    found = [(number, arrival) for number, decision in numbered if (arrival := arrival_of(decision))]
    rows = [{"id": arrival.cohort_id, "arrivals": arrival.arrivals, "failures": 0} for _, arrival in found]
    return AggregatedUpdate(ARRIVE, rows), [number for number, _ in found]


def _settle(through: Sequence[Numbered], counted: Sequence[Row], work: UnitOfWork) -> Script[None]:
    """What follows for the cohorts that are full now."""
    arrivals: Arrivals = {}
    for _, decision in through:
        if arrival := arrival_of(decision):
            gather(arrivals, arrival)
    yield from settle_cohorts(filled(arrivals, counted), work)
