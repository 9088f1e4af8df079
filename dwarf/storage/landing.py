"""Plain decisions and new flows in one go: what follows from the steps' own rows alone, as one landing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from dwarf.core.decision import Advance, Complete, Decision
from dwarf.core.records import NewFlow, NewStep
from dwarf.storage.commit import note
from dwarf.storage.effects import Effects
from dwarf.storage.ending import END_FLOW, end_row
from dwarf.storage.outcomes import FINISH, count_payloads, own_row
from dwarf.storage.rows import INSERT_FLOW, flow_row, insert_steps
from dwarf.storage.script import InsertMany, Landing, Script, UpdateEach
from dwarf.workflow.status import Status


def is_plain(decision: Decision) -> TypeGuard[Advance | Complete]:
    """Whether a step is over and nothing else is to be settled: no cohort counted, no caller told."""
    if isinstance(decision, Advance):
        return not decision.arrivals
    return isinstance(decision, Complete) and not decision.step.flow.parent_step_id


def land(
    decisions: Sequence[Advance | Complete], created: Sequence[NewFlow], effects: Effects, *, last: bool
) -> Script[list[bool]]:
    """Write plain decisions and insert flows; answer which decisions landed. ``last``: see Landing."""
    now, writer = effects.now, effects.writer
    # every transaction locks steps in this order
    order = sorted(range(len(decisions)), key=lambda position: decisions[position].step.step_id)
    own = [own_row(decisions[position], now)[1] for position in order]
    done = [(number, decision) for number, decision in _numbered(decisions, order) if isinstance(decision, Complete)]
    new: list[tuple[int, NewStep]] = [(-1, flow.entry) for flow in created]
    for number, decision in _numbered(decisions, order):
        if isinstance(decision, Advance):
            new += [(number, successor) for successor in decision.successors]
    rest: list[tuple[UpdateEach | InsertMany, Sequence[int]]] = []
    if done:
        ends = [end_row(decision.step.flow, Status.COMPLETED, decision.final_state, now) for _, decision in done]
        rest.append((UpdateEach(END_FLOW, ends), [number for number, _ in done]))
    if created:
        flows = [flow_row(flow, now, writer.engine_id) for flow in created]
        rest.append((InsertMany(INSERT_FLOW, flows), [-1] * len(flows)))
    if new:
        steps = insert_steps([step for _, step in new], now, writer.engine_id, writer.margin_ms)
        rest.append((steps, [number for number, _ in new]))
    written, *others = yield Landing(UpdateEach(FINISH, own), rest, last)
    landed = [False] * len(decisions)
    for position, row, ok in zip(order, own, written, strict=True):
        landed[position] = ok
        if ok:
            note(decisions[position], effects)
            count_payloads(decisions[position], row, effects.written)
    if done:
        for (_, decision), ok in zip(done, others[0], strict=True):
            if ok:
                effects.stopped(decision.step.flow, Status.COMPLETED, decision.final_state)
    effects.flows += created
    for number, step in new:
        if number < 0 or written[number]:
            effects.add_step(step)
    effects.count_states()
    return landed


def _numbered(decisions: Sequence[Advance | Complete], order: Sequence[int]) -> list[tuple[int, Advance | Complete]]:
    return [(number, decisions[position]) for number, position in enumerate(order)]
