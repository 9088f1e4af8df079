"""What does a lab know so far? Its cells are run one after the other, so a task may be defined after its flow goes on.

After the kernel was restarted, the first cell makes the lab, and the flows in its database are under way at once, while
the tasks are defined a few cells further down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from dwarf.errors import TaskNotFound
from dwarf.hosts import LocalHost
from dwarf.workflow.graph import Graph
from dwarf.workflow.results import Step
from dwarf.workflow.status import Status
from dwarf.workflow.suggest import did_you_mean

__all__ = ["CellHost", "Missing", "missing_tasks"]


class CellHost(LocalHost):
    """A host that leaves the tasks it does not know to other processes, or until a cell defines them.

    A cell that defines a task again replaces it for good: graphs still hold the function that they were made with, and
    bring it along whenever a flow is started on them.
    """

    def __init__(self, *, max_threads: int | None = None) -> None:
        super().__init__(max_threads=max_threads)
        self._replaced: WeakSet[Callable[..., Any]] = WeakSet()

    def add_task(self, url: str, function: Callable[..., Any]) -> None:
        """As that of LocalHost; steps that have waited for the task begin."""
        known = self._tasks.get(url)
        if known is not None and known.function is not function:
            if _is_in(function, self._replaced):
                return
            with suppress(TypeError):  # not everything that can be called can be remembered
                self._replaced.add(known.function)
        super().add_task(url, function)
        self._tell()

    def _task(self, mark: Callable[[Any], Any], function: Any) -> Any:
        with suppress(TypeError):
            self._replaced.discard(function)
        return super()._task(mark, function)

    def admits(self, url: str) -> bool:
        """Whether the task is known and could start at once."""
        return url in self._tasks and super().admits(url)


def _is_in(function: Callable[..., Any], functions: WeakSet[Callable[..., Any]]) -> bool:
    try:
        return function in functions
    except TypeError:
        return False


def missing_tasks(graph: Graph, steps: Iterable[Step], known: Iterable[str]) -> list[str]:
    """The tasks, by URL, of steps that are due and that this process does not know."""
    urls = {node.name: node.url for node in graph.nodes}
    now = time.time()
    due = [
        step
        for step in steps
        if step.status is Status.PENDING and (step.not_before is None or step.not_before.timestamp() <= now)
    ]
    known = set(known)
    return sorted({urls[step.node] for step in due if step.node in urls} - known)


class Missing:
    """How long has a flow waited for tasks that are not known here? ``check`` raises after the grace, in seconds."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._since: float | None = None

    def check(self, graph: Graph, steps: Iterable[Step], known: Iterable[str]) -> None:
        """TaskNotFound, with what to do, where a due step has waited for longer than the grace.

        A lab that knows no task of the graph at all only looks on: others run the flow, and may take their time.
        """
        known = list(known)
        missing = missing_tasks(graph, steps, known)
        if not missing or not {node.url for node in graph.nodes}.intersection(known):
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > self._grace:
            first = missing[0]
            hint = did_you_mean(first, known)
            raise TaskNotFound(
                f"the flow waits for the task {first!r}, which this lab does not know{hint or '.'} "
                "Run the cell that defines it: the flow then goes on by itself, and you can wait for it again."
            )
