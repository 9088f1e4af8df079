"""The JSON form of a graph, in which each flow stores its definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from dwarf.errors import GraphError, StateError
from dwarf.workflow.jsontext import loads
from dwarf.workflow.parts import Limit, Node, Transition, as_labels, as_text
from dwarf.workflow.policies import Cache, Retry

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph

__all__ = ["from_json", "to_json"]

JSON: TypeAlias = Any
G = TypeVar("G", bound="Graph")

# The optional keys of a transition in the order of the JSON form, each with its attribute.
_TEXTS_AND_FLAGS: Final = (
    ("when", "when"),
    ("withGoto", "goto"),
    ("forEach", "for_each"),
    ("as", "item"),
    ("onError", "on_error"),
    ("switch", "switch"),
)
_FLAGS: Final = frozenset({"goto", "on_error", "switch"})


def to_json(graph: Graph) -> dict[str, JSON]:
    """A new JSON value. Empty and false members are left out; a fan-in mark on an unknown name is dropped."""
    data: dict[str, JSON] = {"name": graph.name} if graph.name else {}
    data["entryPoint"] = graph.entry
    data["tasks"] = [_task_to_json(node) for node in graph.nodes]
    data["transitions"] = [_transition_to_json(edge) for edge in graph.transitions]
    if graph._reducers is not None:
        data["reducers"] = {field: str(graph.reducers[field]) for field in sorted(graph.reducers)}
    return data


def _task_to_json(node: Node) -> dict[str, JSON]:
    data: dict[str, JSON] = {"name": node.name}
    if node.url:
        data["url"] = node.url
    if node.fan_in:
        data["fanIn"] = True
    if node.limit is not None:
        limit = {"concurrency": node.limit.concurrency, "rate": node.limit.rate, "key": node.limit.key or None}
        data["limit"] = {key: value for key, value in limit.items() if value is not None}
    if node.retry is not None:
        data["retry"] = _retry_to_json(node.retry)
    if node.time_budget is not None:
        data["timeBudgetMs"] = round(node.time_budget * 1000)
    if node.cache is not None:
        data["cache"] = _cache_to_json(node.cache)
    if node.executor:
        data["executor"] = node.executor
    if node.labels:
        data["labels"] = sorted(node.labels)
    return data


def _transition_to_json(edge: Transition) -> dict[str, JSON]:
    data: dict[str, JSON] = {"from": edge.source, "to": edge.target}
    for key, attribute in _TEXTS_AND_FLAGS:
        if value := getattr(edge, attribute):
            data[key] = value
    return data


def from_json(cls: type[G], data: Mapping[str, JSON] | str | bytes) -> G:
    """A graph of class ``cls``. Unknown keys are ignored, null counts as missing; GraphError names the position."""
    if isinstance(data, (str, bytes, bytearray)):
        try:
            data = loads(bytes(data) if isinstance(data, bytearray) else data, bounded=True)
        except (StateError, RecursionError) as error:
            raise GraphError(f"a graph cannot be read: {error}") from None
    root = _DocumentPart(data, "")
    nodes = [
        Node(
            name=item.text("name"),
            url=item.text("url") or item.text("name"),
            fan_in=item.flag("fanIn"),
            limit=_limit_from_json(item),
            retry=_retry_from_json(item),
            time_budget=_seconds_from_json(item, "timeBudgetMs"),
            cache=_cache_from_json(item),
            executor=item.text("executor"),
            labels=_labels_from_json(item),
        )
        for item in root.items("tasks")
    ]
    edges = []
    for item in root.items("transitions"):
        marks: dict[str, Any] = {
            attribute: item.flag(key) if attribute in _FLAGS else item.text(key) for key, attribute in _TEXTS_AND_FLAGS
        }
        edges.append(Transition(item.text("from"), item.text("to"), **marks))
    reducers = root.member("reducers")
    graph = cls(root.text("name"))
    graph._load(
        root.text("entryPoint"),
        nodes,
        edges,
        None if reducers is None else {_checked(field, "reducers"): reducers.text(field) for field in reducers.data},
    )
    return graph


def _labels_from_json(item: _DocumentPart) -> frozenset[str]:
    given = item.data.get("labels")
    return as_labels([] if given is None else given, "the labels of a task")


def _limit_from_json(task: _DocumentPart) -> Limit | None:
    limit = task.member("limit")
    if limit is None:
        return None
    concurrency = limit.data.get("concurrency")
    if concurrency is not None and (isinstance(concurrency, bool) or not isinstance(concurrency, int)):
        raise limit.wrong("concurrency", "an integer", concurrency)
    rate = limit.text("rate") or None
    if concurrency is None and rate is None:
        return None
    try:
        return Limit(concurrency=concurrency, rate=rate, key=limit.text("key"))
    except GraphError as error:
        raise GraphError(f"a graph cannot be read: {limit.path}: {error}") from None


def _retry_to_json(retry: Retry) -> dict[str, JSON]:
    data: dict[str, JSON] = {
        "maxAttempts": retry.max_attempts,
        "delayMs": round(retry.delay * 1000),
        "factor": retry.factor,
        "maxDelayMs": round(retry.max_delay * 1000),
        "jitter": retry.jitter,
        "retryOn": list(retry.retry_on),
    }
    if retry.give_up_after is not None:
        data["giveUpAfterMs"] = round(retry.give_up_after * 1000)
    return data


def _retry_from_json(task: _DocumentPart) -> Retry | None:
    retry = task.member("retry")
    if retry is None:
        return None
    given: dict[str, Any] = {
        name: value
        for name, value in (
            ("max_attempts", retry.data.get("maxAttempts")),
            ("delay", _seconds_from_json(retry, "delayMs")),
            ("factor", retry.data.get("factor")),
            ("max_delay", _seconds_from_json(retry, "maxDelayMs")),
            ("jitter", retry.data.get("jitter")),
            ("give_up_after", _seconds_from_json(retry, "giveUpAfterMs")),
            ("retry_on", retry.data.get("retryOn")),
        )
        if value is not None
    }
    try:
        return Retry(**given)
    except (GraphError, TypeError) as error:
        raise GraphError(f"a graph cannot be read: {retry.path}: {error}") from None


def _cache_to_json(cache: Cache) -> dict[str, JSON]:
    data: dict[str, JSON] = {} if cache.ttl is None else {"ttlMs": round(cache.ttl * 1000)}
    if cache.key is not None:
        data["key"] = list(cache.key)
    if cache.version:
        data["version"] = cache.version
    return data


def _cache_from_json(task: _DocumentPart) -> Cache | None:
    if isinstance(task.data.get("cache"), bool):
        return Cache() if task.flag("cache") else None
    cache = task.member("cache")
    if cache is None:
        return None
    try:
        return Cache(ttl=_seconds_from_json(cache, "ttlMs"), key=cache.data.get("key"), version=cache.text("version"))
    except (GraphError, TypeError) as error:
        raise GraphError(f"a graph cannot be read: {cache.path}: {error}") from None


def _seconds_from_json(data: _DocumentPart, key: str) -> float | None:
    value = data.data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise data.wrong(key, "a number of milliseconds", value)
    return value / 1000


class _DocumentPart:
    """An object of the document, read key by key, with its path for error messages."""

    def __init__(self, data: JSON, path: str) -> None:
        if not isinstance(data, Mapping):
            raise GraphError(f"a graph cannot be read: {path or 'it'} must be an object, not {_kind(data)}")
        self.data = data
        self.path = path

    def text(self, key: str) -> str:
        value = self.data.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(key, "text", value)
        return _checked(value, self._at(key))

    def flag(self, key: str) -> bool:
        value = self.data.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return bool(value)

    def member(self, key: str) -> _DocumentPart | None:
        value = self.data.get(key)
        return None if value is None else _DocumentPart(value, self._at(key))

    def items(self, key: str) -> Iterator[_DocumentPart]:
        value = self.data.get(key)
        if value is None:
            return
        if not isinstance(value, (list, tuple)):
            raise self.wrong(key, "an array", value)
        for position, item in enumerate(value):
            yield _DocumentPart(item, f"{self._at(key)}[{position}]")

    def wrong(self, key: str, expected: str, value: JSON) -> GraphError:
        return GraphError(f"a graph cannot be read: {self._at(key)} must be {expected}, not {_kind(value)}")

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def _checked(value: object, path: str) -> str:
    try:
        return as_text(value, path)
    except TypeError as error:  # the name of a field, where the document was not read from text
        raise GraphError(f"a graph cannot be read: {error}") from None


def _kind(value: JSON) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "an object"
    return "an array" if isinstance(value, (list, tuple)) else f"a value of type {type(value).__name__}"
