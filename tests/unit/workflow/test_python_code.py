"""A graph as the code that builds it, and back."""

from __future__ import annotations

import ast
import builtins
import datetime
import json
from pathlib import Path
from typing import Any

import pytest

import dwarf
from dwarf import END, Cache, Graph, Limit, Retry, task
from dwarf.hosts import LocalHost

NOTEBOOKS = sorted(Path(__file__).parents[3].joinpath("notebooks").glob("0[1-8]-*.ipynb"))


class Names(dict[str, Any]):
    """Names of code, in which each that is not there stands for a function of that name."""

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        exec(f"def {name}(flow): ...", self)
        return self[name]


class NoLab:
    """Has the graphs of a notebook made."""

    @staticmethod
    def graph(name: str, **options: Any) -> Graph:
        return Graph(name, **options)


def graphs_of(path: Path) -> list[Graph]:
    """The graphs that the cells of a notebook build; nothing else of it is run."""
    names = Names(
        {**vars(dwarf), "lab": NoLab, "host": LocalHost(), "timedelta": datetime.timedelta, "__name__": path.stem}
    )
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or "raph(" not in source or "worker.py" in source:
            continue
        module = ast.parse(source.partition("\n")[2] if source.startswith("%%") else source)
        parts = [each for each in module.body if isinstance(each, (ast.Assign, ast.Expr, ast.For))]
        building = [each for each in parts if "add_" in ast.unparse(each) or "raph(" in ast.unparse(each)]
        exec(compile(ast.Module(building, []), path.name, "exec"), {"__name__": path.stem}, names)
    return [each for each in names.values() if isinstance(each, Graph)]


def made_by(code: str, **names: Any) -> Graph:
    found = Names(names)
    exec(code, {"__name__": names.get("__name__", "cells")}, found)
    graph = found["graph"]
    assert isinstance(graph, Graph)
    return graph


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_graphs_of_the_notebooks(path: Path) -> None:
    graphs = graphs_of(path)
    assert graphs
    for graph in graphs:
        functions = {function.__name__: function for function in graph.functions.values()}
        code = graph.to_python()
        assert "from_json" not in code
        assert made_by(code, **functions) == graph
        frozen = Graph.from_json(graph.to_json())
        assert made_by(frozen.to_python()) == graph


@task(cache=True, retry=2)
def fetch() -> None: ...


ODD = [
    Graph("e", entry="B").add_chain("A", "B", END).add_error_handler("A", "H").add_goto("H", "A"),
    Graph("s").add_switch("A", {"x > 1": "B", "x < 0": END}, default="C").add_switch("B", {"y": "A"}),
    Graph("w", reducers={}).add_transition("A", "B", when="a == 'b\"c'").add_fan_out("B", "C", "D").set_fan_in("J"),
    Graph("p", reducers={"n": "add", "odd": "no such"}).add_node(
        "A",
        "u",
        retry=Retry(5, delay=0.5, give_up_after=60, retry_on=(KeyError, "mine.Error")),
        limit=Limit(rate="6/hour"),
    ),
    Graph("c").add_node("A", fetch, time_budget=1.5).add_node("B", fetch, cache=False, retry=9).add_chain("A", "B"),
    Graph("k").add_node("A", fetch, cache=Cache(ttl=90, key=["b", "a"], version="2")).add_node("L", lambda: None),
    Graph("long").add_node("a node with a name that is long " * 4, "and.an.address.that.is.not.short"),
    Graph("").add_node("END of it", "END"),
]


@pytest.mark.parametrize("graph", ODD, ids=lambda graph: graph.name)
def test_what_else_a_graph_may_have(graph: Graph) -> None:
    assert made_by(graph.to_python(), fetch=fetch) == graph
    assert "from_json" not in graph.to_python()


def test_what_no_builder_makes_is_read_from_json() -> None:
    form = {"name": "g", "entryPoint": "A", "tasks": [{"name": "A"}, {"name": "A"}], "transitions": []}
    graph = Graph.from_json(form)
    assert "from_json" in graph.to_python()
    assert made_by(graph.to_python()) == graph


def test_it_reads_like_what_was_written() -> None:
    graph = (
        Graph("Fetching", reducers={"pages": "append"}).add_node("Fetch", fetch).add_node("Join", "join", fan_in=True)
    )
    graph.add_for_each("Fetch", "Page", items="urls", item="url").add_chain("Page", "Join", END)
    assert graph.to_python() == (
        "from dwarf import END, Graph, Reducer\n\n"
        "graph = (\n"
        "    Graph('Fetching', reducers={'pages': Reducer.APPEND})\n"
        "    .add_node('Fetch', fetch)\n"
        "    .add_node('Join', 'join', fan_in=True)\n"
        "    .add_node('Page')\n"
        "    .add_for_each('Fetch', 'Page', items='urls', item='url')\n"
        "    .add_chain('Page', 'Join', END)\n"
        ")\n"
    )
