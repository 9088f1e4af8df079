"""The requests of a committer, the result of a transaction, and the errors of refused writes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from dwarf.core.breakpoints import Breakpoints
from dwarf.core.decision import Decision
from dwarf.core.records import NewFlow, NewStep, StepRecord
from dwarf.engine.shard.ids import IdSource
from dwarf.engine.shard.reservations import Reservation
from dwarf.errors import StorageError
from dwarf.storage.operations.output import SaidRecord
from dwarf.storage.operations.unit_of_work import SlotPredicate, Stop, UnitOfWork
from dwarf.storage.sql.script import Script


class Handover(NamedTuple):
    """The steps that a durable decision leaves to this replica to run: new steps, and the caller that it has woken."""

    steps: list[NewStep]
    now: int  # when they were leased, in epoch milliseconds
    woken: StepRecord | None = None


@dataclass(slots=True, eq=False)
class DecisionRequest:
    """A decision, with the future of its caller. The result is the handover, or None if the decision was fenced out.

    ``suits`` tells whether the calling step of the flow may take the slot of the step that ends the flow.
    """

    decision: Decision
    done: asyncio.Future[Handover | None]
    suits: SlotPredicate | None = None
    said: SaidRecord | None = None  # output of the task that is not written yet
    again: bool = False  # an earlier try may have taken effect; then this try is fenced out
    renewals: int = 0  # the id allocator's renewal count at submission


@dataclass(slots=True, eq=False)
class CreateRequest:
    """A new flow. The result is its key. With a ``slot`` its first step is leased, and started after the commit."""

    flow: NewFlow
    done: asyncio.Future[str]
    slot: Reservation | None = None
    again: bool = False  # an earlier try may have taken effect
    renewals: int = 0  # the id allocator's renewal count at submission


@dataclass(slots=True, eq=False)
class CallRequest:
    """An operation of the API, as a script. The result is its return value. ``slot`` is for a step that it wakes."""

    call: Callable[[UnitOfWork], Script[Any]]
    done: asyncio.Future[Any]
    slot: Reservation | None = None
    again: bool = False  # an earlier try may have taken effect
    renewals: int = 0  # the id allocator's renewal count at submission


@dataclass(slots=True, eq=False)
class OutputRequest:
    """Output of running tasks. The result is the set of ids of the steps for which it was written."""

    records: Sequence[SaidRecord]
    done: asyncio.Future[set[int]]
    again: bool = False  # an earlier try may have taken effect
    renewals: int = 0  # the id allocator's renewal count at submission


CommitRequest: TypeAlias = DecisionRequest | CreateRequest | CallRequest | OutputRequest
Results: TypeAlias = dict[CommitRequest, tuple[Any, BaseException | None]]


@dataclass(slots=True)
class CommitResult:
    """What the transaction of a group has changed."""

    now: int
    results: list[tuple[Any, BaseException | None]] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    moved: set[int] = field(default_factory=set)
    work_due: bool = False
    due_step: int = 0  # one of the due steps, if its id is known
    blocks: list[tuple[IdSource, int, int]] = field(default_factory=list)
    graphs: set[str] = field(default_factory=set)
    decided: list[tuple[Decision, Handover | None]] = field(default_factory=list)
    flows: list[NewFlow] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    points: dict[int, Breakpoints] = field(default_factory=dict)  # flows whose breakpoints have changed
    woken: dict[CommitRequest, StepRecord] = field(default_factory=dict)  # leased to this replica, to be started
    read: list[tuple[str, int, int, int]] = field(default_factory=list)  # sizes of the payloads that were read for them
    written: Counter[tuple[str, str]] | None = None  # payload sizes by workflow and column, if metrics are active
    seconds: float = 0.0  # duration of the transaction

    def gather(self, work: UnitOfWork) -> None:
        """Add the results of one part of the group."""
        self.graphs.update(work.graphs)
        self.flows.extend(work.flows)
        self.resumed.extend(work.resumed)
        self.read.extend(work.read)
        self.stops.extend(work.stops)
        self.moved |= work.moved
        if work.points:
            self.points.update(work.points)
        if work.work_due:
            self.work_due = True
            self.due_step = next((step.step_id for step in work.steps if not step.leased), self.due_step)


def scopes_of(group: Sequence[CommitRequest]) -> list[str]:
    """The scopes of a group for a failpoint: the tasks of its outcomes, and the kinds of its outcomes and calls."""
    scopes: list[str] = []
    for request in group:
        if isinstance(request, DecisionRequest):
            step = request.decision.step
            scopes += (step.flow.plan.nodes[step.node].url, type(request.decision).__name__.lower())
        else:
            scopes.append(
                "create"
                if isinstance(request, CreateRequest)
                else "say"
                if isinstance(request, OutputRequest)
                else "operation"
            )
    return scopes


def unstorable(error: Exception) -> str:
    """The error text of a step whose outcome could not be stored."""
    return f"the outcome could not be stored: {error}"


def perhaps_done(error: BaseException) -> StorageError:
    """The error of a call whose commit is in doubt: the acknowledgement of an earlier try was lost."""
    return StorageError(f"the database did not answer, and what was asked for may have been done; now it says: {error}")
