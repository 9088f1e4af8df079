"""Tasks that are not defined yet, as after a restart of the kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskNotFound, WaitTimeout
from dwarf.notebook import Lab
from dwarf.notebook.cells import CellHost, missing_tasks
from tests.notebook.samples import at, step

MakeLab = Callable[..., Lab]

DIES = """
import os, signal, threading
from dwarf import END
from dwarf.notebook import Lab

lab = Lab("flows.db")

@lab.task(url="first")
def first():
    return {"first": "before"}

@lab.task(url="second")
async def second():
    os.kill(os.getpid(), signal.SIGKILL)

graph = lab.graph("two").add_chain("first", "second", END)
lab.start(graph, key="mine").wait()
"""


def two_tasks(lab: Lab) -> Graph:
    @lab.task(url="first")
    def first() -> dict[str, str]:
        return {"first": "here"}

    return lab.graph("two").add_chain("first", "second", END)


def test_a_flow_whose_process_died_waits_for_the_cells_that_define_its_tasks(make_lab: MakeLab, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", DIES], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    lab = make_lab("flows.db")
    run = lab.start(two_tasks(lab), key="mine", check_tasks=False)
    with pytest.raises(WaitTimeout):
        run.wait(0.5)  # the engine has found the step meanwhile, and left it
    while run.steps[-1].status is not Status.PENDING:  # taken back from the process that died
        time.sleep(0.01)

    @lab.task(url="second")
    def second(first: str) -> dict[str, str]:
        return {"second": f"after {first}"}

    outcome = run.wait(60)
    assert outcome.state == {"first": "before", "second": "after before"}


@pytest.mark.parametrize("how", ["wait", "await"])
async def test_a_task_that_nobody_defines_is_told_and_the_flow_goes_on(make_lab: MakeLab, how: str) -> None:
    lab = make_lab("memory", prompt_grace=0.3)
    run = lab.start(two_tasks(lab), check_tasks=False)
    with pytest.raises(TaskNotFound, match="'second'.*Run the cell"):
        run.wait() if how == "wait" else await run
    assert run.outcome is None
    lab.task(url="second")(lambda: {"second": 2})
    assert (await run).state["second"] == 2


def test_a_near_miss_is_named(make_lab: MakeLab) -> None:
    lab = make_lab("memory", prompt_grace=0)
    graph = two_tasks(lab).add_node("second", "frist")
    with pytest.raises(TaskNotFound, match="did you mean 'first'.*check_tasks=False"):
        lab.start(graph)
    run = lab.start(graph, check_tasks=False)
    with pytest.raises(TaskNotFound, match="did you mean 'first'"):
        run.wait()


def test_a_lab_that_knows_no_task_of_a_flow_leaves_it_to_others(make_lab: MakeLab, tmp_path: Path) -> None:
    looking_on = make_lab(tmp_path / "shared.db", prompt_grace=0)
    run = looking_on.start(Graph("two").add_chain("first", "second", END), check_tasks=False)
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(run.wait().state))
    waiting.start()
    program = DIES.replace("os.kill(os.getpid(), signal.SIGKILL)", "return {'second': 'by another process'}")
    program = program.replace("flows.db", "shared.db").replace('key="mine").wait()', "show=False).wait()")
    program += f"lab.get({run.key!r}).wait()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    waiting.join(60)
    assert found == [{"first": "before", "second": "by another process"}]


def test_only_steps_that_are_due_miss_their_task() -> None:
    graph = Graph("g").add_node("A", "known").add_node("B", "unknown").add_chain("A", "B", END)
    steps = [step(1, "A", "pending"), step(2, "B", "pending", not_before=at(1e9)), step(3, "B", "running", 1)]
    assert missing_tasks(graph, steps, ["known"]) == []
    assert missing_tasks(graph, [*steps, step(4, "B", "pending")], ["known"]) == ["unknown"]


def test_a_host_of_cells_takes_what_it_knows() -> None:
    host = CellHost()
    assert not host.knows("later")
    host.task(url="later", aliases=["former"])(lambda: None)
    assert host.knows("later")
    assert host.knows("former")
    host.close()


def test_a_task_that_is_defined_again_is_replaced_though_graphs_hold_the_old_one(lab: Lab) -> None:
    def define(value: int) -> Any:
        @lab.task
        def work(flow: Flow) -> None:
            flow["value"] = value

        return work

    first = define(1)
    known = lab.graph("known").add_node("Work", first).add_transition("Work", END)
    loose = Graph("loose").add_node("Work", first).add_transition("Work", END)
    results = []
    for value in (1, 2, 3):
        if value > 1:
            define(value)
        results += [lab.start(graph, show=False).result["value"] for graph in (known, loose)]
    assert results == [1, 1, 2, 2, 3, 3]
    lab.task(first)
    assert lab.start(known, show=False).result["value"] == 1
