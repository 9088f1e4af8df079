"""The wire form of a Flow, for hosts that reach a task over a network.

One JSON object without unset members, except ``state`` and ``changes``. Durations are whole nanoseconds, times are RFC
3339. Input is untrusted: shapes are checked here, meanings by the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from dwarf.errors import GraphError, StateError
from dwarf.workflow.durations import MAX_MS, to_datetime, to_epoch_ms
from dwarf.workflow.jsontext import loads
from dwarf.workflow.parks import checked_name
from dwarf.workflow.signals import Answer, Interrupt, Park, RetrySignal, Subgraph

if TYPE_CHECKING:
    from dwarf.workflow.flow import Flow

JSON: TypeAlias = Any
FlowT = TypeVar("FlowT", bound="Flow")

_NS_PER_MS = 1_000_000


def flow_to_json(flow: Flow) -> dict[str, JSON]:
    """A flow as one JSON object that shares its values with the flow."""
    data: dict[str, JSON] = {"state": dict(flow._state), "changes": dict(flow._changes)}
    plain = {
        "flowKey": flow.key,
        "stepKey": flow.step_key,
        "node": flow.node,
        "attempt": flow.attempt,
        "goto": flow._goto,
        "sleepDuration": flow._delay_ms * _NS_PER_MS,
        "createdAt": _time_text(flow._created_at_ms),
        "updatedAt": _time_text(flow._updated_at_ms),
        "stepCreatedAt": _time_text(flow._step_created_at_ms),
        "claimedAt": _time_text(flow._claimed_at_ms),
        "scheduledAt": _time_text(flow._scheduled_at_ms),
        "baggage": dict(flow._baggage or {}),
        **_book_to_json(flow),
        "inFanOut": flow._in_fan_out,
        "gathered": {name: str(reducer) for name, reducer in flow._gathered.items()},
    }
    data.update((key, value) for key, value in plain.items() if value)
    data.update(_park_to_json(flow._park))
    return data


def _book_to_json(flow: Flow) -> dict[str, JSON]:
    book = flow._book
    if book is None:
        return {}
    unclaimed = set(book.unclaimed)
    claimed = [place for place in range(len(book.answers)) if place not in unclaimed]
    return {"answers": [answer.to_json() for answer in book.answers], "answersClaimed": claimed}


def _park_to_json(park: Park | None) -> dict[str, JSON]:
    match park:
        case Interrupt():
            data: dict[str, JSON] = {"interrupt": True, "interruptPayload": park.payload}
            if park.timeout_ms is not None:
                data["interruptTimeout"] = park.timeout_ms * _NS_PER_MS
            if park.has_default:
                data["interruptDefault"] = park.default
            if park.key:
                data["interruptKey"] = park.key
            return data
        case Subgraph(workflow=str() as url):
            return {"subgraphURL": url, "subgraphInput": park.state}
        case Subgraph(workflow=graph):
            assert not isinstance(graph, str)
            return {"subgraphGraph": graph.to_json(), "subgraphInput": park.state}
        case RetrySignal():
            return {"retry": True, "backoffInitialDelay": park.delay_ms * _NS_PER_MS}
        case None:
            return {}


def flow_from_json(cls: type[FlowT], data: Mapping[str, JSON] | str | bytes) -> FlowT:
    """Parse the result of ``flow_to_json``. StateError for the wrong shape."""
    document = loads(data, bounded=True) if isinstance(data, (str, bytes)) else data
    if not isinstance(document, Mapping):
        raise StateError(f"a flow must be a JSON object, not {type(document).__name__}")
    read = _Members(document)
    flow = cls(
        read.fields("state"),
        read.fields("changes"),
        key=read.text("flowKey"),
        step_key=read.text("stepKey"),
        node=read.text("node"),
        attempt=read.count("attempt"),
        created_at_ms=read.time("createdAt"),
        updated_at_ms=read.time("updatedAt"),
        step_created_at_ms=read.time("stepCreatedAt"),
        baggage=read.fields("baggage") or None,
        answers=[Answer.from_json(answer) for answer in read.items("answers")],
        claimed_at_ms=read.time("claimedAt"),
        in_fan_out=read.flag("inFanOut"),
        scheduled_at_ms=read.time("scheduledAt"),
        gathered={name: reducer for name, reducer in read.fields("gathered").items() if isinstance(reducer, str)},
    )
    for place in read.items("answersClaimed"):
        if flow._book is not None and isinstance(place, int):
            flow._book.take(place)
    flow._goto = read.text("goto")
    flow._delay_ms = read.duration("sleepDuration")
    flow._park = _park_from_json(read)
    return flow


def _park_from_json(read: _Members) -> Park | None:
    parks: list[Park] = []
    if read.flag("interrupt"):
        timeout_ms = read.duration("interruptTimeout") if read.has("interruptTimeout") else None
        default = read.data.get("interruptDefault")
        has_default = "interruptDefault" in read.data
        payload, key = read.fields("interruptPayload"), read.text("interruptKey")
        parks.append(Interrupt(payload, timeout_ms, default, has_default, key))
    if read.has("subgraphGraph"):
        from dwarf.workflow.graph import Graph

        try:
            graph = Graph.from_json(read.fields("subgraphGraph"))
        except GraphError as error:
            raise StateError(f"flow: 'subgraphGraph': {error}") from None
        parks.append(Subgraph(graph, read.fields("subgraphInput")))
    elif read.text("subgraphURL"):
        parks.append(Subgraph(read.text("subgraphURL"), read.fields("subgraphInput")))
    if read.flag("retry"):
        parks.append(RetrySignal(read.duration("backoffInitialDelay")))
    if len(parks) > 1:
        names = " and ".join(type(park).__name__.lower() for park in parks)
        raise StateError(f"multiple competing control signals: {names}")
    return parks[0] if parks else None


class _Members:
    """Typed access to the members of a JSON object; a null counts as absent."""

    def __init__(self, data: Mapping[str, JSON]) -> None:
        self.data = data

    def has(self, key: str) -> bool:
        return self.data.get(key) is not None

    def _typed(self, key: str, kind: Any, absent: Any, wanted: str) -> Any:
        value = self.data.get(key)
        if value is None:
            return absent
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise StateError(f"flow: {key!r} must be {wanted}, not {type(value).__name__}")
        return value

    def text(self, key: str) -> str:
        text: str = self._typed(key, str, "", "a string")
        return text

    def flag(self, key: str) -> bool:
        flag: bool = self._typed(key, bool, False, "a bool")
        return flag

    def count(self, key: str) -> int:
        count: int = self._typed(key, int, 0, "an integer")
        return max(0, count)

    def duration(self, key: str) -> int:
        # nanoseconds; the wire format allows negative ones, which count as zero
        return min(self.count(key) // _NS_PER_MS, MAX_MS)

    def items(self, key: str) -> list[JSON]:
        return list(self._typed(key, list, (), "an array"))

    def fields(self, key: str) -> dict[str, JSON]:
        return {checked_name(name): value for name, value in self._typed(key, Mapping, {}, "an object").items()}

    def time(self, key: str) -> int:
        text = self.text(key)
        if not text:
            return 0
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise StateError(f"flow: {key!r} must be an RFC 3339 time, not {text!r}") from None
        return to_epoch_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _time_text(epoch_ms: int) -> str:
    return to_datetime(epoch_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z") if epoch_ms else ""
