"""What a stranger gets: the source package builds, installs into an empty environment, and works there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow
from dwarf.notebook import Lab
from tests.architecture.repository import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FLOW = """
import asyncio
from dwarf import END, Flow, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost

def ask(flow: Flow) -> dict:
    return {"said": flow.interrupt({"title": "Go on?", "schema": {"type": "boolean"}})}

async def main() -> None:
    async with Engine(LocalHost(), "sqlite:///flows.db") as engine:
        flow = await engine.create(Graph("Ask").add_node("Ask", ask).add_transition("Ask", END))
        await flow
        await flow.resume(True)
        print((await flow).raise_for_status().state)

asyncio.run(main())
"""
TEST = """
from dwarf import END, Graph

async def test_it(dwarf_engine, dwarf_host):
    async with dwarf_engine(dwarf_host) as engine:
        outcome = await engine.run(Graph("G").add_node("A", lambda n: {"n": n + 1}).add_transition("A", END), {"n": 1})
    assert outcome.state == {"n": 2}
"""


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = [sys.executable, *os.environ.get("DWARF_PACKAGE_PYTHONS", "").split()]
"""Those that the package is tried on: this one, and those that `scripts/test-package` is given."""


class Environment:
    """An environment with nothing in it but what is installed here."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.folder = folder
        subprocess.run([python, "-m", "venv", str(folder / "env")], check=True, capture_output=True)
        self.version = self.run("python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()

    def run(self, program: str, *arguments: str) -> str:
        plain = {
            name: os.environ[name]
            for name in os.environ
            if not name.startswith(("PYTHON", "PYTEST", "DWARF", "COVERAGE"))
        }
        done = subprocess.run(
            [str(self.folder / "env" / "bin" / program), *arguments],
            cwd=self.folder,
            env=plain,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def install(self, *packages: str) -> None:
        quiet = ("-q", "--disable-pip-version-check", "--no-compile")
        self.run("python", "-m", "pip", "install", *quiet, *packages)


def lower_bounds(version: str) -> list[str]:
    """The oldest allowed version of each package that the engine and the command line need.

    Compiled ones of that age have no wheels for Pythons that are younger than they are: there the newest will do.
    """
    oldest = PROJECT["requires-python"].removeprefix(">=")
    needs = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["cli"]]
    bounds = [re.sub(r"\[.*?\]", "", need).split(",")[0].split(";")[0].replace(">=", "==") for need in needs]
    compiled = ("google-re2", "orjson", "sqlalchemy")
    return bounds if version == oldest else [bound for bound in bounds if not bound.startswith(compiled)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source package, built in an environment of its own."""
    folder = tmp_path_factory.mktemp("source")
    environment = Environment(folder)
    environment.install("hatchling")
    build = f"import os; os.chdir({str(ROOT)!r}); from hatchling.build import build_sdist; print(build_sdist({str(folder)!r}))"
    return folder / environment.run("python", "-c", build).split()[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="programs are elsewhere there")
@pytest.mark.parametrize("versions", ["newest", "oldest"])
@pytest.mark.parametrize("python", PYTHONS)
def test_the_package_works_in_an_empty_environment(tmp_path: Path, source: Path, python: str, versions: str) -> None:
    environment = Environment(tmp_path, python)
    bounds = tmp_path / "bounds.txt"
    bounds.write_text("\n".join(lower_bounds(environment.version) if versions == "oldest" else []), encoding="utf-8")
    environment.install(f"dwarf[cli] @ file://{source}", "pytest", "pytest-asyncio", "-c", str(bounds))

    place = Path(environment.run("python", "-c", "import dwarf; print(dwarf.__file__)").strip()).parent
    assert place.is_relative_to(tmp_path)
    kept = {path.relative_to(ROOT / "dwarf") for path in (ROOT / "dwarf").rglob("*") if _belongs(path)}
    installed = {path.relative_to(place) for path in place.rglob("*") if _belongs(path)}
    assert kept == installed, "files of the package are not in what is installed"

    (tmp_path / "flow.py").write_text(FLOW, encoding="utf-8")
    assert environment.run("python", "-W", "error", "flow.py") == "{'said': True}\n"
    assert "1 completed" in environment.run("dwarf", "doctor", "--url", "flows.db")
    (tmp_path / "test_flow.py").write_text(TEST, encoding="utf-8")
    assert "1 passed" in environment.run("python", "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "test_flow.py")
    if versions == "newest":
        check_an_exported_package(environment)


RUN = """
import asyncio, json
from dwarf.testing import engine_for_test
from from_cells.flows import graphs, host

async def main():
    async with engine_for_test("exported", host) as engine:
        flow = await engine.create(graphs["Sizes"], {"text": "to be or not"})
        await flow
        await flow.resume(True)
        print(json.dumps(dict((await flow).raise_for_status().state)))

asyncio.run(main())
"""


def check_an_exported_package(environment: Environment) -> None:
    """What a lab exports is installed beside dwarf, passes its own test there, and comes to what the lab has come to."""
    folder, outcome = exported(environment.folder / "from-cells")
    environment.install(str(folder))
    (folder / "pyproject.toml").unlink()  # whose pythonpath leads to the folder: what is installed is to be tested
    (folder / "from_cells").rename(folder / "moved")
    tests = str(folder / "tests")
    assert "2 passed" in environment.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", tests)
    (environment.folder / "run.py").write_text(RUN, encoding="utf-8")
    assert json.loads(environment.run("python", "run.py")) == outcome


def exported(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A package of a lab's graph, and the state that its flow has ended in."""
    lab = Lab("memory", answers={"Ask": True})
    try:

        @lab.task
        def measure(text: str) -> dict[str, Any]:
            return {"sizes": [len(word) for word in text.split()]}

        @lab.task
        def ask(flow: Flow, sizes: list[int]) -> dict[str, Any]:
            return {"sum": sum(sizes), "kept": flow.interrupt({"title": "Keep them?", "schema": bool})}

        graph = lab.graph("Sizes").add_node("Measure", measure).add_node("Ask", ask).add_chain("Measure", "Ask", END)
        run = lab.start(graph, {"text": "to be or not"}, show=False)
        outcome = dict(run.wait(60).raise_for_status().state)
        return Path(lab.export(folder, graph)), outcome
    finally:
        lab.close()


def _belongs(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts
