"""Data that names a module has none imported, by whichever door it comes: nothing that is read is code."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from dwarf import END, Flow, Graph
from dwarf.cli import main
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.hosts.asgi import task_app
from dwarf.notebook.live.panel import changes_between

MODULE = "import pathlib\npathlib.Path({mark!r}).touch()\nfrom dataclasses import dataclass\n@dataclass\nclass Thing:\n    x: int\n"
KINDS = ("dataclass", "model", "model_json", "enum", "tuple", "series", "numpy", "blob", "object")
TAGS = [{"$dwarf": kind, "type": "behind_the_door:Thing", "v": {"x": 1, "name": "a"}} for kind in KINDS]
STATE = {"tags": TAGS, "inner": {"deep": TAGS}, "one": TAGS[0], "$dwarf": "dataclass", "type": "behind_the_door:Thing"}


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module that can be imported, and tells when it is."""
    mark = tmp_path / "was_imported"
    (tmp_path / "behind_the_door.py").write_text(MODULE.format(mark=str(mark)), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there is no such class is said once
        yield
    assert "behind_the_door" not in sys.modules
    assert not mark.exists()


@contextmanager
def nothing_imported() -> Iterator[None]:
    yield
    assert "behind_the_door" not in sys.modules


def look(flow: Flow) -> dict[str, Any]:
    """Reads everything that is there, in every way."""
    for name in list(flow):
        _ = flow[name], flow.get(name), repr(flow[name])
    return {"seen": len(flow.items())}


def ask(flow: Flow) -> dict[str, Any]:
    return {"answer": flow.interrupt({"title": "?", "letter": STATE})}


@pytest.mark.usefixtures("door")
async def test_doors_of_an_engine(engine: Engine, host: LocalHost) -> None:
    graph = Graph("g").add_node("Look", look).add_node("Ask", ask).add_node("Again", look)
    graph.add_chain("Look", "Ask", "Again", END)
    flow = await engine.create(graph, STATE)
    (step,) = await _asked(flow)
    assert step.interrupt_payload["letter"] == STATE
    with nothing_imported():
        lines = [line async for line in engine.export_flows(flow.key)]
        forged = [_with_tags(line) for line in lines]
    await flow.resume(STATE)
    assert (await flow.outcome(timeout=60)).state["answer"] == STATE  # one's own key stays one's own

    (copy,) = await engine.import_flows(forged)
    await copy.resume({"x": TAGS})
    outcome = await copy.outcome(timeout=60)
    assert outcome.state["forged"][0] == {
        "x": 1,
        "name": "a",
    }  # a tag of an import file is one: it is plain members here
    fork = await engine.fork((await copy.history())[0], {"more": TAGS})
    (step,) = await _asked(fork)
    await fork.resume(None, step=step)
    assert (await fork.outcome(timeout=60)).state["more"] == TAGS

    graph = Graph.from_json(
        {
            "name": "behind_the_door:Thing",
            "entryPoint": "A",
            "tasks": [
                {
                    "name": "A",
                    "url": "behind_the_door:Thing",
                    "retry": {"attempts": 2, "retryOn": ["behind_the_door.Thing"]},
                    "executor": "behind_the_door:Thing",
                }
            ],
            "transitions": [{"from": "A", "to": END}],
            "reducers": {"x": "behind_the_door:Thing"},
        }
    )
    assert graph.check({}) is not None
    assert graph.to_python()


@pytest.mark.usefixtures("door")
async def test_doors_of_a_wire() -> None:
    host = LocalHost()
    host.add_task("look", look)
    wire = {"state": STATE, "changes": {"new": TAGS}, "flowKey": "1-1-a", "node": "A", "baggage": {"b": TAGS}}
    flow = Flow.from_json(json.dumps(wire))
    look(flow)
    app = httpx.ASGITransport(task_app(host, token="a-secret"))
    async with httpx.AsyncClient(transport=app, base_url="http://tasks") as client:
        answer = await client.post("/tasks/look", json=wire, headers={"authorization": "Bearer a-secret"})
    assert answer.status_code == 200
    assert answer.json()["changes"]["seen"] == len(STATE) + 1
    changes = changes_between({}, json.dumps(STATE), whole=True)
    assert set(changes) == set(STATE)


@pytest.mark.usefixtures("door")
def test_doors_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop_of_doors.py").write_text(
        "from dwarf import END, Flow, Graph\n"
        "def ask(flow: Flow) -> dict:\n"
        "    return {'answer': flow.interrupt({'title': '?', 'letter': flow['one']})}\n"
        "graph = Graph('Ask').add_node('A', ask).add_chain('A', END)\n"
    )
    try:
        main(["run", "shop_of_doors:graph", "--state", json.dumps(STATE), "--json"])  # it ends with a question
        key = json.loads(capsys.readouterr().out)["flow_key"]
        assert main(["answer", key, json.dumps(STATE)]) == 0
        assert main(["show", key]) == 0
    finally:
        sys.modules.pop("shop_of_doors", None)


async def _asked(flow: Any) -> Any:
    await flow.outcome(timeout=60)
    return await flow.interrupts()


def _with_tags(line: str) -> str:
    row = json.loads(line)
    if row["kind"] == "step" or row["kind"] == "flow":
        for name in ("state", "final_state"):
            if name in row:
                row[name] |= {"forged": TAGS}
    return json.dumps(row)
