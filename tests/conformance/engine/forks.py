"""What the scenarios of forks share."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dwarf import Flow
from dwarf.engine import Engine, FlowHandle
from tests.conformance.engine.tools import nothing, step_at
from tests.support.invariants import query


class Runs(Counter[str]):
    """How often each task ran."""

    def task(self, name: str, body: Any = nothing) -> Any:
        async def run(flow: Flow) -> None:
            self[name] += 1
            await body(flow)

        return run


async def rows(engine: Engine, handle: FlowHandle) -> list[list[Any]]:
    """Everything stored of a root flow and what is under it."""
    root = int(handle.key.split("-")[1])
    flows = await query(engine, "SELECT * FROM dwarf_flows WHERE root_flow_id = :root ORDER BY flow_id", root=root)
    of_tree = "flow_id IN (SELECT flow_id FROM dwarf_flows WHERE root_flow_id = :root)"
    return [flows, await query(engine, f"SELECT * FROM dwarf_steps WHERE {of_tree} ORDER BY step_id", root=root)]


async def cohort(engine: Engine, handle: FlowHandle, node: str) -> tuple[int, int, int]:
    """Size, arrivals and failures of the cohort that a node opened."""
    row = await query(
        engine,
        "SELECT cohort_size, cohort_arrivals, cohort_failures FROM dwarf_steps WHERE step_id = :id",
        id=(await step_at(handle, node)).id,
    )
    return tuple(row[0])


def fragile(field: str) -> Any:
    """A task that fails while the field says so, and else notes that it ran."""

    async def run(flow: Flow) -> None:
        if flow.get(field):
            raise ValueError(f"{field} in {flow.node}")
        flow["log"] = [flow.node]

    return run
