"""What does a lab know so far? Its cells are run one after the other, so a task may be defined after its flow goes on.

After the kernel was restarted, the first cell makes the lab, and the flows in its database are under way at once, while
the tasks are defined a few cells further down.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from dwarf.errors import TaskNotFound
from dwarf.hosts import LocalHost
from dwarf.workflow.graph import Graph
from dwarf.workflow.results import Step
from dwarf.workflow.status import Status
from dwarf.workflow.suggest import near_task

__all__ = ["CellHost", "Missing", "missing_tasks"]


class CellHost(LocalHost):
    """The host of a notebook: a task that is unknown now may be defined by the next cell.

    A cell that defines a task again replaces it for good: graphs still hold the function that they were made with, and
    bring it along whenever a flow is started from them.
    """

    def former(self, url: str, workflow: str | None = None) -> str | None:
        """As in LocalHost, but only for workflows defined by the cells: others may belong to another notebook."""
        return super().former(url) if workflow is None or workflow in self._graphs else None

    def _advice(self, url: str) -> str:
        return f"{near_task(url, self._tasks) or '.'} Is the cell that defines it run?"


def missing_tasks(graph: Graph, steps: Iterable[Step], known: Iterable[str]) -> list[str]:
    """The URLs of due steps' tasks that this process does not know."""
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
        """TaskNotFound, with advice, if a due step has waited for longer than the grace.

        A lab that knows no task of the graph only watches: other processes run the flow, and may take their time.
        """
        known = list(known)
        missing = missing_tasks(graph, steps, known)
        if not missing or not {node.url for node in graph.nodes}.intersection(known):
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > self._grace:
            first = missing[0]
            hint = near_task(first, known)
            raise TaskNotFound(
                f"the flow waits for the task {first!r}, which this lab does not know{hint or '.'} "
                "Run the cell that defines it: the flow then goes on by itself, and you can wait for it again."
            )
