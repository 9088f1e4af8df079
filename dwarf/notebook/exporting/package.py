"""Writing a package: the functions and graphs of a notebook, a worker, a test that re-runs recorded flows, a README."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwarf import __version__
from dwarf.errors import ConfigError, GraphError, InvalidRequest
from dwarf.notebook.analysis.masking import Mask
from dwarf.notebook.exporting.definitions import Definitions
from dwarf.workflow.graph import Graph
from dwarf.workflow.parts import Node
from dwarf.workflow.scopes import scope_of
from dwarf.workflow.status import Status
from dwarf.workflow.values import state_to_json, to_json

if TYPE_CHECKING:
    from dwarf.notebook.services import LabServices

__all__ = ["export"]

_WORKER = '''"""Runs the flows of this package: ``python -m PACKAGE.worker``. DWARF_URL names the database."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from dwarf.engine import Engine

from PACKAGE.flows import graphs, host


async def main() -> None:
    url = os.environ.get("DWARF_URL")
    if not url:
        Path(".dwarf").mkdir(mode=0o700, exist_ok=True)
        url = "sqlite:///.dwarf/flows.db"
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # where a loop takes no signals
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # runs the tasks of every label; take out those for which this machine is not the one
    labels = {label for graph in graphs.values() for node in graph.nodes for label in node.labels}
    async with Engine(host, url, labels=labels):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
'''
_TEST = '''"""Flows as they were recorded, run again on a virtual clock: they must come to the same."""

import asyncio
import json
from pathlib import Path

import pytest

from dwarf import Outcome, Status
from dwarf.testing import VirtualClock, engine_for_test
from dwarf.workflow.values import from_json, state_from_json
from PACKAGE.flows import graphs, host

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text(encoding="utf-8"))


def test_the_graphs_are_valid() -> None:
    for graph in graphs.values():
        graph.validate()


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["graph"])
def test_a_recorded_flow_comes_to_the_same(case: dict) -> None:
    outcome = asyncio.run(run(case))
    assert outcome.status is Status.COMPLETED, outcome.error
    assert dict(outcome.state) == state_from_json(case["outcome"])


async def run(case: dict) -> Outcome:
    answers, clock = list(case["answers"]), VirtualClock()
    labels = {label for graph in graphs.values() for node in graph.nodes for label in node.labels}
    async with engine_for_test(f"recorded {case['graph']}", host, clock=clock, labels=labels) as engine:
        flow = await engine.create(graphs[case["graph"]], state_from_json(case["state"]))
        while (outcome := await flow.outcome(timeout=300)).status is Status.INTERRUPTED:
            for step in await flow.interrupts():
                answer = next(each for each in answers if each["node"] == step.node)
                answers.remove(answer)
                if answer["timed_out"] and step.interrupt_deadline is not None:
                    clock.advance(step.interrupt_deadline - step.updated_at)
                else:
                    await flow.resume(from_json(answer["value"]), step=step)
        return outcome
