"""Warnings about graphs that are used: each is looked at once, beside the loop, and no create waits for it."""

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
_warned: dict[Any, Any] = {}  # as every module has one for its warnings


class Changes(NamedTuple):
    """Fields that are laid over a state; ``there`` are those it has. ``whole``: none but the graph's tasks read it."""

    fields: frozenset[str]
    there: frozenset[str]
    whole: bool


class WiringCheck:
    """Checks the graphs of one engine. ``strict``: a flow is refused where a finding would be a warning."""

    def __init__(self, host: BaseHost, log: Log) -> None:
        self._host = host
        self._log = log
        self._seen: set[tuple[str, frozenset[str]]] = set()
        self._seen_changes: set[tuple[str, frozenset[str]]] = set()
        self._pending: set[asyncio.Future[list[Told]]] = set()
        self.strict = False

    async def look(self, graph: Graph, frozen: Frozen, fields: Iterable[str]) -> None:
        """Have a graph checked with the fields of an initial state, unless it was. GraphError where it is strict."""
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
        # a copy, because the graph may be built on meanwhile
        pending = asyncio.get_running_loop().run_in_executor(None, self._sentences, copy(graph), key[1])
        self._pending.add(pending)
        pending.add_done_callback(lambda done: self._warn(graph.name, done))

    async def look_at_changes(self, graph_hash: str, graph: Graph, changes: Changes) -> None:
        """Have fields checked that are laid over a state, unless they were. GraphError where it is strict."""
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
        if key not in self._seen_changes:  # forks made at once look at once
            self._seen_changes.add(key)
            self._tell(graph.name, [(sentence, _NOWHERE) for sentence in sentences])

    async def settled(self) -> None:
        """Wait for the checks that are under way."""
        if self._pending:
            await asyncio.wait(set(self._pending))

    def _sentences(self, graph: Graph, fields: frozenset[str]) -> list[Told]:
        from dwarf.workflow.checking import check

        functions = {**self._host.functions, **graph.functions}
        found = check(graph, sorted(fields), self._host.functions)
        return [
            (str(one), place_of(functions.get(graph.url_of(one.node))))
            for one in found
            # a field may be there for people or for later turns only: of those, only what looks misspelt is worth it
            if one.kind != "unused-field" or one.node or one.suggestion
        ]

    def _warn(self, name: str, done: asyncio.Future[list[Told]]) -> None:
        self._pending.discard(done)
        if not done.cancelled() and done.exception() is None:
            self._tell(name, done.result())

    def _tell(self, name: str, told: Iterable[Told]) -> None:
        """Warn, at the code of the node that a sentence is about."""
        for sentence, place in told:
            file, line = (place.file, place.line) if place.file else (__file__, 0)
            text = f"graph {name!r}: {sentence}"
            try:
                warnings.warn_explicit(text, GraphWarning, file, line, module=__name__, registry=_warned)
            except GraphWarning as warning:  # where warnings are errors: nobody here could catch it
                self._log.warning("%s", warning)
