"""Checking the arguments with which a caller creates a flow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dwarf.core.fairness import DEFAULT_WEIGHT
from dwarf.core.records import NO_EXTRAS, Extras
from dwarf.engine.config import MAX_INT32, Settings, check_time_budget
from dwarf.errors import InvalidRequest, StateError
from dwarf.workflow.durations import Seconds, to_epoch_ms, to_ms
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.parks import encode_fields
from dwarf.workflow.typeforms import fields_of
from dwarf.workflow.values.meaning import canonical

MAX_KEY = 256
MAX_TAGS = 32
MAX_TAG_NAME = 128


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """The options of a flow, with all defaults."""

    priority: int
    fairness_key: str
    fairness_weight: float
    time_budget_ms: int
    baggage: Mapping[str, Any]
    delete_on_completion: bool
    idempotency_key: str | None
    extras: Extras = NO_EXTRAS


_OPTIONS: Mapping[str, Any] = {
    "priority": 0,
    "fairness_key": "",
    "fairness_weight": 0.0,
    "time_budget": None,
    "baggage": None,
    "delete_on_completion": False,
    "name": "",
    "tags": None,
    "start_at": None,
    "deadline": None,
    "interrupt_before": (),
    "interrupt_after": (),
}


def read_options(
    settings: Settings,
    *,
    priority: int,
    fairness_key: str,
    fairness_weight: float,
    time_budget: Seconds | None,
    baggage: Mapping[str, Any] | None,
    delete_on_completion: bool,
    idempotency_key: str,
    name: str = "",
    tags: Mapping[str, str] | None = None,
    start_at: datetime | None = None,
    deadline: Seconds | datetime | None = None,
    interrupt_before: Iterable[str] = (),
    interrupt_after: Iterable[str] = (),
) -> CreateOptions:
    """Check the options of create. InvalidRequest names a wrong one."""
    if not isinstance(priority, int) or isinstance(priority, bool) or not 0 <= priority <= MAX_INT32:
        raise InvalidRequest(f"priority is a whole number from 1 to {MAX_INT32} (0: the default), not {priority!r}")
    if isinstance(fairness_weight, bool) or not isinstance(fairness_weight, (int, float)):
        raise InvalidRequest("fairness_weight is a number")
    if not _is_finite(fairness_weight) or fairness_weight < 0:
        raise InvalidRequest("fairness_weight is a positive number (0: the default, 1)")
    return CreateOptions(
        priority=priority or settings.default_priority,
        fairness_key=read_text(fairness_key, "fairness_key"),
        fairness_weight=float(fairness_weight) or DEFAULT_WEIGHT,
        time_budget_ms=settings.time_budget_ms if time_budget is None else check_time_budget(time_budget),
        baggage=_baggage(baggage),
        delete_on_completion=read_flag(delete_on_completion, "delete_on_completion"),
        idempotency_key=read_text(idempotency_key, "idempotency_key") or None,
        extras=Extras(
            name=read_label(name, "name"),
            tags=read_tags(tags),
            start_at=0 if start_at is None else read_moment(start_at, "start_at"),
            **_deadline(deadline),
            before=read_nodes(interrupt_before, "interrupt_before"),
            after=read_nodes(interrupt_after, "interrupt_after"),
        ),
    )


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond the range of floats
        return False


def read_moment(value: object, what: str) -> int:
    """A moment as epoch milliseconds. InvalidRequest for one without a time zone."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidRequest(f"{what} is a datetime with a time zone, such as datetime(2030, 1, 31, tzinfo=UTC)")
    return max(to_epoch_ms(value), 1)


def _deadline(value: object) -> dict[str, int]:
    """The deadline of a flow: a moment, or a duration from its creation."""
    if value is None:
        return {}
    if isinstance(value, datetime):
        return {"deadline_at": read_moment(value, "deadline")}
    milliseconds = to_ms(value, "deadline")
    if milliseconds < 1:
        raise InvalidRequest("deadline is positive seconds, a timedelta, or a datetime with a time zone")
    return {"deadline_ms": milliseconds}


def read_nodes(nodes: object, what: str) -> tuple[str, ...]:
    """Names of nodes. InvalidRequest."""
    if isinstance(nodes, (str, bytes)) or not isinstance(nodes, Iterable):
        shown = f"[{nodes!r}]" if isinstance(nodes, str) else "['Review']"
        raise InvalidRequest(f"{what} is a list of nodes, such as {shown}, not {type(nodes).__name__}")
    return tuple(dict.fromkeys(read_text(node, f"a node of {what}", 512) for node in nodes))


def read_label(value: object, what: str, most: int = MAX_KEY) -> str:
    """A name or the value of a tag. InvalidRequest."""
    text = read_text(value, what, most)
    if "\0" in text:
        raise InvalidRequest(f"{what} holds a NUL character, which not every database can keep")
    return text


