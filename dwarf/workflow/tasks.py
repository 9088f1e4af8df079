"""The ``@task`` decorator: it marks a function and changes nothing about it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import FunctionType, MethodType
from typing import Any, TypeVar, overload

from dwarf.errors import ConfigError
from dwarf.workflow import scopes
from dwarf.workflow.binding import Binding as Binding
from dwarf.workflow.parts import Limit, as_labels, as_text
from dwarf.workflow.policies import Cache, Retry, Seconds, read_cache, read_retry, read_time_budget

__all__ = ["Binding", "TaskMark", "mark_of", "node_mark", "task", "valid_url"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class TaskMark:
    """The mark that ``@task`` sets on a function: the URL that a host resolves, and the policies.

    ``aliases`` are its earlier URLs: steps that wait under one of them find it. ``named`` tells that the URL was given,
    and not made from the scope and the name.
    """

    url: str
    limit: Limit | None = None
    retry: Retry | None = None
    time_budget: float | None = None
    cache: Cache | None = None
    executor: str = ""
    labels: frozenset[str] = frozenset()
    aliases: tuple[str, ...] = ()
    named: bool = False


@overload
def task(function: F) -> F: ...
@overload
def task(
    *,
    url: str | None = None,
    aliases: Iterable[str] = (),
    limit: Limit | None = None,
    retry: Retry | int | None = None,
    time_budget: Seconds | None = None,
    cache: Cache | bool | None = None,
    executor: str = "",
    labels: Iterable[str] = (),
) -> Callable[[F], F]: ...
def task(
    function: Any = None,
    *,
    url: str | None = None,
    aliases: Iterable[str] = (),
    limit: Limit | None = None,
    retry: Retry | int | None = None,
    time_budget: Seconds | None = None,
    cache: Cache | bool | None = None,
    executor: str = "",
    labels: Iterable[str] = (),
) -> Any:
    """Mark a function as a task, as ``@task`` or ``@task(url=..., limit=...)``, and return it unchanged.

    The URL defaults to the scope and the qualified name of the function: ``billing.charge`` in the module ``billing``
    or in the notebook ``billing.ipynb``, unless a global ``__dwarf_scope__`` there names another scope. ``aliases``
    are URLs that the task had before, after it was moved or renamed: flows that wait for one of them find it.

    The parameter annotated ``Flow`` or named ``flow`` receives the Flow. Every other one is filled from the state
    field of its name, converted to its annotation; else from its default; else, where the annotation allows it, with
    None; else the step fails with a StateError. ``**fields`` receives all fields that no other parameter takes. A
    mapping, dataclass or pydantic model that the function returns is written to the state. It may be a coroutine
    function. ConfigError where the function cannot be a task.

    ``limit`` bounds how much of it runs at a time, ``retry`` (a Retry, or the number of attempts) lets it be tried
    again after an error, and ``time_budget`` is how long one attempt may take, in seconds or as a timedelta, whatever
    the flow's own budget. ``cache`` (a Cache, or True) has a step take over what an earlier one with the same code and
    input came to. ``executor`` names the executor of the host in which it runs, one of those that
    ``LocalHost(executors=...)`` has. ``labels``: only engines that have all of them, ``Engine(labels=...)``, run it.
    What ``Graph.add_node`` says outranks this. GraphError for values that make no sense.

    Example::

        @task(retry=3, time_budget=30, limit=Limit(concurrency=4))
        async def fetch(city: str, flow: Flow) -> dict:
            return {"weather": await ask_service(city, key=flow.step_key)}
    """
    if limit is not None and not isinstance(limit, Limit):
        raise ConfigError(f"the limit of a task must be a Limit, not {type(limit).__name__}")
    given: dict[str, Any] = {"limit": limit, "retry": read_retry(retry), "time_budget": read_time_budget(time_budget)}
    given |= {"cache": read_cache(cache), "aliases": _aliases(aliases) or None}
    given["executor"] = as_text(executor, "the executor of a task") or None
    given["labels"] = as_labels(labels, "the labels of a task") or None
    policies = {name: value for name, value in given.items() if value is not None}
    if function is None:
        return functools.partial(_mark, url=url, policies=policies)
    return _mark(function, url, policies)


def _mark(function: Any, url: str | None, policies: dict[str, Any]) -> Any:
    if not callable(function):
        hint = " (write @task(url=...) to name its URL)" if isinstance(function, str) else ""
        raise ConfigError(f"@task marks functions, not {type(function).__name__}{hint}")
    before = getattr(function, "__dwarf_task__", None)
    if url is not None or not isinstance(before, TaskMark):
        own = valid_url(scopes.url_of(function) if url is None else url)
        before = replace(before, url=own) if isinstance(before, TaskMark) else TaskMark(own)
    if not policies.get("cache", True):
        policies["cache"] = None
    mark = replace(before, **policies, named=before.named or url is not None)
    Binding(function, mark.url)  # raises immediately for a function that cannot be called
    if isinstance(function, MethodType) and isinstance(function.__func__, FunctionType):
        function = MethodType(_copy(function.__func__), function.__self__)
        function.__func__.__dwarf_task__ = mark
        return function
    try:
        function.__dwarf_task__ = mark
    except (AttributeError, TypeError):
        raise ConfigError(f"{function!r} cannot be marked as a task; use host.add_task(url, function)") from None
    return function


def _copy(function: FunctionType) -> FunctionType:
    """A second function object for separate marks: those of a method belong to one object, not to its class."""
    parts = (function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    copied = FunctionType(function.__code__, *parts)
    copied.__kwdefaults__, copied.__annotations__ = function.__kwdefaults__, function.__annotations__
    copied.__qualname__, copied.__module__, copied.__doc__ = (
        function.__qualname__,
        function.__module__,
        function.__doc__,
    )
    copied.__dict__.update(function.__dict__)
    return copied


def _aliases(aliases: object) -> tuple[str, ...]:
    if isinstance(aliases, str) or not isinstance(aliases, Iterable):
        raise ConfigError(f"aliases are a list of URLs, not {aliases!r}: task(aliases=[...])")
    return tuple(dict.fromkeys(valid_url(alias) for alias in aliases))


def valid_url(url: object) -> str:
    """The URL of a task or a graph as a plain str; ConfigError unless it is a non-empty string."""
    if not isinstance(url, str):
        raise ConfigError(f"a URL must be a string, not {type(url).__name__}")
    if not url.strip():
        raise ConfigError("a URL must not be empty")
    return str.__str__(url)


def mark_of(function: Callable[..., Any]) -> TaskMark:
    """The mark of a function; without one, a mark with a URL from its scope and name."""
    mark = _own_mark(function)
    return mark if mark is not None else TaskMark(scopes.url_of(function))


def node_mark(function: Callable[..., Any], graph: str, node: str) -> TaskMark:
    """The mark of a function as the task of a node, which names it if it has no name of its own."""
    mark = _own_mark(function)
    if mark is not None and (mark.named or not scopes.is_nameless(function)):
        return mark
    inner: Any = function
    while mark is None and isinstance(inner, functools.partial):
        inner = inner.func
        mark = _own_mark(inner)  # a partial has the policies of its function, but not its names
    url = scopes.url_of(function, graph, node)
    return replace(mark, url=url, aliases=(), named=False) if mark is not None else TaskMark(url)


def _own_mark(function: Any) -> TaskMark | None:
    mark = getattr(function, "__dwarf_task__", None)
    return mark if isinstance(mark, TaskMark) else None
