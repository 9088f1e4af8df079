"""The requests of a running task to the engine, and the answers it gets when it is run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dwarf.errors import StateError

if TYPE_CHECKING:
    from dwarf.workflow.flow import Flow
    from dwarf.workflow.graph import Graph

JSON: TypeAlias = Any
AnswerKind: TypeAlias = Literal["interrupt", "subgraph"]


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The task waits for an answer. ``default`` is the answer after the time-out, if ``has_default``.

    ``key`` distinguishes the question from others of the same task; "" if its payload does.
    """

    payload: dict[str, JSON] = field(default_factory=dict)
    timeout_ms: int | None = None
    default: JSON = None
    has_default: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Subgraph:
    """The task waits for a child flow. ``state`` is the child's whole initial state, as plain tagged JSON."""

    workflow: str | Graph
    state: dict[str, JSON] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The identity of the workflow: its URL, or the name of the graph."""
        return self.workflow if isinstance(self.workflow, str) else self.workflow.name


@dataclass(frozen=True, slots=True)
class RetrySignal:
    """The task is to run again, no sooner than in ``delay_ms`` (to which ``Control.delay_ms`` is added)."""

    delay_ms: int = 0


Park: TypeAlias = Interrupt | Subgraph | RetrySignal


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one ``interrupt`` or ``subgraph`` call when the task is run again, and the question it belongs to.

    ``value`` is plain tagged JSON: the answer given, or the child's final state. ``timed_out`` makes the call raise
    InterruptTimeout; ``is_default`` says that the value is the default of a question that nobody answered in time. For
    a child, ``error`` or a ``status`` other than "completed" makes the call raise SubgraphFailed.

    The question of an interrupt is its ``key`` and the payload it ``asked``; that of a child its ``workflow`` and the
    digest of its ``input``. ``asked`` is None and ``workflow`` is "" where the question was not kept, as in databases
    of the first version.

    ``misses``: how many answers in a row before this one were not claimed by the run that they woke. ``by``: who
    answered, as told.
    """

    kind: AnswerKind
    value: JSON = None
    error: str = ""
    timed_out: bool = False
    flow_key: str = ""
    status: str = ""
    is_default: bool = False
    key: str = ""
    asked: Mapping[str, JSON] | None = None
    workflow: str = ""
    input: str = ""
    misses: int = 0
    by: str = ""

    def to_json(self) -> dict[str, JSON]:
        """The compact form stored with the step: empty members are left out."""
        data: dict[str, JSON] = {"kind": self.kind}
        if self.value is not None:
            data["value"] = self.value
        if self.asked is not None:
            data["asked"] = dict(self.asked)
        texts = {name: getattr(self, attribute) for name, attribute in _TEXTS.items()}
        rest = {"timedOut": self.timed_out, "isDefault": self.is_default, "misses": self.misses, **texts}
        data.update((key, value) for key, value in rest.items() if value)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Answer:
        """Parse the result of ``to_json``. Unknown keys are ignored; StateError for the wrong shape."""
        if not isinstance(data, Mapping):
            raise StateError(f"an answer must be an object, not {type(data).__name__}")
        kind = data.get("kind")
        if kind not in ("interrupt", "subgraph"):
            raise StateError(f"an answer's kind must be 'interrupt' or 'subgraph', not {kind!r}")
        flags = [data.get(name) or False for name in ("timedOut", "isDefault")]
        texts = {attribute: data.get(name) or "" for name, attribute in _TEXTS.items()}
        misses = data.get("misses") or 0
        # the first version left an empty payload out, and stored the time of the question beside it
        asked = data.get("asked", {} if "askedAt" in data else None)
        if not all(isinstance(flag, bool) for flag in flags) or not all(
            isinstance(each, str) for each in texts.values()
        ):
            raise StateError(f"an answer's {', '.join(_TEXTS)} must be strings, timedOut and isDefault bools")
        if not isinstance(asked, Mapping | None) or not isinstance(misses, int) or isinstance(misses, bool):
            raise StateError("an answer's asked must be an object, and its misses a whole number")
        return cls(
            kind, data.get("value"), timed_out=flags[0], is_default=flags[1], asked=asked, misses=misses, **texts
        )


_TEXTS: Final = {
    "error": "error",
    "flowKey": "flow_key",
    "status": "status",
    "key": "key",
    "workflow": "workflow",
    "input": "input",
    "by": "by",
}


@dataclass(slots=True)
class Control:
    """What the engine reads from a flow after a task has run.

    ``problem`` is a fault in the use of the control calls themselves: it fails the step and is not routed to an
    error handler. ``delay_ms`` is when the next step may start; the engine adds it to a ``Retry``'s own delay.
    ``unclaimed`` are the places of the answers that no call of this run has taken, in their order; ``misfit`` says why
    the question that the task parks with could not be given an answer that belongs to it.
    """

    goto: str = ""
    delay_ms: int = 0
    park: Park | None = None
    problem: str = ""
    unclaimed: Sequence[int] = ()
    misfit: str = ""


def control_of(flow: Flow) -> Control:
    """The control calls recorded on a flow, for the engine."""
    return flow._control()


def answer_on_timeout(interrupt: Interrupt) -> Answer:
    """The answer that is stored for an interrupt whose deadline has passed."""
    if interrupt.has_default:
        return Answer("interrupt", interrupt.default, is_default=True)
    return Answer("interrupt", timed_out=True)