'''
_PROJECT = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "PACKAGE"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [
DEPENDENCIES]

[project.optional-dependencies]
test = ["pytest"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""
_README = """# PACKAGE

Exported from a notebook: LISTED.

```sh
pip install -e '.[test]'
pytest                        # re-runs the flows in tests/recorded.json
python -m PACKAGE.worker      # runs flows; DWARF_URL names the database, .dwarf/flows.db by default
dwarf run PACKAGE.flows:FIRST --state '{}'
```

For a machine without a package index, gather the wheels on one with an index, copy the folder, and install from it:

```sh
pip wheel -w wheels hatchling '.[test]'                # here; --find-links FOLDER for wheels of your own
pip install --no-index --find-links wheels '.[test]'   # there
```

`PACKAGE/flows.py` has the tasks and the graphs. SCOPE
"""


def export(lab: LabServices, folder: Any, graphs: Sequence[Graph], left_behind: Sequence[type]) -> Path:
    """See Lab.export. Values of the classes ``left_behind`` belong to the notebook and are not exported."""
    try:
        target = Path(folder)
    except TypeError:
        raise InvalidRequest(f"the folder of an export is a path, not {type(folder).__name__}") from None
    if wrong := next((graph for graph in graphs if not isinstance(graph, Graph)), None):
        raise InvalidRequest(f"what is exported are graphs, such as graph = lab.graph(...), not {wrong!r}")
    package = re.sub(r"\W+", "_", target.resolve().name).lower()
    if not package.isidentifier():
        raise InvalidRequest(f"{str(folder)!r} makes no name for a Python package: begin with a letter")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidRequest(f"{target} is there already, and is not empty")
    known: Mapping[str, Graph] = getattr(lab.host, "graphs", {})
    wanted = list(graphs) or list(known.values())
    if not wanted:
        raise InvalidRequest("there is no graph to export: name one, or make it with lab.graph(...)")
    module = _Module(lab, left_behind)
    for graph in wanted:
        module.add(graph)
    module.follow(known)
    if module.found.problems:
        raise ConfigError("\n  - ".join(["this cannot be exported:", *module.found.problems]))
    recorded = lab.call(_record(lab, module.graphs.values()))
    listed = ", ".join(f"the workflow {graph.name!r}" for graph in module.graphs.values())
    words = {
        "PACKAGE": package,
        "LISTED": listed,
        "FIRST": next(iter(module.graphs)),
        "SCOPE": module.scope_note,
        "DEPENDENCIES": "".join(f'    "{each}",\n' for each in _dependencies(module.found.roots, module.extras)),
    }
    files = {
        "pyproject.toml": _filled(_PROJECT, words),
        "README.md": _filled(_README, words),
        ".gitignore": ".dwarf/\n__pycache__/\n",
        f"{package}/__init__.py": f'"""{listed[0].upper()}{listed[1:]}."""\n',
        f"{package}/flows.py": module.text(listed),
        f"{package}/worker.py": _filled(_WORKER, words),
        "tests/test_recorded.py": _filled(_TEST, words),
        "tests/recorded.json": json.dumps(recorded, indent=1, ensure_ascii=False) + "\n",
    }
    for path, text in files.items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return target


def _filled(text: str, words: Mapping[str, str]) -> str:
    for name, word in words.items():
        text = text.replace(name, word)
    return text


class _Module:
    """The module with the tasks and the graphs."""

    def __init__(self, lab: LabServices, left_behind: Sequence[type]) -> None:
        self.found = Definitions(left_behind)
        self.graphs: dict[str, Graph] = {}  # by their variables
        self._live: Mapping[str, Any] = getattr(lab.host, "functions", {})
        self._resolve: Any = getattr(lab.host, "resolve", str)
        self._known_executors: Mapping[str, Any] = getattr(lab.host, "executors", {})
        self._executors: dict[str, int | str] = {}
        self._scopes: set[str] = set()

    def add(self, graph: Graph, variable: str = "") -> None:
        """Add a graph with the functions of its nodes, as they are now."""
        if any(each == graph for each in self.graphs.values()):
            return
        graph.validate()
        bound = Graph.from_json(graph.to_json())
        own = {name: function for name, _, function in graph._bindings() if function is not None}
        for node in graph.nodes:
            try:
                url = self._resolve(node.url)
            except GraphError:
                url = node.url
            function = self._live.get(url) or own.get(node.name)
            if function is None:
                self.found.problems.append(f"node {node.name!r}: the task {node.url!r} is not defined here")
                continue
            if self.found.add_task(function, node.name):
                self._scopes.add(scope_of(function))
                policies: dict[str, Any] = {"limit": node.limit, "retry": node.retry, "time_budget": node.time_budget}
                bound.add_node(
                    node.name,
                    function,
                    **policies,
                    cache=node.cache or False,
                    executor=node.executor,
                    labels=node.labels,
                )
                self._take_executor(node)
        self.graphs[variable or self._variable(graph)] = bound

    def _take_executor(self, node: Node) -> None:
        given = self._known_executors.get(node.executor)
        if isinstance(given, int | str):
            self._executors[node.executor] = given
        elif node.executor:
            what = "not known here" if given is None else f"a {type(given).__name__}, which has no text"
            self.found.problems.append(
                f"node {node.name!r}: its executor {node.executor!r} is {what}: only numbers of processes and "
                "addresses of Dask clusters go along"
            )

    def follow(self, known: Mapping[str, Graph]) -> None:
        """Add the graphs that functions name, as values or by a text."""
        count = -1
        while count != len(self.graphs):
            count = len(self.graphs)
            for variable, graph in list(self.found.graphs.items()):
                self._rename(variable, graph)
            for text in sorted(self.found.texts & known.keys()):
                if text not in [graph.name for graph in self.graphs.values()]:
                    self.add(known[text])

    def _rename(self, variable: str, graph: Graph) -> None:
        """Have a graph stand under the name that a function has for it."""
        for name, each in list(self.graphs.items()):
            if each.name == graph.name:
                if name != variable:
                    self.graphs[variable] = self.graphs.pop(name)
                return
        self.add(graph, variable)

    def _variable(self, graph: Graph) -> str:
        base = re.sub(r"\W+", "_", graph.name).strip("_").lower() or "graph"
        base = base if base.isidentifier() and base != "graphs" else f"graph_{base}"
        taken = {*self.graphs, *self.found.names, "host"}
        return next(name for name in (base, *(f"{base}_{number}" for number in range(2, 999))) if name not in taken)

    @property
    def extras(self) -> Sequence[str]:
        """The extras of dwarf that the package needs."""
        kinds = {"dask" if isinstance(given, str) else "executors" for given in self._executors.values()}
        return sorted({"cli", *kinds})

    @property
    def scope_note(self) -> str:
        """What the README says about the names of the tasks."""
        if len(self._scopes) == 1:
            scope = next(iter(self._scopes))
            return (
                f"Its `__dwarf_scope__`, {scope!r}, keeps the names that the tasks had in the notebook, so that a "
                "worker on the same database goes on with flows that were started there."
            )
        return "The tasks are named after this module; flows that were started in the notebook wait for the notebook."

    def text(self, listed: str) -> str:
        """The source of the module."""
        bodies: list[str] = []
        imports = {"from dwarf.hosts import LocalHost", *self.found.imports}
        for variable, graph in self.graphs.items():
            head, _, body = graph.to_python().partition("\n\n")
            imports.update(f"from dwarf import {name}" for name in head.removeprefix("from dwarf import ").split(", "))
            bodies.append(body.replace("graph = ", f"{variable} = ", 1).strip("\n"))
        scope = [f"__dwarf_scope__ = {next(iter(self._scopes))!r}"] if len(self._scopes) == 1 else []
        places = f"executors={self._executors!r}" if self._executors else ""
        by_name = "graphs = {graph.name: graph for graph in (" + "".join(f"{name}, " for name in self.graphs) + ")}"
        rest = [by_name, f"host = LocalHost({places})\nfor _graph in graphs.values():\n    host.add_graph(_graph)"]
        doc = f'"""Tasks and graphs: {listed}."""'
        blocks = [doc, "\n".join(_import_lines(imports)), *scope, *self.found.parts, *bodies, *rest]
        return "\n\n\n".join(block for block in blocks if block) + "\n"


def _import_lines(imports: set[str]) -> list[str]:
    """Imports in order, those of one module on one line; that of annotations first."""
    plain = sorted(each for each in imports if each.startswith("import "))
    named: dict[str, set[str]] = {}
    for each in imports:
        if each.startswith("from "):
            module, _, name = each.removeprefix("from ").partition(" import ")
            named.setdefault(module, set()).add(name)
    return [*plain, *(f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(named.items()))]


def _dependencies(roots: set[str], extras: Sequence[str]) -> list[str]:
    """The distributions of what is imported, with what is installed here as the least version.

    Of dwarf it is this version, which has run the recorded flows.
    """
    found = packages_distributions()
    names = sorted({found[root][0] for root in roots if root in found and found[root][0] != "dwarf"})
    return [f"dwarf[{','.join(extras)}]=={__version__}", *(f"{name}>={version(name)}" for name in names)]


async def _record(lab: LabServices, graphs: Any) -> list[dict[str, Any]]:
    """The latest completed flow of each graph, as far as it has one without secrets."""
    recorded: list[dict[str, Any]] = []
    for graph in graphs:
        async for summary in lab.engine.flows(workflow_name=graph.name, status=Status.COMPLETED, limit=20):
            handle = lab.engine.flow(summary.flow_key)
            answers = await handle.answers()
            steps = await handle.history()
            outcome = await handle.snapshot()
            if summary.forked_from or not steps or Mask(answers).hides:
                continue
            first = await lab.engine.step(steps[0].key)
            told = [{"node": one.node, "value": to_json(one.value), "timed_out": one.timed_out} for one in answers]
            states = {"state": state_to_json(first.state or {}), "outcome": state_to_json(outcome.state)}
            recorded.append({"graph": graph.name, **states, "answers": told})
            break
    return recorded
