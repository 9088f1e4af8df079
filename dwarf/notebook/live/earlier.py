"""Which runs and maps has this cell begun before that still go on? A cell run twice without a key leaves one unseen."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

from dwarf.notebook import kernel
from dwarf.notebook.live.wire import describe_flow
from dwarf.notebook.messages import EarlierState
from dwarf.notebook.pictures.views import flow_view

if TYPE_CHECKING:
    from dwarf.notebook.live.flow_watcher import FlowWatcher
    from dwarf.notebook.maps.mapwork import MapWork

__all__ = ["Earlier", "describe_earlier", "label_of"]

W = TypeVar("W", "FlowWatcher", "MapWork")

_MOST = 5  # runs or maps that are named


class Earlier:
    """The runs and maps that each cell has started, by the execution of the cell. Kept until they end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[str, dict[str, WeakSet[FlowWatcher | MapWork]]] = {}

    def begun(self, work: FlowWatcher | MapWork) -> None:
        """Note that the running cell has started this run or map."""
        mark = kernel.cell_mark()
        if mark is None:
            return
        cell, execution = mark
        with self._lock:
            self._begun.setdefault(cell, {}).setdefault(execution, WeakSet()).add(work)

    def now(self, but: W) -> Sequence[W]:
        """The unended runs, or maps, of earlier executions of the running cell, newest first.

        Runs are given for a run and maps for a map, without ``but`` itself.
        """
        mark = kernel.cell_mark()
        if mark is None:
            return ()
        cell, execution = mark
        with self._lock:
            known = self._begun.get(cell, {})
            found = [each for name, runs in known.items() if name != execution for each in runs]
            for name in [name for name, runs in known.items() if name != execution and not _open(runs)]:
                del known[name]
        going = [each for each in found if isinstance(each, type(but)) and each is not but and not each.ended.done()]
        return sorted(going, key=label_of, reverse=True)[:_MOST]


def _open(runs: WeakSet[FlowWatcher | MapWork]) -> bool:
    return any(not each.ended.done() for each in runs)


def label_of(work: FlowWatcher | MapWork) -> str:
    """What tells a run or a map from others in the page, and is no secret."""
    return work.label


def describe_earlier(runs: Sequence[FlowWatcher], now: float) -> list[EarlierState]:
    """The runs that have not ended, as shown on the page. ``now`` in epoch seconds."""
    return [
        {
            "id": label_of(each),
            "name": each.graph.name if each.graph is not None else "",
            **describe_flow(flow_view(each.outcome, each.steps, each.began), now),
        }
        for each in runs
        if not each.ended.done()
    ]
