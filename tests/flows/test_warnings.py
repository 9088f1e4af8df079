"""Warnings that are kept with a step's outcome: written, shown, exported, forgotten by a step that runs again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.core import step as core_step
from dwarf.core.decision import LONGEST_WARNING, MOST_WARNINGS, Complete, add_warnings
from dwarf.engine import Engine
from dwarf.errors import InvalidRequest
from tests.support.workflows import Running, at


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task that returns or parks at a node called Warn gets two warnings."""
    decide = core_step._decide

    def deciding(step: Any, attempt: Any, context: Any) -> Any:
        decision = decide(step, attempt, context)
        if step.node == "Warn":
            add_warnings(decision, ["first", "é\u0000", "first"])
        return decision

    monkeypatch.setattr(core_step, "_decide", deciding)


WARNED = ("first", "é\u0000")


async def test_warnings_are_kept_with_every_outcome(running: Running, warned: None) -> None:
    async def warn(flow: Flow) -> dict[str, Any]:
        if "fails" in flow:
            raise ValueError("it fails")
        if "asks" in flow:
            flow.interrupt("Well?")
        return {"x": 1}

    async def then(flow: Flow) -> None:
        pass

    middle = Graph("middle").add_node("Warn", warn).add_node("Then", then).add_chain("Warn", "Then", END)
    last = Graph("last").add_node("Warn", warn).add_transition("Warn", END)
    async with running() as engine:
        for graph, state in ((middle, {}), (last, {}), (last, {"fails": True}), (last, {"asks": True})):
            flow = await engine.create(graph, state)
            await flow.outcome(timeout=60)
            history = await flow.history()
            assert at(history, "Warn").warnings == WARNED
            assert all(step.warnings == () for step in history if step.node != "Warn")
            assert (await engine.step(at(history, "Warn").key)).warnings == WARNED
            assert at(await flow.steps(), "Warn").warnings == WARNED


async def test_warnings_travel_and_are_forgotten_by_a_step_that_runs_again(
    running: Running, warned: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(flow: Flow) -> None:
        pass

    graph = Graph("warns").add_node("Warn", nothing).add_node("Then", nothing).add_chain("Warn", "Then", END)
    async with running() as engine:
        flow = await engine.create(graph)
        await flow.outcome(timeout=60)
        lines = [line async for line in engine.export_flows(flow.key)]
        (copy,) = await engine.import_flows(lines)
        assert [step.warnings for step in await copy.history()] == [WARNED, ()]
        warn, then = await flow.history()
        later = await engine.fork(then)
        await later.outcome(timeout=60)
        assert [step.warnings for step in await later.history()] == [WARNED, ()], "a step of the past keeps them"
        monkeypatch.undo()
        again = await engine.fork(warn)
        await again.outcome(timeout=60)
        assert [step.warnings for step in await again.history()] == [(), ()]
        with pytest.raises(InvalidRequest, match="warnings are texts"):
            await engine.import_flows([line.replace('["first"', '[1,"first"') for line in lines])


async def test_a_step_of_a_fan_out_has_its_own(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    decide = core_step._decide

    def deciding(step: Any, attempt: Any, context: Any) -> Any:
        decision = decide(step, attempt, context)
        if step.state.get("item") == 2:
            add_warnings(decision, ["two"])
        return decision

    monkeypatch.setattr(core_step, "_decide", deciding)

    async def nothing(flow: Flow) -> None:
        pass

    graph = Graph("fan").add_node("Split", nothing).add_node("Each", nothing).add_node("Join", nothing, fan_in=True)
    graph.add_for_each("Split", "Each", items="items").add_chain("Each", "Join", END)
    async with running() as engine:
        flow = await engine.create(graph, {"items": [1, 2, 3]})
        assert (await flow.outcome(timeout=60)).status is Status.COMPLETED
        steps = sorted((step for step in await flow.history() if step.node == "Each"), key=lambda step: step.ordinal)
        assert [step.warnings for step in steps] == [(), ("two",), ()]


def test_they_are_bounded() -> None:
    decision = Complete(step=None, changes={}, final_state={})  # type: ignore[arg-type]
    add_warnings(decision, ["x" * 5000, *map(str, range(200))])
    kept: Sequence[str] = decision.warnings
    assert len(kept) == MOST_WARNINGS
    assert len(kept[0]) == LONGEST_WARNING


async def test_who_has_none_writes_none(engine: Engine) -> None:
    async def nothing(flow: Flow) -> None:
        pass

    seen: set[str] = set()
    engine._runtimes[1].database.observer = lambda statement, rows: seen.add(statement)  # type: ignore[attr-defined]
    outcome = await engine.run(Graph("g").add_node("A", nothing).add_transition("A", END))
    assert outcome.status is Status.COMPLETED
    assert seen
    assert not [name for name in seen if name.endswith("_warning")]
