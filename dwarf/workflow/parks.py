"""Arguments and results of a flow's control calls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from dwarf.errors import InterruptTimeout, InvalidRequest, StateError, SubgraphFailed
from dwarf.workflow.durations import MAX_MS, to_ms
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.matching import digest_of, is_on_loop
from dwarf.workflow.signals import Answer, Interrupt, Subgraph
from dwarf.workflow.typeforms import fields_of
from dwarf.workflow.values import from_json, to_json

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph

JSON: TypeAlias = Any


LONGEST_LABEL = 200


def make_interrupt(payload: Any, timeout: Any, default: Any, key: Any = "") -> tuple[Interrupt, Any]:
    """An Interrupt from the arguments of ``flow.interrupt``, and the schema as given by the task (None: none).

    Ellipsis for ``default`` means no default.
    """
    if not isinstance(key, str):
        raise InvalidRequest(f"the key of an interrupt must be a string, not {type(key).__name__}")
    key = checked_name(key) if key else ""
    timeout_ms = None if timeout is None else to_ms(timeout, "timeout")
    fields, spec = _payload(payload)
    if default is ...:
        return Interrupt(fields, timeout_ms, key=key), spec
    return Interrupt(fields, timeout_ms, to_json(default, field="default"), True, key), spec


def check_default(asked: Interrupt, default: Any) -> None:
    """StateError for a default that is not a valid answer. None is valid: it stands for no answer."""
    schema = asked.payload.get("schema")
    if schema is None:
        return
    from dwarf.workflow.schemas import answer_to_json, check, check_defaults
    from dwarf.workflow.schemas.tables import as_rows

    check_defaults(schema, as_rows(asked.payload.get("default"), schema), on_loop=is_on_loop())
    if default is ... or default is None:
        return
    try:
        check(as_rows(answer_to_json(default), schema), schema, on_loop=is_on_loop())
    except InvalidRequest as error:
        raise StateError(f"the default of an interrupt is an answer that fits its schema, or None: {error}") from None


MAX_QUESTION = 16_000_000
"""Characters of JSON; servers refuse statements of more than 16 MiB by default."""
MAX_ANSWER = MAX_QUESTION
MAX_SCHEMA = 1_000_000


def _payload(payload: Any) -> tuple[dict[str, JSON], Any]:
    if payload is None:
        return {}, None
    if isinstance(payload, str):
        payload = {"title": payload}
    fields = fields_of(payload)
    if fields is None:
        fields = {"value": payload}
    fields = {name: _showable(value) for name, value in fields.items()}
    spec = fields.get("schema")
    if "table" in fields and "editable" in fields and spec is None:
        from dwarf.workflow.schemas.tables import Table

        spec = Table(fields["table"], fields["editable"], fields.get("rows"))
        fields |= {"editable": spec.editable, "schema": spec.schema()}
    elif spec is not None:
        from dwarf.workflow.schemas import to_schema  # loaded by the first prompt with a schema

        fields["schema"] = to_schema(spec, on_loop=is_on_loop())
    else:
        fields.pop("schema", None)
    encoded = encode_fields(fields, "payload.")
    if spec is not None:
        check_size(encoded["schema"], MAX_SCHEMA, "the schema of a question")
    check_size(encoded, MAX_QUESTION, "the payload of a question")
    return encoded, spec


def check_size(value: JSON, most: int, what: str) -> None:
    """StateError for a value with longer JSON than this."""
    length = len(dumps(value))
    if length > most:
        raise StateError(
            f"{what} is at most {most:,} characters of JSON, and this one has {length:,}: keep what is large in a "
            "file or a table of your own, and give its name"
        )


def _showable(value: Any) -> Any:
    """A value of a payload; if it cannot be stored but can be displayed, its display."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if type(value) is dict:
        return {name: _showable(part) for name, part in value.items()}
    if type(value) is list:
        return [_showable(part) for part in value]
    try:
        to_json(value)
    except StateError:
        from dwarf.workflow.displaying import bundle_of, is_rich
        from dwarf.workflow.output import Display

        if is_rich(value):
            return Display(data=bundle_of(value))
    return value


def encode_fields(fields: Mapping[str, Any], prefix: str = "", *, drop_none: bool = False) -> dict[str, JSON]:
    """Each field as plain tagged JSON. StateError, naming the field after ``prefix``, for a value that cannot be
    stored.
    """
    encoded: dict[str, JSON] = {}
    for name, value in fields.items():
        name = checked_name(name)
        if value is not None or not drop_none:
            encoded[name] = to_json(value, field=prefix + name)
    return encoded


def decode_fields(fields: Mapping[str, JSON]) -> dict[str, Any]:
    """The user's own copy of each field, without absent ones."""
    return {name: from_json(value) for name, value in fields.items() if value is not None}


def checked_name(name: object) -> str:
    """A field name as a plain str. StateError unless it is a non-empty string that can be encoded."""
    if type(name) is str and name and name.isascii():  # as nearly all
        return name
    if not isinstance(name, str):
        raise StateError(f"a field name must be a string, not {type(name).__name__}")
    if not name:
        raise StateError("a field name must not be empty")
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise StateError(f"field name {name!r} holds a lone surrogate, which no text encoding can keep") from None
    return name if type(name) is str else str.__str__(name)


