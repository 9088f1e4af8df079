"""The Flow: what a task receives, reads, writes, and controls its workflow with.

Why the input and the changes are kept apart: only changes are stored with a step, branches of a fan-out are merged by
their changes, and a retry begins with the same input again. Why every read is a copy, made when it is first asked for:
a task may change what it has read without anybody else seeing it, and a state of many megabytes costs only what is
looked at. Why interrupt, subgraph and retry leave the task by an exception that is no ``Exception``: a task may wait
for days in another process, and ``except Exception`` around a call must not keep it from parking. The task is run again
from its top, and the n-th call then returns what it waited for (see ``matching``).
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
    """What a task receives: its input state as a mapping, its control calls, its identity.

    Reading gives the task its own copy of a value; only assigning it back keeps a change. Assigning None deletes, as
    does ``del``, which never raises. A value that cannot be kept raises StateError when it is assigned.

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
    step_key: str  # stable over retries, resumes and recovery: the idempotency key for effects outside
    node: str
    attempt: int  # 0 at first, one more with each retry

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
        handed out. Times are milliseconds since 1970 by the database's clock, 0 where unknown; ``claimed_at_ms`` is
        the time at which this execution began. ``track_reads`` makes ``_lost_writes`` work, and reading slower.
        ``in_fan_out``: other branches run beside this task. ``gathered`` are the reducers of the fields that count as
        empty where no branch has contributed to them. ``executor`` names the one in which the host is to run the task.
        """
        self._state = _NOTHING if state is None else state
        self._changes: dict[str, JSON] = dict(changes) if changes else {}
        self.key = key
        self.step_key = step_key
        self.node = node
        self.attempt = attempt
        self._created_at_ms = created_at_ms
        self._updated_at_ms = updated_at_ms
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
        self._spent: tuple[float, float] | None = None  # when the call of the task began and ended, as its host tells
        self._reads: Reads | None = None
        if track_reads:
            from dwarf.workflow.flow_reads import Reads

            self._reads = Reads()
        self._called_here()

    # ------------------------------------------------------------------ the mapping

    def _raw(self, name: object) -> JSON:
        """The stored form of a field as this task sees it; None where it is absent."""
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

    # Mapping offers overloads here; one signature says the same
    def __getattr__(self, name: str) -> Any:
        """Only asked for what is not there: the error says what it is called here."""
        if name.startswith("_"):
            raise AttributeError(name)
        from dwarf.workflow.habits import missing_attribute

        raise missing_attribute("Flow", name, dir(type(self)))

    def get(self, name: str, default: Any = None, /) -> Any:
        """The value of a field, or ``default`` where it is absent."""
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
        """As with a dict. Every value is checked before the first one is written."""
        written = dict(*args, **fields)
        encoded = encode_fields(written)
        for name, value in encoded.items():
            self._changes[name] = overwrite(value) if is_overwrite(self._changes.get(name)) else value
        if self._reads is not None:
            for name, value in written.items():
                self._reads.assigned(name, value, encoded[name])

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The value of a field, written with ``default`` first where it is absent: a copy in either case."""
        if name not in self:
            self[name] = default
        return self.get(name)

    def clear(self) -> None:
        """Delete every field of the state."""
        for name in self._present():
            self[name] = None

    def snapshot(self) -> dict[str, JSON]:
        """The state as this task sees it now, its own writes included, as a dict of its own."""
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
        """What this step has written so far: a copy, with None for what is deleted."""
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

        KeyError where it is absent and no default is given; StateError where it is of another type. A bool is no int,
        and 5.0 reads as the int 5.
        """
        raw = self._raw(name)
        if raw is None:
            if default is ...:
                raise KeyError(name)
            return default
        return self._given(name, convert(from_json(raw), type_, f"field {name!r}"))

    def load(self, model: type[M]) -> M:
        """The whole state as a dataclass, a pydantic model or a TypedDict; fields it does not have are left out."""
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
        """When this step was first created (UTC); retries keep it."""
        return to_datetime(self._step_created_at_ms)

    @property
    def scheduled_at(self) -> datetime | None:
        """The tick (UTC) of the schedule that created the root flow, however late it fired; None for other flows.

        What a report covers is told by this, not by the clock: a tick that is made up for belongs to its own hour.
        """
        return to_datetime(self._scheduled_at_ms) if self._scheduled_at_ms else None

    @property
    def baggage(self) -> Mapping[str, JSON]:
        """What the flow was created with for its hosts and tasks to know: a copy."""
        return decode_fields(self._baggage) if self._baggage else {}

    # ------------------------------------------------------------------ control calls

    def interrupt(
        self, payload: Any = None, *, timeout: Seconds | None = None, default: JSON = ..., key: str = ""
    ) -> Any:
        """Wait for an answer, and return it: None like any other, and ``{}`` from a resume without data.

        ``payload`` is a title, or a mapping with "title", "schema", "default" and whatever else the answering side
        shall see; any other value, such as a number, a list or a frame, is shown as ``{"value": payload}``. The answer
        comes as the schema's type: an instance where "schema" is a Python type, JSON where it is a JSON schema; without
        a schema as it was given. After ``timeout`` (seconds) the call returns ``default``, which is None or fits the
        schema, or raises InterruptTimeout without one. StateError for a default that does not fit the schema, also for
        one that the payload or the schema itself has.

        The task is parked and, when the answer is there, run again from its top. The call then gets the answer that
        was given to the same question: the one of the same ``key``; without a key the one of an identical payload,
        or, in the task's own coroutine or thread, of the same title and schema. Give a key where the title changes
        from run to run, or where several child tasks ask alike.
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
        """Run a workflow as a child flow, and return its final state; SubgraphFailed where it did not complete.

        Parks like ``interrupt``. ``state`` is the child's whole initial state. When the task is run again the call
        gets the outcome of the child with the same workflow and input, or, in the task's own coroutine or thread, of
        the first of that workflow that no call has got yet.
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
        """Run this task again, after ``delay * factor ** attempt``, at most ``max_delay``; does not return then.

        Returns, for the task to ``raise`` its error, where the next run would begin ``give_up_after`` or more after
        the step was created (None or 0: never give up).
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
        """Go to this node next, over an ``add_goto`` transition, or to END. Last call wins; "" takes it back."""
        if not isinstance(node, str):
            raise InvalidRequest(f"goto needs the name of a node, not {type(node).__name__}")
        self._goto = str.__str__(node)

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Show how far the task is. Best effort: live views show it and the step keeps the last one."""
        numbers = checked_progress(done, total, message)
        if self._on_progress is not None:
            with suppress(Exception):  # showing progress must not fail the work; the receiver reports its own faults
                self._on_progress(*numbers)

    def stream(self, text: str, *, name: str = "") -> None:
        """Append to a text that is read while it grows: the tokens of a model, a protocol. Views show it as it comes.

        It is kept with the step, and written at most four times a second. ``name`` tells several streams of a step
        apart. A step that is run again begins anew. What goes beyond four million characters is left out, and said
        so::

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

        What is kept is made at once, from the value's rich representation, or its repr where it has none. A display of
        the same ``name`` is replaced; those without a name come one after the other, and are replaced in that order
        where the task is run again. StateError where a step would keep more than 16 MB::

            flow.display(figure, name="loss")
        """
        from dwarf.workflow.displaying import bundle_of

        name = checked_label(name)
        bundle = bundle_of(value)
        if self._output is not None:
            self._output().show(name, bundle)

    def _called_here(self) -> None:
        """The coroutine or thread that runs now is the task's own: its calls come in the order of the task's code."""
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
        """A detached flow for one execution elsewhere: nothing it does is seen here until ``_adopt``."""
        kind = type(self)
        fork = kind.__new__(kind)
        for member in _COPIED:
            member.__set__(fork, member.__get__(self))
        fork._changes = dict(self._changes)
        fork._on_progress = on_progress
        return fork

    def _adopt(self, other: Flow) -> None:
        """Take over the writes and the control calls of a detached flow."""
        self._changes = dict(other._changes)
        self._goto, self._delay_ms, self._park = other._goto, other._delay_ms, other._park
        self._book, self._misfit = other._book, other._misfit

    def _lost_writes(self) -> list[str]:
        """Fields handed out as containers that were changed and not assigned back (needs ``track_reads``)."""
        return [] if self._reads is None else self._reads.lost()

    def to_json(self) -> dict[str, JSON]:
        """The wire form, for hosts that reach a task over a network: plain JSON, with what is unset left out."""
        from dwarf.workflow.flow_wire import flow_to_json

        return flow_to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, JSON] | str | bytes) -> Self:
        """Read the wire form. Unknown keys are ignored; StateError on the wrong shape."""
        from dwarf.workflow.flow_wire import flow_from_json

        return flow_from_json(cls, data)


_COPIED: tuple[Any, ...] = tuple(
    vars(Flow)[slot] for slot in Flow.__slots__ if slot not in ("__weakref__", "_changes", "_on_progress", "_spent")
)
_PARK_NAMES: dict[type, str] = {Interrupt: "interrupt", Subgraph: "subgraph", RetrySignal: "retry"}


def _name_of(park: Park) -> str:
    return _PARK_NAMES[type(park)]
