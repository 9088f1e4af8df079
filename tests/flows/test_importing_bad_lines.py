"""Lines that cannot be imported: the first wrong one is named, and nothing is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.errors import GraphError, InvalidRequest, StateError
from dwarf.hosts import LocalHost
from tests.support.invariants import query

Line = dict[str, Any]

# What the lines of `exported` are: header, 2 graphs, 1 blob, 2 flows, 3 steps, end.
HEADER, GRAPH, BLOB, ROOT, CHILD, FIRST, SECOND, INNER, LAST = 0, 1, 3, 4, 5, 6, 7, 8, 9


async def ask(flow: Flow) -> None:
    flow["answer"] = flow.interrupt({"title": "?"})


async def start(flow: Flow) -> None:
    flow["carried"] = "y" * 5000


async def call(flow: Flow) -> None:
    flow["first"] = flow.interrupt({"title": "first"})
    flow["result"] = flow.subgraph("inner", {"carried": flow["carried"]})


@pytest.fixture
async def exported(host: LocalHost, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of a flow that waits in its child."""
    monkeypatch.setattr("dwarf.storage.payloads.pipeline.LARGE", 3000)
    host.add_graph(Graph("inner").add_node("Inner", ask).add_transition("Inner", END))
    graph = Graph("outer").add_node("Start", start).add_node("Call", call).add_chain("Start", "Call")
    flow = await engine.create(graph.add_transition("Call", END))
    await flow
    await flow.resume(1)
    await flow
    lines = [line async for line in engine.export_flows(flow.key)]
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds == ["header", "graph", "graph", "blob", "flow", "flow", "step", "step", "step", "end"]
    assert json.loads(lines[SECOND])["refs"] == {"carried": json.loads(lines[FIRST])["step_id"]}
    return lines


async def counts(engine: Engine) -> list[Any]:
    tables = ("dwarf_flows", "dwarf_steps", "dwarf_blobs", "dwarf_blob_refs", "dwarf_graphs")
    return [(await query(engine, f"SELECT COUNT(*) FROM {table}"))[0][0] for table in tables]


async def refused(engine: Engine, lines: list[Any], number: int, words: str) -> None:
    before = await counts(engine)
    with pytest.raises(InvalidRequest, match=rf"^line {number}: .*{words}"):
        await engine.import_flows(lines)
    assert await counts(engine) == before


async def test_the_lines_as_they_are_can_be_imported(engine: Engine, exported: list[str]) -> None:
    (flow,) = await engine.import_flows(exported)
    await flow.resume("here")
    assert (await flow).state["result"]["answer"] == "here"


@pytest.mark.parametrize(
    "text", ["{", "nonsense", "[1]", '"text"', '{"kind":"flow"', '{"a":NaN}', "{}", '{"kind":[]}', 7]
)
async def test_a_line_that_is_no_line(engine: Engine, exported: list[str], text: Any) -> None:
    await refused(engine, [*exported[:2], text, *exported[2:]], 3, "")


async def test_lines_that_are_missing(engine: Engine, exported: list[str]) -> None:
    await refused(engine, [], 1, "nothing to import")
    await refused(engine, exported[1:], 1, "not the first line")
    for gone, number, words in (
        (GRAPH, ROOT, "graph of the flow"),
        (BLOB, FIRST, "large value"),
        (ROOT, CHILD, "first flow of a tree is its root"),
        (CHILD, INNER, "flow of the step"),
        (FIRST, LAST, "lines of the flow are missing"),
        (LAST, len(exported), "the rest of a flow is missing"),
    ):
        await refused(engine, exported[:gone] + exported[gone + 1 :], number, words)
    for cut_off in range(ROOT + 1, LAST + 1):
        await refused(engine, exported[:cut_off], cut_off + 1, "missing")


