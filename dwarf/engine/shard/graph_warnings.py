"""Warnings about graphs in use. Each graph is checked once, in the background, so that no create waits for it."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterable
from copy import copy
from typing import Any, NamedTuple, TypeAlias

from dwarf.engine.shard.plans import Frozen
from dwarf.errors import GraphError, GraphWarning
from dwarf.observe.logs import Log
from dwarf.workflow.checking import unread
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import BaseHost
from dwarf.workflow.identity import CodePlace, place_of

REMEMBERED = 4096

Told: TypeAlias = "tuple[str, CodePlace]"
_NOWHERE = CodePlace("", 0)
_warned: dict[Any, Any] = {}  # the warning registry, one per module as usual


class Changes(NamedTuple):
    """Fields that are laid over a state; ``there`` are the fields it has. ``whole``: only the graph's tasks read the
    state.
    """

    fields: frozenset[str]
    there: frozenset[str]
    whole: bool


class WiringCheck:
    """Checks the graphs of one engine. With ``strict``, a finding that would be a warning refuses the flow."""

    def __init__(self, host: BaseHost, log: Log) -> None:
        self._host = host
        self._log = log
        self._seen: set[tuple[str, frozenset[str]]] = set()
        self._seen_changes: set[tuple[str, frozenset[str]]] = set()
        self._pending: set[asyncio.Future[list[Told]]] = set()
        self.strict = False

    async def look(self, graph: Graph, frozen: Frozen, fields: Iterable[str]) -> None:
        """Check a graph, once, with the fields of an initial state. GraphError if ``strict`` and there is a finding."""
        key = (frozen.graph_hash, frozenset(fields))
        if self.strict:
            found = [sentence for sentence, _ in await asyncio.to_thread(self._sentences, copy(graph), key[1])]
            if found:
                raise GraphError(f"graph {graph.name!r}: " + "\n  - ".join(["the wiring is wrong:", *found]), found)
            return
        if key in self._seen:
            return
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen.add(key)
        # a copy, because the caller may go on building the graph
        pending = asyncio.get_running_loop().run_in_executor(None, self._sentences, copy(graph), key[1])
        self._pending.add(pending)
        pending.add_done_callback(lambda done: self._warn(graph.name, done))

    async def look_at_changes(self, graph_hash: str, graph: Graph, changes: Changes) -> None:
        """Check, once, the fields that are laid over a state. GraphError if ``strict`` and there is a finding."""
        key = (graph_hash, changes.fields)
        if key in self._seen_changes and not self.strict:
            return
        found = await asyncio.to_thread(
            unread, graph, sorted(changes.fields), changes.there, self._host.functions, whole=changes.whole
        )
        sentences = list(found.values())
        if sentences and self.strict:
            raise GraphError(f"graph {graph.name!r}: " + "\n  - ".join(sentences), sentences)
        if len(self._seen_changes) >= REMEMBERED:
            self._seen_changes.clear()
        if key not in self._seen_changes:  # forks that start together share one check
            self._seen_changes.add(key)
            self._tell(graph.name, [(sentence, _NOWHERE) for sentence in sentences])

    async def settled(self) -> None:
        """Wait for the running checks."""
        if self._pending:
            await asyncio.wait(set(self._pending))

    def _sentences(self, graph: Graph, fields: frozenset[str]) -> list[Told]:
        from dwarf.workflow.checking import check

        functions = {**self._host.functions, **graph.functions}
        found = check(graph, sorted(fields), self._host.functions)
        return [
            (str(one), place_of(functions.get(graph.url_of(one.node))))
            for one in found
            # an unread field may be meant for people or for later turns; only fields that look misspelt are reported
            if one.kind != "unused-field" or one.node or one.suggestion
        ]

    def _warn(self, name: str, done: asyncio.Future[list[Told]]) -> None:
        self._pending.discard(done)
        if not done.cancelled() and done.exception() is None:
            self._tell(name, done.result())

    def _tell(self, name: str, told: Iterable[Told]) -> None:
        """Warn at the source line of the node that a finding is about."""
        for sentence, place in told:
            file, line = (place.file, place.line) if place.file else (__file__, 0)
            text = f"graph {name!r}: {sentence}"
            try:
                warnings.warn_explicit(text, GraphWarning, file, line, module=__name__, registry=_warned)
            except GraphWarning as warning:  # warnings may be errors here, and no caller could catch them
                self._log.warning("%s", warning)
