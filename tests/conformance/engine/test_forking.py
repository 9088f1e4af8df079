"""Forks on the trunk and in cohorts: scenarios 114 to 116, and 131 where it is about forks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import InvalidRequest, StateError, StepNotFound
from dwarf.hosts import LocalHost
from dwarf.workflow.results import Step
from tests.conformance.engine.forks import Runs, cohort, fragile, rows
from tests.conformance.engine.tools import appending, nodes, nothing, scalar, statuses, step_at
from tests.support.invariants import query

JSON = Any


# ---------------------------------------------------------------- 114: the trunk


async def test_e114_fork_of_a_completed_flow_runs_from_the_step_on(host: LocalHost, engine: Engine) -> None:
    runs = Runs()
    for name in "ABC":
        host.add_task(name, runs.task(name, appending(name)))
    origin = await engine.create(Graph("g").add_chain("A", "B", "C", END), {"keep": 1, "drop": 2})
    assert (await origin).state == {"keep": 1, "drop": 2, "path": "ABC"}
    before = await rows(engine, origin)
    runs.clear()
    fork = await engine.fork(await step_at(origin, "B"), {"path": "x", "more": [3], "drop": None})
    assert (await fork).state == {"keep": 1, "more": [3], "path": "xBC"}
    assert runs == {"B": 1, "C": 1}
    assert await nodes(fork) == ["A", "B", "C"]
    assert await rows(engine, origin) == before
    first, second = await step_at(origin, "A"), await step_at(fork, "A")
    assert (first.created_at, first.started_at, first.updated_at) == (
        second.created_at,
        second.started_at,
        second.updated_at,
    )
    assert first.key != second.key


async def test_e114_fork_of_a_failed_step_with_a_fix(host: LocalHost, engine: Engine) -> None:
    host.add_task("A", nothing)
    host.add_task("B", fragile("broken"))
    origin = await engine.create(Graph("g").add_chain("A", "B", END), {"broken": True})
    assert (await origin).status is Status.FAILED
    fork = await engine.fork((await step_at(origin, "B")).key, {"broken": False})
    assert (await fork).state == {"broken": False, "log": ["B"]}
    assert (await origin.snapshot()).error == "broken in B"
    assert (await step_at(fork, "B")).error == ""
    again = await engine.fork(await step_at(origin, "B"))
    assert (await again).error == "broken in B"


async def test_e114_fork_of_a_fork_and_of_the_entry(host: LocalHost, engine: Engine) -> None:
    for name in "AB":
        host.add_task(name, appending(name))
    origin = await engine.create(Graph("g").add_chain("A", "B", END))
    await origin
    fork = await engine.fork(await step_at(origin, "B"), {"path": "1"})
    await fork
    second = await engine.fork(await step_at(fork, "A"), {"path": "2"})
    assert (await second).state == {"path": "2AB"}
    third = await engine.fork(await step_at(second, "B"))
    assert (await third).state == {"path": "2AB"}


async def test_e114_fork_keeps_options_and_the_thread(host: LocalHost, engine: Engine) -> None:
    seen: list[JSON] = []

    async def task(flow: Flow) -> None:
        seen.append(dict(flow.baggage))

    host.add_task("A", task)
    origin = await engine.create(
        Graph("g").add_transition("A", END),
        priority=7,
        fairness_key="k",
        fairness_weight=3,
        time_budget=75,
        baggage={"tenant": 1},
        idempotency_key="once",
        delete_on_completion=False,
    )
    await origin
    fork = await engine.fork(await step_at(origin, "A"))
    await fork
    assert seen == [{"tenant": 1}] * 2
    columns = "priority, fairness_key, fairness_weight, time_budget_ms, thread_id, thread_token, graph_hash, baggage"
    first, second = await query(engine, f"SELECT {columns} FROM dwarf_flows ORDER BY flow_id")
    assert first == second
    assert await query(
        engine,
        "SELECT forked_from_step > 0, idempotency_key, request_hash FROM dwarf_flows ORDER BY flow_id DESC LIMIT 1",
    ) == [(1, None, "")]


# ---------------------------------------------------------------- 115, 116: cohorts


async def test_e115_fixing_one_branch_after_the_other(host: LocalHost, engine: Engine) -> None:
    runs = Runs()
    host.add_task("S", runs.task("S"))
    for name in "ABC":
        host.add_task(name, runs.task(name, fragile(f"break{name}")))
    host.add_task("J", runs.task("J"))
    graph = Graph("g", reducers={"log": "append"}).add_fan_out("S", "A", "B", "C")
    for name in "ABC":
        graph.add_transition(name, "J")
    graph.set_fan_in("J").add_transition("J", END)
    origin = await engine.create(graph, {"breakA": True, "breakC": True})
    assert (await origin).status is Status.FAILED
    runs.clear()
    first = await engine.fork(await step_at(origin, "A"), {"breakA": None})
    outcome = await first
    assert (outcome.status, outcome.error) == (Status.FAILED, "breakC in C")
    assert runs == {"A": 1}
    second = await engine.fork(await step_at(first, "C"), {"breakC": None})
    assert (await second).state["log"] == ["A", "B", "C"]
    assert runs == {"A": 1, "C": 1, "J": 1}


async def test_e116_counts_after_a_fork_at_the_first_step_of_a_branch(host: LocalHost, engine: Engine) -> None:
    host.add_task("S", nothing)
    for name in "ABC":
        host.add_task(f"{name}1", fragile(f"break{name}"))
        host.add_task(f"{name}2", nothing)
    host.add_task("J", nothing)
    graph = Graph("g").add_fan_out("S", "A1", "B1", "C1")
    for name in "ABC":
        graph.add_chain(f"{name}1", f"{name}2", "J")
    graph.set_fan_in("J").add_transition("J", END)
    origin = await engine.create(graph, {"breakB": True})
    await origin
    fork = await engine.fork(await step_at(origin, "B1"), {"breakB": False})
    assert (await fork).status is Status.COMPLETED
    assert await cohort(engine, fork, "S") == (3, 3, 0)
    second = await engine.fork(await step_at(fork, "A2"))
    assert (await second).status is Status.COMPLETED
    assert await cohort(engine, second, "S") == (3, 3, 0)
    assert Counter(await nodes(second)) == Counter(await nodes(fork))


def nested() -> Graph:
    """S spawns H per row, H spawns W per cell; W meet in M, M meet in J."""
    graph = Graph("g", reducers={"sum": "add"})
    graph.add_for_each("S", "H", items="rows", item="row").add_for_each("H", "W", items="row", item="cell")
    return graph.add_chain("W", "M", "J", END).set_fan_in("M").set_fan_in("J")


def nested_tasks(host: LocalHost, runs: Runs) -> None:
    async def work(flow: Flow) -> None:
        if flow["cell"] in flow.get("bad", []):
            raise ValueError(f"cell {flow['cell']}")
        flow["sum"] = flow["cell"]

    async def inner(flow: Flow) -> None:
        flow["sum"] = flow.get("sum", 0)

    for name, body in (("S", nothing), ("H", nothing), ("W", work), ("M", inner), ("J", nothing)):
        host.add_task(name, runs.task(name, body))


async def cell_step(handle: FlowHandle, engine: Engine, cell: int) -> Step:
    """The W step of a cell."""
    for step in await handle.history():
        if step.node == "W" and ((await engine.step(step.key)).state or {}).get("cell") == cell:
            return step
    raise AssertionError("no such cell")


async def test_e116_a_rewind_inside_a_nested_cohort_counts_right(host: LocalHost, engine: Engine) -> None:
    runs = Runs()
    nested_tasks(host, runs)
    origin = await engine.create(nested(), {"rows": [[1, 2], [3, 4], [5]], "sum": 0})
    expected = (await origin).state
    runs.clear()
    fork = await engine.fork(await cell_step(origin, engine, 3))
    assert (await fork).state == expected
    assert runs == {"W": 1, "M": 1, "J": 1}
    counted = await query(
        engine,
        "SELECT cohort_size, cohort_arrivals, cohort_failures FROM dwarf_steps WHERE cohort_size > 0 AND flow_id = :id",
        id=int(fork.key.split("-")[1]),
    )
    assert sorted(counted) == [(1, 1, 0), (2, 2, 0), (2, 2, 0), (3, 3, 0)]
    assert await statuses(fork, "W") == {Status.COMPLETED: 5}


async def test_e116_a_kept_failure_in_a_nested_cohort_fails_again(host: LocalHost, engine: Engine) -> None:
    runs = Runs()
    nested_tasks(host, runs)
    origin = await engine.create(nested(), {"rows": [[1, 2], [3, 4]], "bad": [4]})
    assert (await origin).error == "cell 4"
    for cell in (1, 3):
        runs.clear()
        fork = await engine.fork(await cell_step(origin, engine, cell))
        outcome = await fork
        assert (outcome.status, outcome.error) == (Status.FAILED, "cell 4")
        assert runs["J"] == 0
        assert runs["M"] == (1 if cell == 1 else 0)
    fixed = await engine.fork(await cell_step(origin, engine, 4), {"bad": []})
    assert (await fixed).status is Status.COMPLETED


# ---------------------------------------------------------------- 131 and wrong arguments


async def test_e131_fields_stored_once_are_seen_in_a_fork_at_a_branch(host: LocalHost, engine: Engine) -> None:
    document = "x" * 40_000
    seen: list[int] = []

    async def anchor(flow: Flow) -> None:
        flow["document"] = document

    async def page(flow: Flow) -> None:
        seen.append(len(flow["document"]))
        if flow.get("short"):
            flow["document"] = "short"

    for name, body in (("Anchor", anchor), ("Split", nothing), ("Page", page), ("Collect", nothing), ("Last", nothing)):
        host.add_task(name, body)
    graph = Graph("g").add_chain("Anchor", "Split").add_for_each("Split", "Page", items="pages", item="page")
    graph.add_chain("Page", "Collect", "Last", END).set_fan_in("Collect")
    origin = await engine.create(graph, {"pages": [1, 2, 3]})
    assert (await origin).state["document"] == document
    assert await scalar(engine, "SELECT COUNT(*) FROM dwarf_steps WHERE refs <> ''") > 0
    pages = [step for step in await origin.history() if step.node == "Page"]
    for step, changes in ((pages[0], None), (await step_at(origin, "Last"), None), (pages[1], {"other": 1})):
        fork = await engine.fork(step, changes)
        assert (await fork).state["document"] == document
    replaced = await engine.fork(pages[2], {"document": "y" * 30_000})
    await replaced
    assert seen == [40_000] * 5 + [30_000]
    again = await engine.fork((await replaced.history())[-1], {"document": None})
    assert "document" not in (await again).state


async def test_an_unknown_or_malformed_step_is_refused(host: LocalHost, engine: Engine) -> None:
    host.add_task("A", nothing)
    flow = await engine.create(Graph("g").add_transition("A", END))
    await flow
    step = await step_at(flow, "A")
    for unknown in (f"1-{step.id + 1}-{'0' * 16}", f"1-{step.id}-{'0' * 16}"):
        with pytest.raises(StepNotFound):
            await engine.fork(unknown)
    for malformed in ("nonsense", "1-2", 17, None):
        with pytest.raises(InvalidRequest):
            await engine.fork(malformed)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [[1], "text", 7, True], ids=repr)
async def test_changes_are_an_object(host: LocalHost, engine: Engine, changes: JSON) -> None:
    host.add_task("A", nothing)
    flow = await engine.create(Graph("g").add_transition("A", END))
    await flow
    step = await step_at(flow, "A")
    with pytest.raises(InvalidRequest):
        await engine.fork(step, changes)
    with pytest.raises(InvalidRequest):
        await flow.retry_failed(changes)
    with pytest.raises(InvalidRequest):
        await flow.continue_with(changes)
    with pytest.raises(StateError):
        await engine.fork(step, {"x": object()})
    for wrong in ({"at": "before"}, {"at": None}, {"keep_answers": -1}, {"keep_answers": True}, {"keep_answers": 1}):
        with pytest.raises(InvalidRequest):
            await engine.fork(step, **wrong)
    with pytest.raises(InvalidRequest):
        await engine.fork(step, at="after", keep_answers=1)
    assert await scalar(engine, "SELECT COUNT(*) FROM dwarf_flows") == 1
