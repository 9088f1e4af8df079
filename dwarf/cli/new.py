"""``dwarf new``: a small project to begin with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from dwarf.cli.connect import fail, say
from dwarf.cli.new_notebook import notebook

_FLOWS = '''"""The workflow of this project, and the host that offers it to workers."""

from dwarf import END, Flow, Graph, Reducer
from dwarf.hosts import LocalHost


def split(text: str) -> dict:
    return {"words": text.split()}


def measure(word: str) -> dict:
    return {"lengths": [len(word)]}


def review(flow: Flow, lengths: list[int]) -> dict:
    mean = sum(lengths) / len(lengths) if lengths else 0.0
    approved = flow.interrupt({"title": f"Publish a mean of {mean:.1f}?", "schema": bool, "default": True})
    return {"mean": mean, "published": approved}


graph = (
    Graph("Words", reducers={"lengths": Reducer.APPEND})
    .add_node("Split", split)
    .add_node("Measure", measure)
    .add_node("Review", review, fan_in=True)
    .add_for_each("Split", "Measure", items="words", item="word")
    .add_chain("Measure", "Review", END)
)

host = LocalHost()
host.add_graph(graph)
'''

_TEST = '''"""The workflow, tested without a database and without waiting."""

import asyncio

from dwarf import Status
from dwarf.testing import engine_for_test
from PROJECT.flows import graph, host


def test_a_text_is_measured_and_reviewed() -> None:
    async def work() -> dict:
        async with engine_for_test("words", host) as engine:
            flow = await engine.create(graph, {"text": "durable workflows in plain Python"})
            assert (await flow).status is Status.INTERRUPTED
            await flow.resume(True)
            return dict((await flow).raise_for_status().state)

    state = asyncio.run(work())
    assert state["mean"] == 5.8
    assert state["published"] is True
'''

_PROJECT = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "PROJECT"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["dwarf[cli]"]

[project.optional-dependencies]
test = ["pytest"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""

_README = """# PROJECT

```sh
dwarf lab PROJECT.ipynb            # the notebook
dwarf run PROJECT.flows:graph --state '{"text": "hello durable world"}'   # asks its question here
dwarf flows                      # lists the flows
dwarf worker PROJECT.flows:host    # runs flows that other processes create, until Ctrl-C
pip install pytest && pytest     # tests/
```

The flows are kept in `.dwarf/flows.db`; set `DWARF_URL` to a PostgreSQL or MySQL database to share them.
"""


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The folder, and the name of the package.")],
) -> None:
    """Make a small project: a workflow with a question, a notebook, a test, and how to run them."""
    folder = Path(name)
    package = re.sub(r"\W+", "_", folder.name).lower()
    if not package.isidentifier():
        fail(f"{name!r} makes no name for a Python package: begin with a letter")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fail(f"{folder} is there already, and is not empty")
    files = {
        "pyproject.toml": _PROJECT,
        "README.md": _README,
        ".gitignore": ".dwarf/\n__pycache__/\n",
        f"{package}/__init__.py": "",
        f"{package}/flows.py": _FLOWS,
        f"{package}.ipynb": notebook(),
        "tests/test_flows.py": _TEST,
    }
    try:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text.replace("PROJECT", package), encoding="utf-8")
    except OSError as error:
        fail(f"{folder} cannot be written: {error.strerror}")
    state = '{"text": "hello durable world"}'
    say(f"made {folder}; now: cd {folder}, and")
    say(f"  dwarf lab {package}.ipynb    for the notebook, or")
    say(f"  dwarf run {package}.flows:graph --state '{state}'")
