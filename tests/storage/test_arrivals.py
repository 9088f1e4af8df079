"""Branches that reach their fan-in: counted with the group that they are in, and carried on when their cohort is full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.core.decision import Decision
from dwarf.core.records import StepRecord
from dwarf.core.step import DecisionContext, Raised, Returned, decide, no_room
from dwarf.engine import Engine
from dwarf.engine.shard.ids import new_token
from dwarf.engine.shard.priority_ceilings import ANY_BAND
from dwarf.storage.operations.commit import commit_group
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.sql.script import Now, Script
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.signals import Control
from tests.support.invariants import query
from tests.support.quiet import QUIET
from tests.support.workflows import Running

pytestmark = pytest.mark.usefixtures("quiet")

BORDERS = {"begin", "commit"}
COHORTS = "SELECT cohort_size, cohort_arrivals, cohort_failures FROM dwarf_steps WHERE cohort_size > 0 ORDER BY step_id"


async def nothing(flow: Flow) -> None:
    """Never run: the outcomes are made by hand."""


def fan(width: int) -> Graph:
    graph = Graph(f"fan-{width}", reducers={"out": "append"})
    graph.add_node("Split", nothing).add_node("Work", nothing).add_node("Join", nothing, fan_in=True)
    return graph.add_for_each("Split", "Work", items="items").add_chain("Work", "Join", END)


def nested() -> Graph:
    graph = Graph("nested", reducers={"out": "append"})
    graph.add_node("Seed", nothing).add_node("Row", nothing).add_node("Cell", nothing)
    graph.add_node("Inner", nothing, fan_in=True).add_node("Outer", nothing, fan_in=True)
    graph.add_for_each("Seed", "Row", items="rows", item="row").add_for_each("Row", "Cell", items="cells", item="cell")
    return graph.add_chain("Cell", "Inner", "Outer", END)


class Hand:
    """Takes steps of an engine that runs none, and writes their outcomes group by group."""

    def __init__(self, engine: Engine) -> None:
        self.replica: Any = engine._runtimes[1]
        self.counts: Counter[str] = Counter()

    async def take(self, node: str, count: int) -> list[StepRecord]:
        """All steps that wait, which must be so many at that node."""
        await self.replica.ids.reserve(100)
        claimed = await self.replica.dispatcher._claim(100, ANY_BAND)
        assert [step.node for step in claimed.steps] == [node] * count
        return list(claimed.steps)

    def returned(self, step: StepRecord, **changes: Any) -> Decision:
        decision_context = DecisionContext(self.replica.ids.steps.take, new_token, no_room)
        return decide(step, Returned(Control(), changes), decision_context)

    def raised(self, step: StepRecord) -> Decision:
        return decide(step, Raised("broken", "", {}), DecisionContext(self.replica.ids.steps.take, new_token, no_room))

    async def write(self, decisions: Sequence[Decision]) -> list[bool]:
        """One group. Which of them landed."""

        def script() -> Script[list[bool]]:
            now = yield Now()
            work = UnitOfWork(self.replica.writer, now, last=True)
            landed, _ = yield from commit_group(decisions, (), work)
            return landed

        self.counts.clear()
        self.replica.database.observer = lambda name, rows: self.counts.update([name])
        try:
            written: list[bool] = await self.replica.database.write(script)
        finally:
            self.replica.database.observer = None
        return written

    @property
    def statements(self) -> dict[str, int]:
        return {name: count for name, count in self.counts.items() if name not in {*BORDERS, "now"}}


async def test_cohorts_that_fill_in_one_group_go_on_together(running: Running, database: str) -> None:
    many, width = 3, 4
    async with running(workers=0, timing=QUIET) as engine:
        hand = Hand(engine)
        handles = [await engine.create(fan(width), {"items": list(range(width))}) for _ in range(many)]
        for step in await hand.take("Split", many):
            assert await hand.write([hand.returned(step)]) == [True]
        branches = await hand.take("Work", many * width)
        first, others = branches[:1], branches[1:]
        assert await hand.write([hand.returned(step, out=[step.state["item"]]) for step in first]) == [True]
        assert hand.statements == {"finish_step": 1, "arrive": 1}
        assert await hand.write([hand.returned(step, out=[step.state["item"]]) for step in others]) == [True] * 11
        asked = dict.fromkeys(("finish_step", "spawns", "members", "link_members", "insert_step"), 1)
        # where one statement cannot count for several cohorts they are counted one after the other
        assert hand.statements == {**asked, "arrive": 1 if database == "postgresql" else many}
        assert hand.counts["begin"] == hand.counts["commit"] == 1
        joins = await hand.take("Join", many)
        assert {dumps(step.state["out"]) for step in joins} == {"[0,1,2,3]"}
        assert await query(engine, COHORTS) == [(width, width, 0)] * many
        assert all(await hand.write([hand.returned(step) for step in joins]))
        assert [(await handle.snapshot()).status for handle in handles] == [Status.COMPLETED] * many


@pytest.mark.parametrize("others", [True, False], ids=["beside others", "alone"])
async def test_a_branch_that_is_fenced_out_is_not_counted(running: Running, others: bool) -> None:
    async with running(workers=0, timing=QUIET) as engine:
        hand = Hand(engine)
        await engine.create(fan(3), {"items": [0, 1, 2]})
        assert await hand.write([hand.returned(step) for step in await hand.take("Split", 1)]) == [True]
        branches = await hand.take("Work", 3)
        late = replace(branches[1], lease_seq=branches[1].lease_seq - 1)
        group = [branches[0], late, branches[2]] if others else [late]
        landed = await hand.write([hand.returned(step, out=[step.ordinal]) for step in group])
        assert landed == ([True, False, True] if others else [False])
        assert await query(engine, COHORTS) == [(3, 2 if others else 0, 0)]
        await hand.take("Join", 0)
        rest = [branches[1]] if others else branches
        assert all(await hand.write([hand.returned(step, out=[step.ordinal]) for step in rest]))
        assert await query(engine, COHORTS) == [(3, 3, 0)]
        (join,) = await hand.take("Join", 1)
        assert join.state["out"] == [0, 1, 2]
        assert not any(await hand.write([hand.returned(step, out=[step.ordinal]) for step in branches]))
        assert await query(engine, COHORTS) == [(3, 3, 0)]


async def test_a_cohort_that_fails_counts_for_the_one_around_it_in_the_same_group(running: Running) -> None:
    async with running(workers=0, timing=QUIET) as engine:
        hand = Hand(engine)
        handle = await engine.create(nested(), {"rows": [0, 1], "cells": [0, 1]})
        assert await hand.write([hand.returned(step) for step in await hand.take("Seed", 1)]) == [True]
        rows = await hand.take("Row", 2)
        assert all(await hand.write([hand.returned(step) for step in rows]))
        cells = await hand.take("Cell", 4)
        broken, beside = [[step for step in cells if step.lineage_id == row.step_id] for row in rows]
        assert all(await hand.write([hand.returned(step) for step in beside]))
        (inner,) = await hand.take("Inner", 1)
        assert await hand.write([hand.raised(broken[0])]) == [True]
        # the last branch of the inner cohort, which has failed by now, and the last but one of the outer one
        assert await hand.write([hand.returned(broken[1]), hand.returned(inner)]) == [True, True]
        assert await query(engine, COHORTS) == [(2, 2, 1), (2, 2, 1), (2, 2, 0)]
        outcome = await handle.snapshot()
        assert (outcome.status, outcome.error) == (Status.FAILED, "broken")


async def test_nested_cohorts_come_together_from_the_inside_outward(running: Running) -> None:
    async with running(workers=0, timing=QUIET) as engine:
        hand = Hand(engine)
        handle = await engine.create(nested(), {"rows": [0, 1], "cells": [0, 1]})
        for node, count in (("Seed", 1), ("Row", 2), ("Cell", 4), ("Inner", 2), ("Outer", 1)):
            assert all(await hand.write([hand.returned(step) for step in await hand.take(node, count)]))
        assert (await handle.snapshot()).status is Status.COMPLETED
        links = await query(engine, "SELECT count(*) FROM dwarf_steps WHERE successor_id = 0")
        assert links == [(1,)]  # the last one