def read_tags(tags: object) -> dict[str, str]:
    """The tags of a flow. InvalidRequest names a wrong one."""
    if tags is None:
        return {}
    found = _tags(tags)
    for name, value in found.items():
        if value is None:
            raise InvalidRequest(f"the value of tag {name!r} is a string, not None")
    return found  # type: ignore[return-value]  # as was just made sure


def read_tag_changes(tags: object) -> dict[str, str | None]:
    """Changes of tags; None removes one. InvalidRequest."""
    return {} if tags is None else _tags(tags)


def _tags(tags: object) -> dict[str, str | None]:
    if not isinstance(tags, Mapping):
        raise InvalidRequest(f"tags are a mapping from names to texts, not {type(tags).__name__}")
    if len(tags) > MAX_TAGS:
        raise InvalidRequest(f"a flow has at most {MAX_TAGS} tags, not {len(tags)}")
    found: dict[str, str | None] = {}
    for name, value in tags.items():
        tag = read_label(name, "the name of a tag", MAX_TAG_NAME)
        if not tag:
            raise InvalidRequest("the name of a tag is empty")
        found[tag] = None if value is None else read_label(value, f"the value of tag {tag!r}")
    return found


def read_keys(keys: Iterable[str] | None, count: int) -> list[str | None]:
    """Check the idempotency keys of ``count`` flows; None: without keys. InvalidRequest."""
    if keys is None:
        return [None] * count
    if isinstance(keys, (str, bytes)):
        raise InvalidRequest("idempotency_keys is a list of keys, one for each state, not a single text")
    known = [read_text(key, "idempotency_key") or None for key in keys]
    if len(known) != count:
        raise InvalidRequest(f"{count} states need as many idempotency keys, not {len(known)}")
    return known


def read_flag(value: object, what: str) -> bool:
    """True or False only: a text such as "no" would count as True. InvalidRequest."""
    if not isinstance(value, bool):
        raise InvalidRequest(f"{what} is True or False, not {value!r}")
    return value


def read_schedule_options(name: object, settings: Settings, options: Mapping[str, Any]) -> CreateOptions:
    """Check the name and the create options of a schedule. InvalidRequest."""
    if not read_text(name, "name"):
        raise InvalidRequest("a schedule needs a name")
    known = [option for option in _OPTIONS if option not in ("name", "start_at")]
    unknown = sorted(set(options).difference(known))
    if unknown:
        raise InvalidRequest(f"a schedule takes no {', '.join(unknown)}; it takes {', '.join(known)}")
    if isinstance(options.get("deadline"), datetime):
        raise InvalidRequest("the deadline of a schedule's flows is a duration, counted from each tick's creation")
    return read_same_options(settings, options)


def read_same_options(settings: Settings, options: Mapping[str, Any]) -> CreateOptions:
    """Check the options that several flows share. InvalidRequest; TypeError for an unknown one."""
    given: dict[str, Any] = {**_OPTIONS, **options}
    return read_options(settings, **given, idempotency_key="")


def read_state(state: Any) -> dict[str, Any]:
    """An initial state as plain JSON. InvalidRequest if it is no object; StateError for a value in it."""
    if state is None:
        return {}
    fields = fields_of(state)
    if fields is None:
        hint = ": give its .to_dict()" if type(state).__name__ == "Series" else ""
        raise InvalidRequest(f"a state is a mapping, a dataclass or a model, not {type(state).__name__}{hint}")
    return encode_fields(fields, drop_none=True)


def read_states(states: Any) -> list[dict[str, Any]]:
    """The initial states of several flows. InvalidRequest, StateError as for one."""
    if isinstance(states, (str, bytes, Mapping)) or not isinstance(states, Iterable):
        raise InvalidRequest(f"the states of several flows are a list of states, not {type(states).__name__}")
    return [read_state(state) for state in states]


def request_text(workflow_url: str, state: Mapping[str, Any]) -> str:
    """The digest by which creates with the same idempotency key are compared: the workflow's URL and the state."""
    return dumps([workflow_url, canonical(state)])


def _baggage(baggage: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if baggage is None:
        return {}
    if not isinstance(baggage, Mapping):
        raise InvalidRequest(f"baggage is a mapping, not {type(baggage).__name__}")
    try:
        return encode_fields(baggage, "baggage.", drop_none=True)
    except StateError as error:
        raise InvalidRequest(f"baggage cannot be kept: {error}") from error


def read_text(value: object, what: str, most: int = MAX_KEY) -> str:
    """A name, a key or another text of a caller, as a plain str. InvalidRequest for text that no database can store."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{what} is a string, not {type(value).__name__}")
    if len(value) > most:
        raise InvalidRequest(f"{what} has at most {most:,} characters")
    text = str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                f"{what} holds a lone surrogate at {error.start}, which no text encoding can keep"
            ) from None
    return text
