"""The decisions that storage makes durable: what happens next with a step whose task has run.

Each decision is complete: it contains ids, tokens and states. Its warnings are texts that are stored with the step.
Only what depends on rows of other steps (whether the cohort is full, which flow waits for this one) is settled in the
transaction, with the functions of ``cohorts``, ``fanin`` and ``failure``.
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
    cohort_size: int = 0  # of the cohort that this step opens
    arrivals: int = 0  # branches that this step brings to the fan-in
    cohort_id: int = 0  # their cohort; the step's own id if it opened the cohort
    fan_in: str = ""
    delay_ms: int = 0
    lease_fan_in: bool = False  # whether this replica can run the fan-in step, if it fires
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
    """The step has failed, with consequences for its cohort or its flow."""

    step: StepRecord
    error: str
    traceback: str = ""
    changes: State | None = None  # of the attempt, if they are kept
    warnings: Sequence[str] = ()


@dataclass(slots=True)
class StartOver:
    """The step becomes pending for another attempt, and its answers are removed."""

    step: StepRecord
    changes: State
    delay_ms: int
    warnings: Sequence[str] = ()


@dataclass(slots=True)
class TryAgain:
    """The step becomes pending for another attempt after an error. It keeps its answers and changes."""

    step: StepRecord
    delay_ms: int
    error: str
    traceback: str = ""
    warnings: Sequence[str] = ()


@dataclass(slots=True)
class Ask:
    """The step waits for an answer, and so do the flows above it."""

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
    workflow: str  # as named by the task; with the digest of its input it identifies the call
    input: str
    misses: int = 0
    warnings: Sequence[str] = ()


Decision: TypeAlias = Advance | Complete | Fail | StartOver | TryAgain | Ask | Call


def add_warnings(decision: Decision, texts: Iterable[str]) -> None:
    """Store texts with the step, each once, after the texts that are already stored."""
    known = dict.fromkeys(decision.warnings)
    known.update(dict.fromkeys(_cut(text) for text in texts))
    decision.warnings = tuple(known)[:MOST_WARNINGS]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_WARNING else f"{text[: LONGEST_WARNING - 3]}..."
