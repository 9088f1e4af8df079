"""What a type checker refuses. An ignored line without a mistake in it is an error, too."""

from __future__ import annotations

from dwarf import Flow, Graph, Limit, Outcome, Retry, task
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.notebook import Lab


@task
def add(a: int) -> dict[str, int]:
    return {"a": a + 1}


add("1")  # type: ignore[arg-type]
Graph("a", reducer={"n": "add"})  # type: ignore[call-arg]
Graph("a").add_node("A", 3)  # type: ignore[arg-type]
Graph("a").add_transition("A")  # type: ignore[call-arg]
Graph("a").add_node("A", add, retry="three")  # type: ignore[arg-type]
Limit(concurrency="4")  # type: ignore[arg-type]
Retry(3, 1)  # type: ignore[call-arg]
Flow({"n": 1}).get_as("n", int).upper()  # type: ignore[attr-defined]
Outcome().state["n"] = 1  # type: ignore[index]
Engine(LocalHost(), durability="lazy")  # type: ignore[arg-type]
Engine("postgresql://host/name")  # type: ignore[arg-type]


async def main(engine: Engine, lab: Lab) -> None:
    print((await engine.create("Add")).state)  # type: ignore[attr-defined]
    print(engine.create("Add").key)  # type: ignore[attr-defined]
    await engine.create("Add", tag={"team": "north"})  # type: ignore[call-arg]
    lab.start("Add").wait(timeout="60")  # type: ignore[arg-type]
