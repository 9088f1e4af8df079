"""From cells to a service: the functions and graphs of a lab as a package, which is built, tested and run."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Cache, ConfigError, Flow, Graph, InvalidRequest, Reducer, TaskError, __version__
from dwarf.notebook import Lab
from dwarf.testing import VirtualClock

FACTOR = 3
PAUSE = timedelta(hours=6)
TABLE = {"a": [1, 2], "b": {"c": (3,)}}
LOCK = object()


@dataclass
class Point:
    x: float
    y: float = 0.0

    def length(self) -> float:
        return scaled(math.hypot(self.x, self.y))


def scaled(value: float) -> float:
    return value * FACTOR


def words(lab: Lab) -> Graph:
    @lab.task(cache=Cache(version="1"))
    def split(text: str) -> dict[str, Any]:
        if not text:
            raise TaskError("nothing to split")
        return {"words": text.split(), "table": TABLE}

    @lab.task
    async def measure(word: str) -> dict[str, Any]:
        return {"lengths": [Point(len(word)).length()]}

    @lab.task
    def review(flow: Flow, lengths: list[float]) -> dict[str, Any]:
        flow.delay(PAUSE)
        return {"published": flow.interrupt({"title": "Publish?", "schema": bool}), "sum": sum(lengths)}

    graph = lab.graph("Words of a text", reducers={"lengths": Reducer.APPEND})
    graph.add_node("Split", split, labels=["text"])
    graph.add_node("Measure", measure).add_node("Review", review, fan_in=True).add_node("Last", last)
    graph.add_for_each("Split", "Measure", items="words", item="word")
    return graph.add_chain("Measure", "Review", "Last", END)


def last(flow: Flow) -> None:
    flow["last"] = flow.subgraph("Inner", {"n": 1})["n"]


def inner(n: int) -> dict[str, int]:
    return {"n": n + FACTOR}


def test_a_package_is_written_and_passes_its_test(make_lab: Callable[..., Lab], tmp_path: Path) -> None:
    lab = make_lab("memory", clock=VirtualClock(), labels=["text"])
    graph = words(lab)
    lab.graph("Inner").add_node("Add", inner).add_transition("Add", END)
    lab.graph("Unrelated").add_node("X", lambda: None).add_transition("X", END)
    run = lab.start(graph, {"text": "to be or not"}, show=False)
    while not run.prompts:
        assert run.outcome is None
    run.answer(True)
    assert run.wait(60).state["last"] == 4
    folder = lab.export(tmp_path / "my-app", graph)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        ".gitignore",
        "README.md",
        "my_app/__init__.py",
        "my_app/flows.py",
        "my_app/worker.py",
        "pyproject.toml",
        "tests/recorded.json",
        "tests/test_recorded.py",
    ]
    source = (folder / "my_app/flows.py").read_text(encoding="utf-8")
    assert "lab" not in source.replace("label", "")
    assert "Unrelated" not in source
    assert "labels=['text']" in source
    recorded = json.loads((folder / "tests/recorded.json").read_text(encoding="utf-8"))
    assert [case["graph"] for case in recorded] == ["Words of a text", "Inner"][: len(recorded)]
    assert recorded[0]["outcome"]["sum"] == 27
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr + source
    assert "passed" in tested.stdout
    with pytest.raises(InvalidRequest, match="not empty"):
        lab.export(folder, graph)


def test_each_thing_that_cannot_go_along_is_named(lab: Lab, tmp_path: Path) -> None:
    @lab.task
    def locked() -> None:
        with LOCK:  # type: ignore[attr-defined]
            lab.flows()

    def unknown() -> None:
        nowhere()  # type: ignore[name-defined] # noqa: F821

    graph = lab.graph("bad").add_node("A", locked).add_node("B", lambda: None).add_node("C", unknown)
    graph.add_node("D", "elsewhere.task").add_chain("A", "B", "C", "D", END)
    with pytest.raises(ConfigError) as refused:
        lab.export(tmp_path / "bad", graph)
    told = str(refused.value)
    for words in ("LOCK is a object", "uses lab", "'B': its task is a lambda", "names 'nowhere'", "'elsewhere.task'"):
        assert words in told
    assert not (tmp_path / "bad").exists()


def test_executors_go_along_where_they_have_a_text(make_lab: Callable[..., Lab], tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as own:
        lab = make_lab("memory", executors={"cpu": 2, "own": own})
        graph = lab.graph("places").add_node("A", inner, executor="cpu").add_transition("A", END)
        source = (lab.export(tmp_path / "first", graph) / "first/flows.py").read_text(encoding="utf-8")
        assert "LocalHost(executors={'cpu': 2})" in source
        assert "executor='cpu'" in source
        assert f"dwarf[cli,executors]=={__version__}" in (tmp_path / "first/pyproject.toml").read_text(encoding="utf-8")
        with pytest.raises(ConfigError, match="its executor 'own' is a ThreadPoolExecutor"):
            lab.export(
                tmp_path / "second", lab.graph("own").add_node("A", inner, executor="own").add_transition("A", END)
            )
        with pytest.raises(InvalidRequest, match="not 'places'"):
            lab.export(tmp_path / "third", "places")  # type: ignore[arg-type]
