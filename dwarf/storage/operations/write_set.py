"""What follows from the steps' own rows alone, and can be written with them: each row says which own row it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dwarf.core.breakpoints import is_breakpoint
from dwarf.core.cohorts import Arrival, Arrivals, Full, arrival_of, filled, full_at_once, gather
from dwarf.core.decision import Advance, Ask, Call, Complete, Decision, Fail, StartOver, TryAgain
from dwarf.storage.operations.caching import kept_row
from dwarf.storage.operations.cohorts import ARRIVE
from dwarf.storage.operations.complete import END_FLOW, end_row
from dwarf.storage.operations.interrupts import INTERRUPT_FLOW
from dwarf.storage.operations.unit_of_work import ALWAYS, Stop, UnitOfWork, insert_rows
from dwarf.storage.sql.script import AggregatedUpdate, Part, UpdateEach
from dwarf.workflow.status import Status


def ends_alone(decision: Complete, work: UnitOfWork) -> bool:
    """Whether nobody is told in the transaction that a flow ends: no caller, and no hook."""
    return not decision.step.flow.parent_step_id and "completed" not in work.writer.hooks


def asks_alone(decision: Ask, work: UnitOfWork) -> bool:
    """Whether a question shows on its own flow only, and no hook is told of it."""
    return not decision.step.flow.parent_step_id and (not work.writer.hooks or is_breakpoint(decision.key))


def has_children(decision: StartOver) -> bool:
    """Whether a step that starts over has called flows."""
    return any(answer.kind == "subgraph" for answer in decision.step.answers)


@dataclass(slots=True)
class Direct:
    """What follows from own rows alone. ``further``: something else has to be looked at before the new rows."""

    parts: list[tuple[Part, Sequence[int]]] = field(default_factory=list)
    arrived: list[Arrival] = field(default_factory=list)
    ended: list[Complete] = field(default_factory=list)
    asked: list[Ask] = field(default_factory=list)
    further: bool = False

    @classmethod
    def of(cls, decisions: Sequence[Decision], work: UnitOfWork) -> Direct:
        """Arrivals at cohorts, ends of flows, and questions that flows show, of decisions in the order of own rows."""
        direct = cls()
        arriving, ending, asking = list[int](), list[int](), list[int]()
        for number, decision in enumerate(decisions):
            step = decision.step
            # what is cached is written after the own row has landed: another step must never take an outcome that was
            # fenced out
            if step.keep is not None or step.taken is not None:
                direct.further = True
            match decision:
                case Advance() if not decision.arrivals:
                    pass
                case Complete() if ends_alone(decision, work):
                    direct.ended.append(decision)
                    ending.append(number)
                case Advance() | Fail() if arrival := arrival_of(decision):
                    direct.arrived.append(arrival)
                    arriving.append(number)
                    direct.further = True  # it may fill the cohort
                case Ask() if asks_alone(decision, work):
                    direct.asked.append(decision)
                    asking.append(number)
                case Advance() if full_at_once(decision) is None:
                    pass
                # otherwise the database must be asked first whether the graph is stored
                case Call() if decision.child.record.graph_hash in work.writer.known_graphs:
                    pass
                case StartOver() if not has_children(decision):
                    pass
                case TryAgain():
                    pass
                case _:
                    direct.further = True
        parts = direct.parts
        if arriving:
            rows = [{"id": one.cohort_id, "arrivals": one.arrivals, "failures": one.failures} for one in direct.arrived]
            parts.append((AggregatedUpdate(ARRIVE, rows), arriving))
        if ending:
            ends = [end_row(end.step.flow, Status.COMPLETED, end.final_state, work.now) for end in direct.ended]
            parts.append((UpdateEach(END_FLOW, ends), ending))
        if asking:
            shown = [{"id": ask.step.flow.flow_id, "now": work.now} for ask in direct.asked]
            parts.append((UpdateEach(INTERRUPT_FLOW, shown), asking))
        return direct

    def tell(self, done: Sequence[Decision], answers: Sequence[Sequence[Any]], work: UnitOfWork) -> list[Full]:
        """Note what was written. The cohorts that are full now.

        ``done`` are the decisions whose own rows were; ``answers`` say of each part what was.
        """
        found = iter(answers)
        full: list[Full] = []
        if self.arrived:
            arrivals: Arrivals = {}
            for decision in done:
                if arrival := arrival_of(decision):
                    gather(arrivals, arrival)
            full += filled(arrivals, next(found))
        if self.ended:
            for end, ok in zip(self.ended, next(found), strict=True):
                if ok:
                    work.stopped(end.step.flow, Status.COMPLETED, end.final_state)
        if self.asked:
            for ask, ok in zip(self.asked, next(found), strict=True):
                if ok:
                    flow = ask.step.flow
                    work.stops.append(Stop(flow.flow_id, Status.INTERRUPTED, token=flow.token))
        for decision in done:
            _note(decision, work)
            if opened := full_at_once(decision):
                full.append(opened)
        return full


def new_rows(decisions: Sequence[Decision], work: UnitOfWork) -> list[tuple[Part, Sequence[int]]]:
    """The flows and steps that decisions add if they land, with those that ``work`` adds anyway."""
    flows, steps = list(work.flows), list(work.steps)
    needs, of_child = [ALWAYS] * len(steps), dict[int, int]()
    for number, decision in enumerate(decisions):
        if isinstance(decision, Advance):
            steps += decision.successors
            needs += [number] * len(decision.successors)
        elif isinstance(decision, Call):
            flows.append(decision.child)
            of_child[decision.child.record.flow_id] = number
            steps.append(decision.child.entry)
            needs.append(number)
    parts: list[tuple[Part, Sequence[int]]] = []
    for part in insert_rows(flows, (), work):
        parts.append((part, [of_child.get(row["flow_id"], ALWAYS) for row in part.rows]))
    for part in insert_rows((), steps, work):
        parts.append((part, needs))
    return parts


def _note(decision: Decision, work: UnitOfWork) -> None:
    """Note the rows that a landed decision adds, and its effects for the engine."""
    step = decision.step
    work.moved.add(step.flow.root_flow_id)
    if step.flow.plan.nodes[step.node].limit is not None:
        work.work_due = True  # there may be room under the limit again
    match decision:
        case Advance():
            _keep(decision, decision.delay_ms, work)
            for successor in decision.successors:
                work.add_step(successor)
        case Complete():
            _keep(decision, 0, work)
        case StartOver() | TryAgain():
            work.work_due = True
        case Ask():
            # the dispatcher waits until the first deadline that it knows, and this may be an earlier one
            work.work_due = work.work_due or decision.timeout_ms is not None
        case Call():
            work.add_graph(decision.child.record.graph_hash, decision.child.graph_body)
            work.add_flow(decision.child)


def _keep(decision: Advance | Complete, delay_ms: int, work: UnitOfWork) -> None:
    """Keep an outcome for others, and what the step has said that has taken one over."""
    if decision.step.keep is not None:
        work.kept.append(kept_row(decision.step, delay_ms, work.now))
    if decision.step.taken is not None:
        work.taking.append(decision.step)
