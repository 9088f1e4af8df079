"""The task functions of a host by URL: which function may replace another, and which one a name stands for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from typing import Any, TypeAlias
from weakref import WeakSet

from dwarf.errors import ConfigError, GraphError, GraphWarning
from dwarf.workflow.graph import Graph
from dwarf.workflow.identity import another_url, described, heed_cells, place_of, same_task
from dwarf.workflow.scopes import name_of
from dwarf.workflow.tasks import Binding, mark_of

Function: TypeAlias = Callable[..., Any]


class Tasks:
    """Functions by URL. Thread-safe."""

    def __init__(self) -> None:
        self._bindings: dict[str, Binding] = {}
        self._aliases: dict[str, str] = {}
        self._replaced: WeakSet[Function] = WeakSet()  # graphs may still hold them, and must not register them again

    def __len__(self) -> int:
        return len(self._bindings)

    def __iter__(self) -> Iterator[str]:
        return iter(self._bindings.copy())

    def __getitem__(self, url: str) -> Binding:
        return self._bindings[url]

    def get(self, url: str) -> Binding | None:
        """The task of a URL or of an alias; None if there is none."""
        return self._bindings.get(url) or self._bindings.get(self._aliases.get(url, ""))

    def urls(self) -> frozenset[str]:
        """The URLs and aliases of all tasks."""
        return frozenset(self._bindings.copy()) | frozenset(self._aliases.copy())

    def functions(self) -> dict[str, Function]:
        """The functions by URL."""
        return {url: binding.function for url, binding in self._bindings.copy().items()}

    # ------------------------------------------------------------------ registering

    def put(self, url: str, function: Function) -> None:
        """Register a function explicitly."""
        heed_cells()
        binding = Binding(function, url)
        known = self._bindings.get(url)
        if known is not None and known.function is not function:
            with suppress(TypeError):  # not every callable supports weak references
                self._replaced.add(known.function)
        with suppress(TypeError):
            self._replaced.discard(function)
        self._bindings[url] = binding
        for alias in mark_of(function).aliases:
            self._aliases[alias] = url

    def arrive(self, graph: Graph, urls: Container[str] | None = None) -> tuple[dict[str, Function], bool]:
        """Register the functions on a graph's nodes (of these URLs): all of them, or none and a ConfigError.

        Returns the functions that have been replaced since they were put on the graph, by URL, and whether anything has
        changed.
        """
        fresh: dict[str, Function] = {}
        stale: dict[str, Function] = {}
        for name, url, function in graph._bindings():
            if function is None or (urls is not None and url not in urls):
                continue
            known = self._bindings.get(url)
            if known is not None and known.function is function and not fresh:
                continue  # as whenever a graph has come before
            current = fresh.get(url, known.function if known is not None else None)
            if current is None:
                fresh[url] = function
            elif current is function:
                continue
            elif self._was_replaced(function):
                stale[url] = function
            elif same_task(current, function):
                fresh[url] = function
            elif url in fresh:
                raise GraphError(_clash(graph, name, url, function, current))
            else:
                raise ConfigError(_clash(graph, name, url, function, current))
        for url, function in fresh.items():
            self.put(url, function)
        return stale, bool(fresh)

    def _was_replaced(self, function: Function) -> bool:
        try:
            return function in self._replaced
        except TypeError:
            return False

    # ------------------------------------------------------------------ by name

    def resolve(self, text: str) -> str:
        """The URL for a text. GraphError if it is the name of several functions."""
        if self.get(text) is not None:
            return text
        found = self._named(text)
        if len(found) > 1:
            urls = " and ".join(sorted(map(repr, found)))
            raise GraphError(f"{text!r} is the name of several tasks: write the URL of the one that is meant, {urls}")
        return next(iter(found), text)

    def by_name(self, text: str) -> str | None:
        """The URL of the only function with this name; None if there is none or more than one."""
        found = self._named(text)
        return next(iter(found)) if len(found) == 1 else None

    def _named(self, text: str) -> dict[str, Function]:
        found: dict[str, Function] = {}
        for url, function in self.functions().items():
            names = (name_of(function), getattr(function, "__name__", None))
            if text in names and not any(function is other for other in found.values()):
                found[url] = function
        return found


def _clash(graph: Graph, node: str, url: str, function: Function, known: Function) -> str:
    return (
        f"graph {graph.name!r}: the task {url!r} of node {node!r} is {described(function)}, but this host has another "
        f"function of that URL, {described(known)}; {another_url(function)}. "
        "To replace the other one on purpose, use host.task, lab.task or host.add_task"
    )


_warned: dict[Any, Any] = {}  # the warning registry, one per module as usual


def warn_replaced(graph: Graph, url: str, held: Function, current: Function) -> None:
    """GraphWarning if a cell has replaced a graph's function by another function."""
    before, after = place_of(held), place_of(current)
    if before.cell is None or after.cell is None:
        return  # outside of notebooks a replacement is deliberate
    if before.cell == after.cell or (before.cell_id and before.cell_id == after.cell_id):
        return
    text = (
        f"the graph {graph.name!r} was made with {described(held)}, but {described(current)} has replaced it as the "
        f"task {url!r} and is what runs: {another_url(current)}, or run the cell that makes the graph again"
    )
    warnings.warn_explicit(text, GraphWarning, after.file, after.line, module=__name__, registry=_warned)