class Reading:
    """Reads the answers that belong to a call of ``flow.interrupt``, until one can be returned."""

    __slots__ = ("_default", "_schema", "_spec", "_timed_out", "_value", "misfit")

    misfit: str  # why an answer could not be returned

    def __init__(self, spec: Any, schema: Any, default: Any) -> None:
        """``spec``: the task's present schema, from which ``schema`` is made; ``default``: the default of the call."""
        self._spec = spec
        self._schema = schema
        self._default = default
        self._timed_out = False
        self._value: Any = None
        self.misfit = ""

    def take(self, answer: Answer) -> bool:
        """Whether an answer can be returned, in the form required by the schema."""
        self._timed_out = answer.timed_out
        if answer.timed_out:
            return True
        if self._spec is None:
            self._value = from_json(answer.value)
            return True
        from dwarf.workflow.schemas.typed import AnswerMisfit, as_asked

        try:
            self._value = as_asked(answer, self._spec, self._schema, on_loop=is_on_loop())
        except AnswerMisfit as misfit:
            self.misfit = str(misfit)
            return False
        return True

    def result(self) -> Any:
        """The return value of the call, or InterruptTimeout."""
        if not self._timed_out:
            return self._value
        if self._default is ...:
            raise InterruptTimeout("no answer came before the interrupt's time-out")
        return self._default  # the default was added after the question was asked


def make_subgraph(workflow: str | Graph, state: Any) -> tuple[Subgraph, str]:
    """A Subgraph from the arguments of ``flow.subgraph``, and the digest of its input."""
    if isinstance(workflow, str):
        if not workflow:
            raise InvalidRequest("subgraph needs the name of a workflow, or a Graph")
    else:
        from dwarf.workflow.graph import Graph

        if not isinstance(workflow, Graph):
            raise InvalidRequest(f"subgraph needs the name of a workflow, or a Graph, not {type(workflow).__name__}")
    fields = {} if state is None else fields_of(state)
    if fields is None:
        raise StateError(
            f"the state of a subgraph must be a mapping, a dataclass or a model, not {type(state).__name__}"
        )
    call = Subgraph(workflow, encode_fields(fields, "state.", drop_none=True))
    return call, digest_of(call.state)


def subgraph_result(answer: Answer) -> dict[str, Any]:
    """The return value of ``flow.subgraph`` for a stored answer; SubgraphFailed if the child did not complete."""
    state = decode_fields(answer.value) if isinstance(answer.value, Mapping) else {}
    if not answer.error and answer.status in ("", "completed"):
        return state
    from dwarf.workflow.results import Outcome
    from dwarf.workflow.status import Status

    status = Status(answer.status) if answer.status in {s.value for s in Status} else Status.FAILED
    cancelled = status is Status.CANCELLED
    outcome = Outcome(
        flow_key=answer.flow_key,
        status=Status.FAILED if status is Status.COMPLETED else status,
        state=state,
        error="" if cancelled else answer.error,
        cancel_reason=answer.error if cancelled else "",
    )
    raise SubgraphFailed(answer.error or f"the child flow was {answer.status}", outcome)


def backoff_ms(delay: Any, factor: Any, max_delay: Any, attempt: int) -> int:
    """``delay * factor ** attempt`` in milliseconds, at most ``max_delay`` (None or 0: no bound).

    A factor of zero or less means a constant delay.
    """
    delay_ms = to_ms(delay, "delay")
    limit = (0 if max_delay is None else to_ms(max_delay, "max_delay")) or MAX_MS
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or math.isnan(factor):
        raise InvalidRequest(f"factor must be a number, not {factor!r}")
    if delay_ms == 0 or factor <= 0 or factor == 1 or attempt <= 0:
        return min(delay_ms, limit)
    try:
        grown = delay_ms * float(factor) ** attempt
    except OverflowError:
        return limit
    return limit if grown >= limit else round(grown)


def checked_progress(done: Any, total: Any, message: Any) -> tuple[float, float | None, str]:
    """The arguments of ``flow.progress``; InvalidRequest for values that are not numbers, or are negative."""
    return _count(done, "done"), None if total is None else _count(total, "total"), str(message)


def checked_label(name: object) -> str:
    """The name of a stream or a display; InvalidRequest for values that are not texts, or are too long."""
    if not isinstance(name, str):
        raise InvalidRequest(f"a name is a text, not {type(name).__name__}")
    if len(name) > LONGEST_LABEL:
        raise InvalidRequest(f"a name has at most {LONGEST_LABEL} characters")
    return name.encode("utf-8", "replace").decode()


def _count(value: Any, what: str) -> float:
    try:
        number = None if isinstance(value, (str, bytes, bool)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not math.isfinite(number) or number < 0:
        raise InvalidRequest(f"progress: {what} must be a number, zero or more, not {value!r}")
    return number
