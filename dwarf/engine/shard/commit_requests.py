"""What a committer is handed, what a transaction makes of it, and what is said of a write that was refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from dwarf.core.decision import Decision
from dwarf.core.records import NewFlow, NewStep, StepRecord
from dwarf.engine.shard.ids import IdSource
from dwarf.engine.shard.reservations import Reservation
from dwarf.errors import StorageError
from dwarf.storage.operations.output import SaidRecord
from dwarf.storage.operations.unit_of_work import SlotPredicate, Stop, UnitOfWork
from dwarf.storage.sql.script import Script


class Handover(NamedTuple):
    """What a decision that has landed leaves to this replica to run: new steps, and one that it has woken."""

    steps: list[NewStep]
    now: int  # when they were leased
    woken: StepRecord | None = None


@dataclass(slots=True, eq=False)
class DecisionRequest:
    """A decision, and who waits for it. The answer: what is handed over, or None where it was fenced out.

    ``suits`` says whether the step that has called the flow may take the slot of the one that ends it.
    """

    decision: Decision
    done: asyncio.Future[Handover | None]
    suits: SlotPredicate | None = None
    said: SaidRecord | None = None  # what the task has said and is not written yet
    again: bool = False  # an earlier try may have taken effect; then this one is fenced out
    renewals: int = 0  # how often ids had been given up when it was handed in


@dataclass(slots=True, eq=False)
class CreateRequest:
    """A new flow. The answer is its key. With a ``slot`` its first step is leased, and started after the commit."""

    flow: NewFlow
    done: asyncio.Future[str]
    slot: Reservation | None = None
    again: bool = False  # an earlier try may have taken effect
    renewals: int = 0  # how often ids had been given up when it was handed in


@dataclass(slots=True, eq=False)
class CallRequest:
    """An operation of the API, as a script. The answer is what it returns. ``slot`` is for a step that it wakes."""

    call: Callable[[UnitOfWork], Script[Any]]
    done: asyncio.Future[Any]
    slot: Reservation | None = None
    again: bool = False  # an earlier try may have taken effect
    renewals: int = 0  # how often ids had been given up when it was handed in


@dataclass(slots=True, eq=False)
class OutputRequest:
    """What running tasks have said so far. The answer: the ids of the steps for which it was written."""

    records: Sequence[SaidRecord]
    done: asyncio.Future[set[int]]
    again: bool = False  # an earlier try may have taken effect
    renewals: int = 0  # how often ids had been given up when it was handed in


CommitRequest: TypeAlias = DecisionRequest | CreateRequest | CallRequest | OutputRequest
Results: TypeAlias = dict[CommitRequest, tuple[Any, BaseException | None]]


@dataclass(slots=True)
class CommitResult:
    """What a group has brought about."""

    now: int
    results: list[tuple[Any, BaseException | None]] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    moved: set[int] = field(default_factory=set)
    work_due: bool = False
    due_step: int = 0  # one that is due, where one is known
    blocks: list[tuple[IdSource, int, int]] = field(default_factory=list)
    graphs: set[str] = field(default_factory=set)
    decided: list[tuple[Decision, Handover | None]] = field(default_factory=list)
    flows: list[NewFlow] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    woken: dict[CommitRequest, StepRecord] = field(default_factory=dict)  # leased to this replica, to be started
    read: list[tuple[str, int, int, int]] = field(default_factory=list)  # sizes of what was read of them
    written: Counter[tuple[str, str]] | None = None  # sizes of payloads by workflow and column, where they are wanted
    seconds: float = 0.0  # of the transaction

    def gather(self, work: UnitOfWork) -> None:
        """Add what has come of a part of the group."""
        self.flows.extend(work.flows)
        self.resumed.extend(work.resumed)
        self.read.extend(work.read)
        self.stops.extend(work.stops)
        self.moved |= work.moved
        if work.work_due:
            self.work_due = True
            self.due_step = next((step.step_id for step in work.steps if not step.leased), self.due_step)


def scopes_of(group: Sequence[CommitRequest]) -> list[str]:
    """What a failpoint tells of a group: the tasks whose outcomes are in it, and what kinds of outcomes and calls."""
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
    """The text of a step that fails because its outcome could not be stored."""
    return f"the outcome could not be stored: {error}"


def perhaps_done(error: BaseException) -> StorageError:
    """The error of a call that may have been done: the answer to an earlier try was lost."""
    return StorageError(f"the database did not answer, and what was asked for may have been done; now it says: {error}")
