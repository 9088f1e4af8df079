"""What has been redefined since a flow began? Its graph is frozen; its functions are those that the host knows now."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwarf.notebook.live.origins import source_of
from dwarf.notebook.pictures.formatting import plural
from dwarf.workflow.digests import CODE_LENGTH, Helpers, fingerprint
from dwarf.workflow.jsontext import dumps

if TYPE_CHECKING:
    from dwarf.notebook.live.flow_watcher import FlowWatcher
    from dwarf.notebook.pictures.svg import Svg
    from dwarf.workflow.graph import Graph

__all__ = ["NONE", "Digests", "Drift", "drift_of", "fingerprint", "fingerprints", "graph_changes", "read_drift"]

_MOST = 4  # names in a sentence
_MOST_SOURCES = 500


@dataclass(frozen=True, slots=True)
class Drift:
    """``nodes`` are those whose function, or a function that it uses, was redefined; ``notes`` describe each drift and
    its consequence.

    ``graph`` is the workflow's present graph if it differs from the graph frozen on the flow; otherwise None.
    ``run.fork(step, graph=run.drift.graph)`` continues with it. Displayed, it is a picture of the difference.

    Example::

        if run.drift:
            again = run.fork("Score", graph=run.drift.graph)
    """

    nodes: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    graph: Graph | None = None
    frozen: Graph | None = None

    def picture(self) -> Svg | None:
        """The old and the new graph in one picture, with new, removed, changed and moved nodes; None without
        differences.
        """
        from dwarf.notebook.pictures.picture import draw_difference

        if self.frozen is None or self.graph is None:
            return None
        return draw_difference(self.frozen, self.graph, notes=graph_changes(self.frozen, self.graph))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        text = {"text/plain": "\n".join(self.notes) or "nothing has been redefined"}
        picture = self.picture()
        return text if picture is None else {**picture._repr_mimebundle_(), **text}


NONE = Drift()


def fingerprints(functions: Mapping[str, Callable[..., Any]]) -> dict[str, str]:
    """The digests of a host's functions, by URL."""
    return {url: fingerprint(function) for url, function in functions.items()}


class Digests:
    """The digests of a host's functions, each computed once. None for hosts that do not list their functions.

    After the function's own stands, if there are any, that of the functions of its notebook that it uses.

    The sources of redefined functions are kept while the lab lives.
    """

    def __init__(self, host: Any) -> None:
        self._host = host
        self._known: dict[str, tuple[Any, str, float]] = {}  # function, digest, and the time it was first seen
        self._helpers: dict[str, Helpers] = {}
        self._sources: dict[tuple[str, str], str] = {}  # of redefined functions, by URL and digest

    def now(self) -> dict[str, str]:
        """The digests of the registered functions, by URL."""
        functions: Mapping[str, Any] = getattr(self._host, "functions", {})
        for url, function in functions.items():
            known = self._known.get(url)
            if known is None or known[0] is not function:
                if known is not None:
                    self._keep_source(url, *known)
                self._known[url] = (function, fingerprint(function), time.time())
                self._helpers.pop(url, None)
            helpers = self._helpers.get(url)
            if helpers is None or not helpers.is_current:
                self._helpers[url] = Helpers(function)
        return {url: _joined(self._known[url][1], self._helpers[url].digest) for url in functions}

    def source(self, url: str, code: str) -> str:
        """The source of a redefined function, by the digest stored with its steps; "" if it is not known."""
        return self._sources.get((url, code), "")

    def _keep_source(self, url: str, function: Any, digest: str, since: float) -> None:
        """Keep the source of a redefined function. A cell's source is still available; a file may have been edited."""
        path = getattr(getattr(inspect.unwrap(function), "__code__", None), "co_filename", "")
        with suppress(OSError):
            if Path(path).stat().st_mtime > since:
                return
        source = source_of(function)
        if source:
            self._sources[url, digest[:CODE_LENGTH]] = source
        while len(self._sources) > _MOST_SOURCES:
            del self._sources[next(iter(self._sources))]

    def graph(self, name: str) -> Graph | None:
        """The graph that is registered under this name."""
        graphs: Mapping[str, Graph] = getattr(self._host, "graphs", {})
        return graphs.get(name)


def _joined(own: str, helpers: str) -> str:
    return f"{own}{_USES}{helpers}" if helpers else own


_USES = " uses "


def drift_of(watcher: FlowWatcher, digests: Digests) -> Drift:
    """The drift under a watched flow."""
    if watcher.graph is None or not watcher.functions:
        return NONE
    current = digests.graph(watcher.graph.name)
    return read_drift(watcher.graph, current, watcher.functions, digests.now())


def read_drift(frozen: Graph, current: Graph | None, before: Mapping[str, str], now: Mapping[str, str]) -> Drift:
    """The drift under a flow.

    ``frozen`` is its graph, and ``current`` the graph that its workflow's name refers to now; ``before`` are the
    digests of the functions when the lab first saw the flow, ``now`` the present ones.
    """
    notes = []
    changes = graph_changes(frozen, current) if current is not None else []
    if changes:
        notes.append(
            f"The graph {frozen.name!r} has been redefined since this flow began: {', '.join(changes)}. The flow goes "
            "on with the graph it began with, and so do forks that are not given the new one; a new start takes it."
        )
    changed = {url for url, digest in now.items() if url in before and before[url] != digest}
    own = {url for url in changed if before[url].partition(_USES)[0] != now[url].partition(_USES)[0]}
    nodes = [node.name for node in frozen.nodes if node.url in own]
    helped = [node.name for node in frozen.nodes if node.url in changed - own]
    if nodes:
        which, runs = ("The function", "it") if len(nodes) == 1 else ("The functions", "them")
        verb = "was" if len(nodes) == 1 else "were"
        notes.append(
            f"{which} of {_some(nodes)} {verb} redefined since this flow was first seen here: steps that begin from "
            f"then on run {runs} as redefined, and what was done before stands as it is."
        )
    if helped:
        use = "uses" if len(helped) == 1 else "use"
        notes.append(
            f"What {_some(helped)} {use} of this notebook was redefined since this flow was first seen here: steps "
            "that begin from then on run with it as redefined, and what was done before stands as it is."
        )
    return Drift(frozenset([*nodes, *helped]), tuple(notes), current if changes else None, frozen) if notes else NONE


def graph_changes(old: Graph, new: Graph) -> list[str]:
    """The differences of two graphs, each in a few words; empty for equal graphs."""
    if dumps(old.to_json()) == dumps(new.to_json()):
        return []
    told = []
    before, after = {node.name: node for node in old.nodes}, {node.name: node for node in new.nodes}
    told += _listed("added", [name for name in after if name not in before])
    told += _listed("removed", [name for name in before if name not in after])
    told += _listed("changed", [name for name in after if name in before and before[name] != after[name]])
    edges, fresh = list(old.transitions), list(new.transitions)
    gained = sum(each not in edges for each in fresh)
    lost = sum(each not in fresh for each in edges)
    told += [f"{plural(gained, 'edge')} new"] if gained else []
    told += [f"{plural(lost, 'edge')} gone"] if lost else []
    told += ["other reducers"] if dict(old.reducers) != dict(new.reducers) else []
    return told or ["in the order of its parts"]


def _listed(what: str, names: Sequence[str]) -> list[str]:
    return [f"{what} {_some(names)}"] if names else []


def _some(names: Iterable[str]) -> str:
    shown = [repr(name) for name in names]
    more = f" and {len(shown) - _MOST} more" if len(shown) > _MOST else ""
    return ", ".join(shown[:_MOST]) + more
