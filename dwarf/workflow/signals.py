"""What a task asks of the engine while it runs, and the answers it gets when it is run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dwarf.errors import StateError

if TYPE_CHECKING:
    from dwarf.workflow.flow import Flow
    from dwarf.workflow.graph import Graph

JSON: TypeAlias = Any
AnswerKind: TypeAlias = Literal["interrupt", "subgraph"]


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The task waits for an answer. ``default`` is what it gets at the time-out, if ``has_default``."""

    payload: dict[str, JSON] = field(default_factory=dict)
    timeout_ms: int | None = None
    default: JSON = None
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class Subgraph:
    """The task waits for a child flow. ``state`` is the child's whole initial state, as plain tagged JSON."""

    workflow: str | Graph
    state: dict[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retry:
    """The task is to run again, no sooner than in ``delay_ms`` (to which ``Control.delay_ms`` is added)."""

    delay_ms: int = 0


Park: TypeAlias = Interrupt | Subgraph | Retry


@dataclass(frozen=True, slots=True)
class Answer:
    """What one ``interrupt`` or ``subgraph`` call returns when the task is run again.

    ``value`` is plain tagged JSON: the answer given, or the child's final state. ``timed_out`` makes the call raise
    InterruptTimeout. For a child, ``error`` or a ``status`` other than "completed" makes it raise SubgraphFailed.
    """

    kind: AnswerKind
    value: JSON = None
    error: str = ""
    timed_out: bool = False
    flow_key: str = ""
    status: str = ""

    def to_json(self) -> dict[str, JSON]:
        """The compact form kept on the step: keys that hold nothing are left out."""
        data: dict[str, JSON] = {"kind": self.kind}
        if self.value is not None:
            data["value"] = self.value
        if self.timed_out:
            data["timedOut"] = True
        texts = {"error": self.error, "flowKey": self.flow_key, "status": self.status}
        data.update((key, text) for key, text in texts.items() if text)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Answer:
        """Read what ``to_json`` wrote. Unknown keys are ignored; StateError on the wrong shape."""
        if not isinstance(data, Mapping):
            raise StateError(f"an answer must be an object, not {type(data).__name__}")
        kind = data.get("kind")
        timed_out = data.get("timedOut") or False
        texts = [data.get(key) or "" for key in ("error", "flowKey", "status")]
        if kind not in ("interrupt", "subgraph"):
            raise StateError(f"an answer's kind must be 'interrupt' or 'subgraph', not {kind!r}")
        if not isinstance(timed_out, bool) or not all(isinstance(text, str) for text in texts):
            raise StateError("an answer's error, flowKey and status must be strings, and timedOut a bool")
        error, flow_key, status = texts
        return cls(kind, data.get("value"), error, timed_out, flow_key, status)


@dataclass(slots=True)
class Control:
    """What the engine reads after a task has run.

    ``problem`` is a fault in the use of the control calls themselves: it fails the step and is not routed to an
    error handler. ``delay_ms`` is when the next step may start; the engine adds it to a ``Retry``'s own delay.
    """

    goto: str = ""
    delay_ms: int = 0
    park: Park | None = None
    problem: str = ""


def control_of(flow: Flow) -> Control:
    """The control calls recorded on a flow, for the engine."""
    return flow._control()


def answer_on_timeout(interrupt: Interrupt) -> Answer:
    """The answer to record for an interrupt whose deadline has passed."""
    if interrupt.has_default:
        return Answer("interrupt", interrupt.default)
    return Answer("interrupt", timed_out=True)