async def test_lines_that_come_twice_or_out_of_turn(engine: Engine, exported: list[str]) -> None:
    await refused(engine, [exported[0], *exported], 2, "header")
    await refused(engine, [*exported[: ROOT + 1], *exported[ROOT:]], ROOT + 2, "comes once")
    await refused(engine, [*exported[: FIRST + 1], *exported[FIRST:]], FIRST + 2, "comes once")
    await refused(engine, [*exported[:LAST], exported[CHILD], exported[LAST]], LAST + 1, "comes once|before the steps")
    await refused(engine, [*exported, exported[LAST]], len(exported) + 1, "before the end")


async def test_integers_have_a_bound(engine: Engine, exported: list[str]) -> None:
    long = f'{exported[FIRST][:-1]},"n":{"9" * 5000}}}'
    await refused(engine, [*exported[:FIRST], long, *exported[FIRST + 1 :]], FIRST + 1, "digits")
    for read in (Flow.from_json, Graph.from_json):
        with pytest.raises((StateError, GraphError), match="5,000 digits, and at most 4,300 are read"):
            read(f'{{"state":{{"n":{"9" * 5000}}}}}')


async def test_what_is_no_sequence_of_lines(engine: Engine, exported: list[str]) -> None:
    for wrong in ("\n".join(exported), b"", None, 5):
        with pytest.raises(InvalidRequest, match="one by one"):
            await engine.import_flows(wrong)  # type: ignore[arg-type]


def setting(**values: Any) -> Callable[[Line], None]:
    return lambda line: line.update(values)


def without(name: str) -> Callable[[Line], None]:
    return lambda line: line.pop(name)


CHANGES: list[tuple[int, Callable[[Line], None], str]] = [
    (HEADER, setting(version=2), "version 2"),
    (HEADER, setting(format="other"), "not the first line"),
    (GRAPH, setting(hash="short"), "64 hexadecimal"),
    (GRAPH, setting(graph={"entryPoint": "Nowhere"}), ""),
    (GRAPH, setting(graph=[]), ""),
    (GRAPH, without("graph"), ""),
    (BLOB, without("value"), "value is missing"),
    (BLOB, setting(hash=5), "64 hexadecimal"),
    (ROOT, setting(status="running"), "has stopped"),
    (ROOT, setting(status="asleep"), "no status 'asleep'"),
    (ROOT, setting(flow_id=0), "under an id"),
    (ROOT, setting(flow_id="1"), "'flow_id' is a whole number"),
    (ROOT, setting(flow_id=True), "'flow_id' is a whole number"),
    (ROOT, setting(parent_flow_id=5), "its root"),
    (ROOT, setting(workflow_url=""), "workflow_url"),
    (ROOT, setting(workflow_url="x" * 513), "more than 512"),
    (ROOT, setting(priority=0), "priority"),
    (ROOT, setting(priority=2**31), "out of range"),
    (ROOT, setting(fairness_weight=-1), "out of range"),
    (ROOT, setting(fairness_weight="1"), "a number"),
    (ROOT, setting(created_at=10**15), "out of range"),
    (ROOT, without("created_at"), "created_at"),
    (ROOT, setting(baggage=[]), "'baggage' is an object"),
    (ROOT, setting(delete_on_completion=2), "out of range"),
    (CHILD, setting(root_flow_id=99), "another tree"),
    (CHILD, setting(parent_flow_id=99), "before its parent"),
    (CHILD, without("parent_step_id"), "parent_step_id"),
    (FIRST, setting(flow_id=99), "flow of the step"),
    (FIRST, setting(node="Nobody"), "no node 'Nobody'"),
    (FIRST, setting(status="odd"), "no status"),
    (FIRST, setting(parked=1), "waits for no child"),
    (FIRST, setting(depth=0), "depth"),
    (FIRST, setting(time_budget_ms=0), "time_budget_ms"),
    (FIRST, setting(limit_name="x"), "go together"),
    (FIRST, setting(limit_name="x", limit_rule="many"), "three numbers"),
    (FIRST, setting(state=[]), "'state' is an object"),
    (FIRST, setting(progress=[1]), "progress"),
    (FIRST, setting(progress=["a", None, "b"]), "progress"),
    (FIRST, setting(changes={"carried": {"$dwarf": "blob", "v": "0" * 64}}), "large value"),
    (SECOND, setting(answers=[{"kind": "odd"}]), "kind"),
    (SECOND, setting(answers=["odd"]), "object"),
    (SECOND, setting(answers=[{"kind": "interrupt", "wrote": []}]), "object"),
    (SECOND, setting(refs={"carried": "5"}), "refs are ids"),
    (INNER, setting(interrupt={"payload": []}), "payload"),
    (LAST, setting(steps=4), "missing"),
]


