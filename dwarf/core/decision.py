"""What happens next with a step whose task has run: the decisions that storage makes durable.

Each decision is complete: ids, tokens and states are in it. Its warnings are texts that are kept with the step. Only
what depends on rows that other steps write (is the cohort full, which flow waits for this one) is settled in the
transaction, with the functions of ``fanin`` and ``failure``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from dwarf.core.records import JSON, NewFlow, NewStep, State, StepRecord

MOST_WARNINGS = 100
LONGEST_WARNING = 2000  # characters


@dataclass(slots=True)
class Advance:
    """The step is completed. Successors are inserted, and arrivals are counted at a cohort."""

    step: StepRecord
    changes: State
    successors: list[NewStep] = field(default_factory=list)
    cohort_size: int = 0  # of the cohort this step opens
    arrivals: int = 0  # branches that reach the fan-in by this step
    cohort_id: int = 0  # where they arrive; the step's own id where it opened the cohort
    fan_in: str = ""
    delay_ms: int = 0
    lease_fan_in: bool = False  # this replica has room for the fan-in step, if it fires here
    error_routed: bool = False
    route: str = ""  # see ``routing.route_text``
    warnings: Sequence[str] = ()


@dataclass(slots=True)
class Complete:
    """The step is completed and ends its flow."""

    step: StepRecord
    changes: State
    final_state: State
    route: str = ""
    warnings: Sequence[str] = ()


@dataclass(slots=True)
class Fail:
    """The step has failed. Its cohort, or its flow, takes the consequence."""

    step: StepRecord
    error: str
    traceback: str = ""
    changes: State | None = None  # of the attempt, where they are kept
    warnings: Sequence[str] = ()


@dataclass(slots=True)
class Retry:
    """The step goes back to pending for another attempt, and forgets its answers."""

    step: StepRecord
    changes: State
    delay_ms: int
    warnings: Sequence[str] = ()


@dataclass(slots=True)
class TryAgain:
    """The step goes back to pending for another attempt after an error, with its answers and what it had written."""

    step: StepRecord
    delay_ms: int
    error: str
    traceback: str = ""
    warnings: Sequence[str] = ()


@dataclass(slots=True)
class Ask:
    """The step waits for an answer, and with it the flows above it."""

    step: StepRecord
    changes: State
    payload: State
    timeout_ms: int | None
    default: JSON
    has_default: bool
    warnings: Sequence[str] = ()
    key: str = ""
    misses: int = 0  # see ``answers.misses_after``


@dataclass(slots=True)
class Call:
    """The step waits for a child flow."""

    step: StepRecord
    changes: State
    child: NewFlow
    workflow: str  # as the task has named it; with the digest of its input, what tells the call from others
    input: str
    misses: int = 0
    warnings: Sequence[str] = ()


Decision: TypeAlias = Advance | Complete | Fail | Retry | TryAgain | Ask | Call


def add_warnings(decision: Decision, texts: Iterable[str]) -> None:
    """Have texts kept with the step, each of them once, behind those that are kept already."""
    known = dict.fromkeys(decision.warnings)
    known.update(dict.fromkeys(_cut(text) for text in texts))
    decision.warnings = tuple(known)[:MOST_WARNINGS]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_WARNING else f"{text[: LONGEST_WARNING - 3]}..."
