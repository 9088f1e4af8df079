"""Policies of a task: retries, time budgets, caching."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from dwarf.errors import GraphError, InvalidRequest
from dwarf.workflow.durations import to_ms

__all__ = ["Cache", "Retry", "read_cache", "read_retry", "read_time_budget"]

Seconds: TypeAlias = float | timedelta
Errors: TypeAlias = type[BaseException] | tuple[type[BaseException], ...] | Sequence[str]

MAX_BUDGET_MS = 2**31 - 1


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """A retry policy: after an error the task is tried again, durably, before its step fails.

    ``max_attempts`` counts all runs, the first included. The pause after the first run is ``delay``, and each further
    one is ``factor`` times as long, at most ``max_delay``; ``jitter`` spreads it by that part of itself in both
    directions, so that many steps that failed together do not come back together. No run begins later than
    ``give_up_after`` after the first one began. ``retry_on`` are classes of errors, whose subclasses count, or their
    names, with their modules or without. Durations are seconds or timedelta.

    A StateError is never tried again, nor is a ``TaskError(..., retryable=False)``. Answers, child flows and what was
    written before a park are kept over attempts. After the last attempt the error goes to the error handler of the
    node, or fails the step. GraphError for values that make no sense::

        @task(retry=Retry(5, delay=2, retry_on=ConnectionError))
        def fetch(url): ...
    """

    max_attempts: int
    delay: float
    factor: float
    max_delay: float
    jitter: float
    give_up_after: float | None
    retry_on: tuple[str, ...]

    def __init__(
        self,
        max_attempts: int = 3,
        *,
        delay: Seconds = 1,
        factor: float = 2,
        max_delay: Seconds = 60,
        jitter: float = 0.25,
        give_up_after: Seconds | None = None,
        retry_on: Errors = Exception,
    ) -> None:
        if isinstance(max_attempts, bool) or not isinstance(max_attempts, int):
            raise TypeError(f"the max_attempts of a Retry must be an int, not {type(max_attempts).__name__}")
        if max_attempts < 1:
            raise GraphError(f"a Retry has at least 1 attempt, which is the first run, not {max_attempts}")
        values: dict[str, Any] = {
            "max_attempts": max_attempts,
            "delay": _seconds(delay, "the delay of a Retry"),
            "factor": _number(factor, "factor"),
            "max_delay": _seconds(max_delay, "the max_delay of a Retry"),
            "jitter": _number(jitter, "jitter"),
            "give_up_after": None if give_up_after is None else _seconds(give_up_after, "give_up_after"),
            "retry_on": _names(retry_on),
        }
        if not values["factor"]:
            raise GraphError("the factor of a Retry is more than 0: 1 for pauses of one length, 2 to double each")
        if values["jitter"] > 1:
            raise GraphError(f"the jitter of a Retry is a part of the pause, from 0 to 1, not {jitter}")
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _pause_ms(self, failed: int, chance: float) -> int:
        """The pause after this many failed attempts, in milliseconds. ``chance``, from 0 to 1, sets the jitter."""
        try:
            grown = self.delay * self.factor ** max(failed - 1, 0)
        except OverflowError:
            grown = math.inf
        seconds = min(grown, self.max_delay) * (1 + self.jitter * (2 * chance - 1))
        return round(seconds * 1000)

    def _covers(self, kinds: Iterable[str]) -> bool:
        """Whether to try again after an error, by the names of its class and its bases."""
        known = tuple(kinds)
        return any(_is_named(kind, name) for name in self.retry_on for kind in known)


@dataclass(frozen=True, slots=True, init=False)
class Cache:
    """A cached step is not run: it reuses the outcome of an earlier completed step with the same code and input.

    What it depends on is its code (with the functions of its module or notebook that it calls, and the plain values
    among its defaults, closures and globals), ``version``, and its input: the parameters that the task takes, or the
    whole state where it takes a Flow. ``key`` names the fields of the state that count instead, alone; a task that
    reads its identity (the key, the attempt, times, baggage) is cached only where it is given. ``ttl`` is how old an
    outcome may be, in seconds or as a timedelta; None for any age. GraphError for values that make no sense.

    Changes, a goto, a delay, displays and output are taken over. Never cached are steps that failed, parked, or called
    a subgraph. The step says so: ``Step.cached``, ``Step.cached_from``::

        @task(cache=Cache(ttl=timedelta(days=1), key=["url"]))
        def fetch(url): ...
    """

    ttl: float | None
    key: tuple[str, ...] | None
    version: str

    def __init__(
        self, *, ttl: Seconds | None = None, key: str | Sequence[str] | None = None, version: str = ""
    ) -> None:
        if not isinstance(version, str):
            raise TypeError(f"the version of a Cache must be a str, not {type(version).__name__}")
        seconds = None if ttl is None else _seconds(ttl, "the ttl of a Cache")
        if seconds is not None and seconds <= 0:
            raise GraphError("the ttl of a Cache must be positive; cache=False switches caching off")
        object.__setattr__(self, "ttl", seconds)
        object.__setattr__(self, "key", _fields(key))
        object.__setattr__(self, "version", version)


def _fields(key: Any) -> tuple[str, ...] | None:
    names = [key] if isinstance(key, str) else key
    if names is None:
        return None
    if not isinstance(names, Sequence) or not all(isinstance(name, str) and name for name in names):
        raise TypeError(f"the key of a Cache is the name of a state field, or several, not {key!r}")
    return tuple(sorted(set(names)))


def read_cache(cache: Cache | bool | None) -> Cache | bool | None:
    """The value of ``cache=``: True stands for a default Cache. TypeError."""
    if cache is None or cache is False or isinstance(cache, Cache):
        return cache
    if cache is not True:
        raise TypeError(f"cache is a Cache, True or False, not {type(cache).__name__}")
    return Cache()


def read_retry(retry: Retry | int | None) -> Retry | None:
    """The value of ``retry=``: a number is the maximum of all attempts. TypeError, GraphError."""
    if retry is None or isinstance(retry, Retry):
        return retry
    if isinstance(retry, bool) or not isinstance(retry, int):
        raise TypeError(f"retry is a Retry or the number of attempts, not {type(retry).__name__}")
    return Retry(retry)


def read_time_budget(budget: Seconds | None) -> float | None:
    """The value of ``time_budget=``, in seconds. GraphError."""
    if budget is None:
        return None
    seconds = _seconds(budget, "time_budget")
    if not 0.001 <= seconds <= MAX_BUDGET_MS / 1000:
        raise GraphError("time_budget must be at least a millisecond and at most 24 days")
    return seconds


def kinds_of(error: BaseException) -> tuple[str, ...]:
    """The names of an error's class and of its bases, as ``Retry._covers`` takes them.

    An error that stands for one of another process also has the names of the original.
    """
    there: tuple[str, ...] = getattr(error, "_type_names", ())
    return (*there, *(_name_of(kind) for kind in type(error).__mro__ if kind is not object))


def _name_of(kind: type) -> str:
    module = "__main__" if kind.__module__ == "__mp_main__" else kind.__module__
    return f"{module}.{kind.__qualname__}"


def _is_named(kind: str, name: str) -> bool:
    """Whether a name means a class: its own name, without its module, or at the place where a package exports it."""
    if kind == name:
        return True
    package, _, last = name.rpartition(".")
    return kind.endswith(f".{last}") and (not package or kind.startswith(f"{package}."))


def _names(given: Any) -> tuple[str, ...]:
    wanted = [given] if isinstance(given, (str, type)) else given
    if not isinstance(wanted, Sequence):
        raise TypeError(f"retry_on is a class of errors, several of them, or their names, not {type(given).__name__}")
    names: list[str] = []
    for kind in wanted:
        if isinstance(kind, str) and kind.strip():
            names.append(kind.strip())
        elif isinstance(kind, type) and issubclass(kind, BaseException):
            names.append(_name_of(kind))
        else:
            raise TypeError(f"retry_on names classes of errors, and {kind!r} is none")
    if not names:
        raise GraphError("retry_on is empty: without an error to try again after there is nothing to try again")
    return tuple(dict.fromkeys(names))


def _seconds(value: Any, what: str) -> float:
    try:
        return to_ms(value, what) / 1000
    except InvalidRequest as error:
        raise GraphError(str(error)) from None


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"the {what} of a Retry must be a number, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise GraphError(f"the {what} of a Retry is 0 or more, not {value}")
    return value