@pytest.mark.parametrize(("position", "change", "words"), CHANGES)
async def test_a_line_that_was_changed(
    engine: Engine, exported: list[str], position: int, change: Callable[[Line], None], words: str
) -> None:
    line = json.loads(exported[position])
    change(line)
    lines = [*exported[:position], json.dumps(line), *exported[position + 1 :]]
    await refused(engine, lines, position + 1, words)


@pytest.mark.parametrize(
    ("position", "change", "words"),
    [
        (SECOND, setting(refs={"other": None}), "refs are ids"),
        (SECOND, setting(predecessor_id=10**9), "predecessor_id"),
        (FIRST, setting(successor_id=10**9), "successor_id"),
        (SECOND, setting(lineage_id=10**9), "lineage_id"),
        (SECOND, setting(depth=1), "does not fit its depth"),
        (CHILD, setting(parent_step_id=10**9), "called the flow"),
        (FIRST, setting(changes={}), "'carried' that is missing"),
        (ROOT, setting(status="completed"), "has a step that has not ended"),
        (CHILD, setting(status="completed"), "has a step that has not ended"),
        (INNER, setting(status="completed"), "all its steps have ended"),
        (SECOND, without("parked"), "waits for 0 flow(s), and has called 1"),
        (FIRST, setting(cohort_size=2, cohort_arrivals=3), "than there are"),
        (FIRST, setting(interrupt_deadline=1), "waits for none"),
    ],
)
async def test_lines_that_do_not_fit_together(
    engine: Engine, exported: list[str], position: int, change: Callable[[Line], None], words: str
) -> None:
    line = json.loads(exported[position])
    change(line)
    lines = [*exported[:position], json.dumps(line), *exported[position + 1 :]]
    before = await counts(engine)
    with pytest.raises(
        InvalidRequest, match=rf"^line {LAST + 1}: .*{re.escape(words)}|^line {position + 1}: .*{words}"
    ):
        await engine.import_flows(lines)
    assert await counts(engine) == before


async def test_an_error_in_a_later_flow_keeps_the_earlier_ones_out(engine: Engine, exported: list[str]) -> None:
    await refused(engine, [*exported, *exported[ROOT:LAST], "{"], len(exported) + LAST - ROOT + 1, "")
    await refused(engine, [*exported, exported[ROOT]], len(exported) + 2, "the rest of a flow is missing")


async def test_members_that_are_not_known_are_left_aside(engine: Engine, exported: list[str]) -> None:
    lines = [json.dumps({**json.loads(line), "later": [1]}) for line in exported]
    (flow,) = await engine.import_flows(lines)
    assert (await flow.snapshot()).status is Status.INTERRUPTED


async def test_ids_of_another_database_may_be_any(engine: Engine, exported: list[str]) -> None:
    lines = []
    for line in map(json.loads, exported):
        for name in (
            "flow_id",
            "parent_flow_id",
            "root_flow_id",
            "step_id",
            "parent_step_id",
            "predecessor_id",
            "successor_id",
        ):
            if line.get(name):
                line[name] += 2**61
        if "refs" in line:
            line["refs"] = {name: anchor + 2**61 for name, anchor in line["refs"].items()}
        lines.append(json.dumps(line))
    (flow,) = await engine.import_flows(lines)
    await flow.resume("here")
    assert (await flow).state["result"]["answer"] == "here"
