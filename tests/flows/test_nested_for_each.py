"""Fan-outs inside fan-outs."""

from __future__ import annotations

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from tests.support.invariants import query


async def test_fifty_times_fifty(engine: Engine) -> None:
    async def work(flow: Flow, cell: int, chunk: int) -> None:
        flow["sums"] = [cell * 100 + chunk]

    async def join_cell(flow: Flow, cell: int) -> None:
        assert flow["sums"] == [cell * 100 + chunk for chunk in range(50)]
        flow.update(sums=[sum(flow["sums"])], cells=1)

    graph = Graph("grid", reducers={"sums": "append", "cells": "add"})
    graph.add_node("Chunk", work).add_node("JoinCell", join_cell)
    graph.add_node("Seed", nothing).add_node("Cell", nothing).add_node("Join", nothing).set_entry("Seed")
    graph.add_for_each("Seed", "Cell", items="cells_in", item="cell")
    graph.add_for_each("Cell", "Chunk", items="chunks_in", item="chunk")
    graph.add_chain("Chunk", "JoinCell", "Join", END).set_fan_in("JoinCell").set_fan_in("Join")
    outcome = await engine.run(graph, {"cells_in": list(range(50)), "chunks_in": list(range(50))})
    assert outcome.status is Status.COMPLETED
    assert outcome.state["cells"] == 50
    assert outcome.state["sums"] == [sum(cell * 100 + chunk for chunk in range(50)) for cell in range(50)]
    assert await query(engine, "SELECT COUNT(*) FROM dwarf_steps") == [(1 + 50 + 2500 + 50 + 1,)]


async def nothing(flow: Flow) -> None:
    pass


@pytest.mark.parametrize("rows", [[], [[]], [[[]]], [[], [[1]], []], [[[1], []], [[], [2, 3]], [[4]]]])
async def test_each_level_may_be_empty(engine: Engine, rows: list[list[list[int]]]) -> None:
    async def leaf(flow: Flow, value: int) -> None:
        flow["found"] = [value]

    async def up(flow: Flow) -> None:
        # what a nested cohort has written ends at its fan-in unless it is written again
        flow["found"] = flow.get("found", [])

    async def open_row(flow: Flow, row: list[list[int]]) -> None:
        flow["cells"] = row

    async def open_cell(flow: Flow, cell: list[int]) -> None:
        flow["values"] = cell

    graph = Graph("levels", reducers={"found": "append"})
    graph.add_node("Seed", nothing).add_node("Row", open_row).add_node("Cell", open_cell).add_node("Leaf", leaf)
    graph.add_node("UpCell", up, fan_in=True).add_node("UpRow", up, fan_in=True).add_node("Last", nothing, fan_in=True)
    graph.add_for_each("Seed", "Row", items="rows", item="row").add_for_each("Row", "Cell", items="cells", item="cell")
    graph.add_for_each("Cell", "Leaf", items="values", item="value").add_chain("Leaf", "UpCell", "UpRow", "Last", END)
    outcome = await engine.run(graph, {"rows": rows})
    assert outcome.status is Status.COMPLETED
    assert outcome.state.get("found", []) == [value for row in rows for cell in row for value in cell]
