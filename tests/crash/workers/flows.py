"""The workflows that crashing processes run. Every execution of a task leaves a line in the ledger."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

from dwarf import END, Cache, Flow, Graph
from dwarf.hosts import LocalHost


class Ledger:
    """A file of executions: step key, node, attempt, process, nonce. A line survives its process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, flow: Flow) -> str:
        """Write down an execution; its nonce."""
        nonce = secrets.token_hex(4)
        os.write(self._file, f"{flow.step_key} {flow.node} {flow.attempt} {os.getpid()} {nonce}\n".encode())
        return nonce


def build(
    ledger: Path, holding: bool, tell: Callable[[str], None], *, fresh: bool = True
) -> tuple[LocalHost, asyncio.Event]:
    """A host with all workflows. In a process that is ``holding``, the tasks Hold wait for the event.

    ``fresh``: whether it has the task Fresh, as a version of a program that is not yet everywhere.
    """
    host, book, released = LocalHost(), Ledger(ledger), asyncio.Event()

    def effect(flow: Flow) -> None:
        flow["nonces"] = [*flow.get("nonces", []), book.note(flow)]
        flow["count"] = flow.get("count", 0) + 1

    async def hold(flow: Flow) -> None:
        if holding:
            tell(flow.node)
            await released.wait()

    @host.task(url="Step")
    async def Step(flow: Flow) -> None:
        effect(flow)

    @host.task(url="Threaded")
    def Threaded(flow: Flow) -> None:
        effect(flow)

    @host.task(url="Hold")
    async def Hold(flow: Flow) -> None:
        effect(flow)
        await hold(flow)

    @host.task(url="Sleep")
    async def Sleep(flow: Flow) -> None:
        effect(flow)
        flow.delay(flow["delay"])

    @host.task(url="Ask")
    async def Ask(flow: Flow) -> None:
        answer = flow.interrupt("go on?")
        effect(flow)
        flow["answer"] = answer

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        result = flow.subgraph(flow.get("child", "holding"), {"delay": flow.get("delay", 0)})
        effect(flow)
        flow["child_count"] = result["count"]

    @host.task(url="Poison")
    async def Poison(flow: Flow) -> None:
        effect(flow)
        os.kill(os.getpid(), signal.SIGKILL)

    @host.task(url="Split")
    async def Split(flow: Flow) -> None:
        book.note(flow)

    @host.task(url="Work")
    async def Work(flow: Flow, item: int) -> None:
        book.note(flow)
        flow["out"] = [item]
        flow["worked"] = 1
        if item == flow.get("held", -1):
            await hold(flow)

    @host.task(url="Join")
    async def Join(flow: Flow) -> None:
        book.note(flow)

    @host.task(url="Remember")
    async def Remember(flow: Flow) -> None:
        book.note(flow)
        flow["count"] = flow.get("count", 0) + 1

    host.add_task("Recall", Remember)
    if fresh:
        host.add_task("Fresh", Remember)
    for graph in _graphs():
        host.add_graph(graph)
    return host, released


def _graphs() -> list[Graph]:
    def chain(name: str, *tasks: str) -> Graph:
        graph = Graph(name)
        names = [f"N{position}" for position in range(1, len(tasks) + 1)]
        for node, task in zip(names, tasks, strict=True):
            graph.add_node(node, task)
        return graph.add_chain(*names, END)

    cached = Graph("cached")
    for node, url in (("N1", "Remember"), ("N2", "Recall"), ("N3", "Remember")):
        cached.add_node(node, url, cache=Cache(key=["n", "count"]))
    both = Graph("both").add_node("Begin", "Step").add_node("One", "Ask").add_node("Two", "Ask").add_node("End", "Join")
    both.add_fan_out("Begin", "One", "Two").add_chain("One", "End").add_chain("Two", "End", END).set_fan_in("End")
    fan = Graph("fan", reducers={"out": "append", "worked": "add"}).add_for_each("Split", "Work", items="items")
    return [
        chain("steps", "Step", "Threaded", "Step"),
        chain("holding", "Step", "Hold", "Step"),
        chain("sleeping", "Sleep", "Step"),
        chain("asking", "Step", "Ask", "Step"),
        chain("calling", "Step", "Call", "Step"),
        chain("poison", "Poison"),
        chain("fresh", "Ask", "Fresh", "Step"),
        both,
        cached.add_chain("N1", "N2", "N3", END),
        fan.add_chain("Work", "Join", END).set_fan_in("Join"),
    ]
