"""The Flow: the object through which a task reads and writes its state and controls its workflow.

Why the input and the changes are kept apart: only changes are stored with a step, branches of a fan-out are merged by
their changes, and a retry begins with the same input. Why every read is a copy, made at the first read: a task may
modify the value without any effect elsewhere, and of a state of many megabytes only the fields that are read cost time.
Why interrupt, subgraph and retry leave the task by an exception that is not an ``Exception``: a task may wait for days
in another process, and ``except Exception`` around a call must not keep it from parking. The task is run again from its
top, and the n-th call then returns its answer (see ``matching``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeAlias, TypeVar, overload

from dwarf.errors import InvalidRequest, Parked
from dwarf.workflow.convert import convert
from dwarf.workflow.durations import Seconds, to_datetime, to_ms
from dwarf.workflow.matching import AnswerBook, Asked, caller
from dwarf.workflow.overwrites import bare, is_overwrite, overwrite, refused
from dwarf.workflow.parks import (
    Reading,
    backoff_ms,
    check_default,
    checked_label,
    checked_name,
    checked_progress,
    decode_fields,
    encode_fields,
    make_interrupt,
    make_subgraph,
    subgraph_result,
)
from dwarf.workflow.signals import Answer, Control, Interrupt, Park, RetrySignal, Subgraph
from dwarf.workflow.values import from_json, to_json

if TYPE_CHECKING:
    from dwarf.workflow.flow_reads import Reads
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.output import TaskOutput

JSON: TypeAlias = Any
M = TypeVar("M")
Progress: TypeAlias = Callable[[float, "float | None", str], None]

_NOTHING: Mapping[str, JSON] = {}
_SCALARS = frozenset({str, int, bool, float})


class Flow(MutableMapping[str, JSON]):
    """The argument of a task: its input state as a mapping, its control calls, and its identity.

    Reading gives the task its own copy of a value; only assigning it back keeps a change. Assigning None deletes the
    field, as does ``del``, which never raises. Assigning a value that cannot be stored raises StateError.

    A flow belongs to one execution of one task and is not locked: write from one thread or coroutine at a time.

    >>> from dwarf import Flow
    >>> flow = Flow({"amount": 3})  # as a test makes one
    >>> flow["total"] = flow["amount"] * 2
    >>> dict(flow.changes)
    {'total': 6}
    """

    __slots__ = (
        "__weakref__", "_baggage", "_book", "_born", "_callers", "_changes", "_claimed_at_ms", "_created_at_ms",
        "_delay_ms", "_executor", "_gathered", "_goto", "_in_fan_out", "_misfit", "_on_progress", "_output", "_park",
        "_reads",
        "_scheduled_at_ms", "_spent", "_state", "_step_created_at_ms", "_updated_at_ms", "attempt", "key", "node",
        "step_key",
    )  # fmt: skip

    key: str  # the flow's key
    step_key: str  # stable over retries, resumes and recovery: use it as idempotency key for external effects
    node: str
    attempt: int  # 0 for the first attempt, one more with each retry

    def __init__(
        self,
        state: Mapping[str, JSON] | None = None,
        changes: Mapping[str, JSON] | None = None,
        *,
        key: str = "",
        step_key: str = "",
        node: str = "",
        attempt: int = 0,
        created_at_ms: int = 0,
        updated_at_ms: int = 0,
        step_created_at_ms: int = 0,
        baggage: Mapping[str, JSON] | None = None,
        answers: Sequence[Answer] = (),
        claimed_at_ms: int = 0,
        on_progress: Progress | None = None,
        track_reads: bool = False,
        in_fan_out: bool = False,
        gathered: Mapping[str, str] = _NOTHING,
        scheduled_at_ms: int = 0,
        executor: str = "",
        output: Callable[[], TaskOutput] | None = None,
    ) -> None:
        """For the engine and for tests.

        ``state`` and ``changes`` are plain tagged JSON that stays shared with the caller: it is neither changed nor
        handed out. Times are milliseconds since 1970 by the database's clock, 0 if unknown; ``claimed_at_ms`` is the
        start of this execution. ``track_reads`` enables ``_lost_writes``, and makes reading slower. ``in_fan_out``:
        other branches run beside this task. ``gathered`` are the reducers of the fields that count as empty if no
        branch has contributed to them. ``executor`` names the executor in which the host runs the task.
        """
        self._state = _NOTHING if state is None else state
        self._changes: dict[str, JSON] = dict(changes) if changes else {}
        self.key = key
        self.step_key = step_key
        self.node = node
        self.attempt = attempt
        self._created_at_ms, self._updated_at_ms = created_at_ms, updated_at_ms
        self._step_created_at_ms = step_created_at_ms
        self._baggage = baggage
        self._book = AnswerBook(answers) if answers else None
        self._callers: tuple[tuple[int, int], ...] = ()
        self._misfit = ""
        self._claimed_at_ms = claimed_at_ms
        self._born = monotonic()
        self._on_progress, self._output = on_progress, output
        self._in_fan_out = in_fan_out
        self._gathered = gathered
        self._scheduled_at_ms = scheduled_at_ms
        self._executor = executor
        self._goto, self._delay_ms = "", 0
        self._park: Park | None = None
        self._spent: tuple[float, float] | None = None  # start and end of the call of the task, set by its host
        self._reads: Reads | None = None
        if track_reads:
            from dwarf.workflow.flow_reads import Reads

            self._reads = Reads()
        if answers:
            self._called_here()

    # ------------------------------------------------------------------ the mapping

    def _raw(self, name: object) -> JSON:
        """The stored form of a field as this task sees it; None if it is absent."""
        changes = self._changes
        if name in changes:
            value = changes[name]
            return bare(value) if type(value) is dict else value
        return self._state.get(name)  # type: ignore[call-overload]

    def _given(self, name: str, value: Any) -> Any:
        if self._reads is not None:
            self._reads.hand_out(name, value)
        return value

    def __getitem__(self, name: str) -> JSON:
        raw = self._raw(name)
        if type(raw) in _SCALARS:
            return raw
        if raw is None:
            raise KeyError(name)
        return self._given(name, from_json(raw))

    def __getattr__(self, name: str) -> Any:
        """Called for missing attributes only: the error names the attribute that dwarf has instead."""
        if name.startswith("_"):
            raise AttributeError(name)
        from dwarf.workflow.habits import missing_attribute

        raise missing_attribute("Flow", name, dir(type(self)))

    # Mapping offers overloads here; one signature says the same
    def get(self, name: str, default: Any = None, /) -> Any:
        """The value of a field, or ``default`` if it is absent."""
        raw = self._raw(name)
        if type(raw) in _SCALARS:
            return raw
        return default if raw is None else self._given(name, from_json(raw))

    def __setitem__(self, name: str, value: JSON) -> None:
        name = checked_name(name)
        encoded = to_json(value, field=name)
        self._changes[name] = overwrite(encoded) if is_overwrite(self._changes.get(name)) else encoded
        if self._reads is not None:
            self._reads.assigned(name, value, encoded)

    def __delitem__(self, name: str) -> None:
        self[name] = None

    def __contains__(self, name: object) -> bool:
        return self._raw(name) is not None

    def _present(self) -> list[str]:
        state, changes = self._state, self._changes
        names = [name for name, raw in state.items() if bare(changes.get(name, raw)) is not None]
        names.extend(name for name, raw in changes.items() if bare(raw) is not None and name not in state)
        return names

    def __iter__(self) -> Iterator[str]:
        return iter(self._present())

    def __len__(self) -> int:
        return len(self._present())

    def __repr__(self) -> str:
        from reprlib import repr as short

        try:
            return f"Flow({short(self.snapshot())}, node={self.node!r}, attempt={self.attempt})"
        except Exception:  # noqa: BLE001 - a state that cannot be decoded must still be printable in a traceback
            return f"Flow(node={self.node!r}, attempt={self.attempt})"

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def _ipython_key_completions_(self) -> list[str]:
        return self._present()

    def update(self, /, *args: Any, **fields: Any) -> None:
        """As for a dict. All values are checked before the first one is written."""
        written = dict(*args, **fields)
        encoded = encode_fields(written)
        for name, value in encoded.items():
            self._changes[name] = overwrite(value) if is_overwrite(self._changes.get(name)) else value
        if self._reads is not None:
            for name, value in written.items():
                self._reads.assigned(name, value, encoded[name])

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The value of a field; if it is absent, ``default`` is written first. Always a copy."""
        if name not in self:
            self[name] = default
        return self.get(name)

    def clear(self) -> None:
        """Delete every field of the state."""
        for name in self._present():
            self[name] = None

    def snapshot(self) -> dict[str, JSON]:
        """The state as this task sees it now, including its own writes, as a new dict."""
        return {name: from_json(self._raw(name)) for name in self._present()}

    def overwrite(self, name: str, value: JSON) -> None:
        """Give a field this value, whatever its reducer says; None clears it.

        In the middle of a graph assigning does the same. What the last node assigns, or the source of a fan-out, is
        combined with what there was, by the field's reducer; what it overwrites is not. StateError inside a fan-out,
        where branches would overwrite each other's contributions, and for a value that cannot be kept::

            flow.overwrite("messages", [])
        """
        if self._in_fan_out:
            raise refused(name)
        self[name] = value
        self._changes[name] = overwrite(bare(self._changes[name]))

    @property
    def changes(self) -> Mapping[str, JSON]:
        """The changes of this step so far: a copy, with None for deleted fields."""
        return {name: from_json(raw) for name, raw in self._changes.items()}

    @property
    def _raw_changes(self) -> dict[str, JSON]:
        """The changes as plain tagged JSON, for the engine: the flow's own dict."""
        return self._changes

    # ------------------------------------------------------------------ typed reading and writing

    @overload
    def get_as(self, name: str, type_: type[M]) -> M: ...
    @overload
    def get_as(self, name: str, type_: type[M], default: M) -> M: ...
    @overload
    def get_as(self, name: str, type_: Any, default: Any = ...) -> Any: ...
    def get_as(self, name: str, type_: Any, default: Any = ...) -> Any:
        """A field read as a type: a class, ``list[int]``, ``X | None``, a dataclass, a model, a TypedDict, an Enum.

        KeyError if it is absent and there is no default; StateError if it has another type. A bool is no int, and 5.0
        reads as the int 5.
        """
        raw = self._raw(name)
        if raw is None:
            if default is ...:
                raise KeyError(name)
            return default
        return self._given(name, convert(from_json(raw), type_, f"field {name!r}"))

    def load(self, model: type[M]) -> M:
        """The whole state as a dataclass, a pydantic model or a TypedDict. Fields that the class lacks are left out."""
        loaded: M = convert(self.snapshot(), model, "the state")
        return loaded

    def save(self, value: Any) -> None:
        """Write the fields of a dataclass, a model or a mapping that differ from the state. A None field deletes."""
        from dwarf.workflow.flow_save import changed_fields

        self.update(changed_fields(value, self._raw))

    # ------------------------------------------------------------------ identity

    @property
    def created_at(self) -> datetime:
        """When the flow was created (UTC)."""
        return to_datetime(self._created_at_ms)

    @property
    def updated_at(self) -> datetime:
        """When the flow last changed its status (UTC)."""
        return to_datetime(self._updated_at_ms)

    @property
    def step_created_at(self) -> datetime:
        """When this step was created (UTC); retries keep the time."""
        return to_datetime(self._step_created_at_ms)

    @property
    def scheduled_at(self) -> datetime | None:
        """The tick (UTC) of the schedule that created the root flow, even if it fired late; None for other flows.

        A report should use it for its period instead of the clock: a tick that is made up for belongs to its own hour.
        """
        return to_datetime(self._scheduled_at_ms) if self._scheduled_at_ms else None

    @property
    def baggage(self) -> Mapping[str, JSON]:
        """The baggage given at the creation of the flow, for its hosts and tasks: a copy."""
        return decode_fields(self._baggage) if self._baggage else {}

    # ------------------------------------------------------------------ control calls

    def interrupt(
        self, payload: Any = None, *, timeout: Seconds | None = None, default: JSON = ..., key: str = ""
    ) -> Any:
        """Wait for an answer, and return it: None like any other, and ``{}`` from a resume without data.

        ``payload`` is a title, or a mapping with "title", "schema", "default" and any further members for the answering
        side; any other value, such as a number, a list or a frame, is shown as ``{"value": payload}``. The answer comes
        as the schema's type: an instance if "schema" is a Python type, JSON if it is a JSON schema; without a schema it
        comes as it was given. After ``timeout`` (seconds) the call returns ``default``, which is None or fits the
        schema; without a default it raises InterruptTimeout. StateError for a default that does not fit the schema,
        also for one in the payload or the schema itself.

        The task is parked and, when the answer has come, run again from its top. The call then gets the answer to the
        same question: the question with the same ``key``; without a key the one with an identical payload, or, in the
        task's own coroutine or thread, with the same title and schema. Give a key if the title changes from run to run,
        or if several child tasks ask alike.
        """
        self._raise_if_parked()
        asked, spec = make_interrupt(payload, timeout, default, key)
        if self._book is not None:
            reading = Reading(spec, asked.payload.get("schema"), default)
            question = Asked("interrupt", asked.key, asked.payload)
            if self._book.claim(question, own=self._is_own(), usable=reading.take) is not None:
                return reading.result()
            self._misfit = reading.misfit
        check_default(asked, default)
        return self._leave(asked)

    def subgraph(self, workflow: str | Graph, state: Mapping[str, JSON] | None = None) -> dict[str, JSON]:
        """Run a workflow as a child flow, and return its final state; SubgraphFailed if it did not complete.

        Parks like ``interrupt``. ``state`` is the child's whole initial state. When the task is run again, the call
        gets the outcome of the child with the same workflow and input, or, in the task's own coroutine or thread, the
        first unclaimed outcome of that workflow.
        """
        self._raise_if_parked()
        call, digest = make_subgraph(workflow, state)
        if self._book is not None:
            question = Asked("subgraph", workflow=call.name, input=digest)
            answer = self._book.claim(question, own=self._is_own())
            if answer is not None:
                return subgraph_result(answer)
        return self._leave(call)

    def retry(
        self,
        *,
        delay: Seconds = 0,
        factor: float = 1,
        max_delay: Seconds | None = None,
        give_up_after: Seconds | None = None,
    ) -> None:
        """Run this task again, after ``delay * factor ** attempt``, at most ``max_delay``. Does not return then.

        Returns if the next run would begin ``give_up_after`` or more after the creation of the step (None or 0: no
        limit). The task then raises its error.
        """
        self._raise_if_parked()
        delay_ms = backoff_ms(delay, factor, max_delay, self.attempt)
        horizon_ms = 0 if give_up_after is None else to_ms(give_up_after, "give_up_after")
        if horizon_ms and self._step_created_at_ms and self._claimed_at_ms:
            now_ms = self._claimed_at_ms + (monotonic() - self._born) * 1000
            if now_ms - self._step_created_at_ms + delay_ms >= horizon_ms:
                return
        self._leave(RetrySignal(delay_ms))

    def delay(self, duration: Seconds) -> None:
        """The next step, or the next attempt, starts no sooner than this from now, restarts or not. Last call wins."""
        self._delay_ms = to_ms(duration, "delay")

    def goto(self, node: str) -> None:
        """Continue at this node, over an ``add_goto`` transition, or at END. The last call wins; "" cancels it."""
        if not isinstance(node, str):
            raise InvalidRequest(f"goto needs the name of a node, not {type(node).__name__}")
        self._goto = str.__str__(node)

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Report the progress of the task. Best effort: live views show it, and the step keeps the last report."""
        numbers = checked_progress(done, total, message)
        if self._on_progress is not None:
            with suppress(Exception):  # a failing report must not fail the task; the receiver logs its own errors
                self._on_progress(*numbers)

    def stream(self, text: str, *, name: str = "") -> None:
        """Append to a text that is read while it grows: the tokens of a model, a log. Views show it as it comes.

        It is stored with the step, and written at most four times a second. ``name`` distinguishes several streams of a
        step. A step that is run again begins anew. Text beyond four million characters is left out, with a note in the
        output::

            for token in model.generate(prompt):
                flow.stream(token)
        """
        if not isinstance(text, str):
            raise InvalidRequest(f"a stream takes text, not {type(text).__name__}")
        name = checked_label(name)
        if self._output is not None:
            self._output().stream(str.__str__(text), name)

    def display(self, value: Any, *, name: str = "") -> None:
        """Show a value under the node, in the panel, the report and the history: a figure, a frame, an image, Markdown.

        The value's rich representation is stored immediately, or its repr if it has none. A display of the same
        ``name`` is replaced; displays without a name are added one after the other, and are replaced in that order if
        the task is run again. StateError if the displays of a step exceed 16 MB::

            flow.display(figure, name="loss")
        """
        from dwarf.workflow.displaying import bundle_of

        name = checked_label(name)
        bundle = bundle_of(value)
        if self._output is not None:
            self._output().show(name, bundle)

    def _called_here(self) -> None:
        """Call this in the task's own coroutine or thread: its calls come in the order of the task's code."""
        if self._book is not None:
            self._callers = (*self._callers, caller())

    @property
    def _answers(self) -> Sequence[Answer]:
        return () if self._book is None else self._book.answers

    def _is_own(self) -> bool:
        return caller() in self._callers

    def _raise_if_parked(self) -> None:
        if self._park is not None:
            raise Parked(f"parked: {_name_of(self._park)}")

    def _leave(self, park: Park) -> NoReturn:
        self._park = park
        raise Parked(f"parked: {_name_of(park)}")

    # ------------------------------------------------------------------ for the engine, hosts and tests

    def _control(self) -> Control:
        problem = ""
        if self._goto and self._park is not None:
            problem = f"multiple competing control signals: goto and {_name_of(self._park)}"
        unclaimed = () if self._book is None else self._book.unclaimed
        return Control(self._goto, self._delay_ms, self._park, problem, unclaimed, self._misfit)

    def _fork_carrier(self, on_progress: Progress | None = None) -> Flow:
        """A detached flow for an execution elsewhere. Its changes have no effect here until ``_adopt``."""
        kind = type(self)
        fork = kind.__new__(kind)
        for member in _COPIED:
            member.__set__(fork, member.__get__(self))
        fork._changes = dict(self._changes)
        fork._on_progress = on_progress
        return fork

    def _adopt(self, other: Flow) -> None:
        """Adopt the writes and the control calls of a detached flow."""
        self._changes = dict(other._changes)
        self._goto, self._delay_ms, self._park = other._goto, other._delay_ms, other._park
        self._book, self._misfit = other._book, other._misfit

    def _lost_writes(self) -> list[str]:
        """Fields whose containers were read, changed and not assigned back (needs ``track_reads``)."""
        return [] if self._reads is None else self._reads.lost()

    def to_json(self) -> dict[str, JSON]:
        """The wire form, for hosts that reach a task over a network: plain JSON, without unset members."""
        from dwarf.workflow.flow_wire import flow_to_json

        return flow_to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, JSON] | str | bytes) -> Self:
        """Parse the wire form. Unknown keys are ignored; StateError for the wrong shape."""
        from dwarf.workflow.flow_wire import flow_from_json

        return flow_from_json(cls, data)


_COPIED: tuple[Any, ...] = tuple(
    vars(Flow)[slot] for slot in Flow.__slots__ if slot not in ("__weakref__", "_changes", "_on_progress", "_spent")
)
_PARK_NAMES: dict[type, str] = {Interrupt: "interrupt", Subgraph: "subgraph", RetrySignal: "retry"}


def _name_of(park: Park) -> str:
    return _PARK_NAMES[type(park)]
