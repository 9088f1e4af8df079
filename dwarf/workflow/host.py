"""What the engine asks of a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph

JSON: TypeAlias = Any


@runtime_checkable
class Host(Protocol):
    """Finds graphs and runs tasks. Both calls are made on the engine's loop.

    Optional: ``async def signal_peers(self, op: str, payload: bytes) -> None`` carries a hint to the other replicas,
    which hand it to their ``engine.deliver_signal``; ``def admits(self, url: str) -> bool`` says whether the host
    takes the task now, and is asked before a step is claimed; a step that is not taken waits for another replica, or
    until ``def listen_free(self, listener) -> stop`` has told the engine to look again.
    """

    async def load_graph(self, url: str, baggage: Mapping[str, JSON]) -> Graph:
        """The graph of this URL. GraphNotFound where there is none."""
        ...

    async def execute_task(self, url: str, flow: Flow) -> None:
        """Run the task of this URL; its writes and control calls are on the flow when this returns or raises Parked.

        TaskNotFound where there is none. Whatever else this raises is the task's error. When it is cancelled, nothing
        the task still does may reach the flow.
        """
        ...
