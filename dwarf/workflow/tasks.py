"""The ``@task`` decorator: it marks a function and changes nothing about it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from dwarf.errors import ConfigError
from dwarf.workflow.binding import Binding as Binding
from dwarf.workflow.parts import Limit
from dwarf.workflow.policies import Retry, Seconds, read_retry, read_time_budget

__all__ = ["Binding", "TaskMark", "mark_of", "task", "valid_url"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class TaskMark:
    """What ``@task`` notes on a function: the URL a host resolves, and how it is to be run."""

    url: str
    limit: Limit | None = None
    retry: Retry | None = None
    time_budget: float | None = None


@overload
def task(function: F) -> F: ...
@overload
def task(
    *,
    url: str | None = None,
    limit: Limit | None = None,
    retry: Retry | int | None = None,
    time_budget: Seconds | None = None,
) -> Callable[[F], F]: ...
def task(
    function: Any = None,
    *,
    url: str | None = None,
    limit: Limit | None = None,
    retry: Retry | int | None = None,
    time_budget: Seconds | None = None,
) -> Any:
    """Mark a function as a task, as ``@task`` or ``@task(url=..., limit=...)``, and return it unchanged.

    The URL defaults to the function's name. The parameter annotated ``Flow`` or named ``flow`` receives the Flow. Every
    other one is filled from the state field of its name, converted to its annotation; else from its default; else,
    where the annotation allows it, with None; else the step fails with a StateError. ``**fields`` receives all fields
    that no other parameter takes. A mapping, dataclass or pydantic model that the function returns is written to the
    state. It may be a coroutine function. ConfigError where the function cannot be a task.

    ``limit`` bounds how much of it runs at a time, ``retry`` (a Retry, or the number of attempts) lets it be tried
    again after an error, and ``time_budget`` is how long one attempt may take, in seconds or as a timedelta, whatever
    the flow's own budget. What ``Graph.add_node`` says outranks this. GraphError for values that make no sense.
    """
    if limit is not None and not isinstance(limit, Limit):
        raise ConfigError(f"the limit of a task must be a Limit, not {type(limit).__name__}")
    policies = {"limit": limit, "retry": read_retry(retry), "time_budget": read_time_budget(time_budget)}
    if function is None:
        return functools.partial(_mark, url=url, policies=policies)
    return _mark(function, url, policies)


def _mark(function: Any, url: str | None, policies: dict[str, Any]) -> Any:
    if not callable(function):
        hint = " (write @task(url=...) to name its URL)" if isinstance(function, str) else ""
        raise ConfigError(f"@task marks functions, not {type(function).__name__}{hint}")
    mark = TaskMark(valid_url(name_of(function) if url is None else url), **policies)
    Binding(function, mark.url)  # refuses at once what cannot be called
    try:
        function.__dwarf_task__ = mark
    except (AttributeError, TypeError):
        raise ConfigError(f"{function!r} cannot be marked as a task; use host.add_task(url, function)") from None
    return function


def valid_url(url: object) -> str:
    """The URL of a task or a graph as a plain str; ConfigError unless it is a string that is not empty."""
    if not isinstance(url, str):
        raise ConfigError(f"a URL must be a string, not {type(url).__name__}")
    if not url.strip():
        raise ConfigError("a URL must not be empty")
    return str.__str__(url)


def mark_of(function: Callable[..., Any]) -> TaskMark:
    """The mark of a function; for one without, a mark whose URL is the function's name."""
    mark = getattr(function, "__dwarf_task__", None)
    return mark if isinstance(mark, TaskMark) else TaskMark(name_of(function))


def name_of(function: Any) -> str:
    """A function's own name; a partial has its function's, and a callable object its class's."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) and name else type(function).__name__
