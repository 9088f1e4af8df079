"""A lab and its runs, on a real engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dwarf import (
    END,
    ConfigError,
    EngineClosed,
    Flow,
    FlowFailed,
    FlowNotFound,
    Graph,
    GraphNotFound,
    InvalidRequest,
    PromptNeedsHuman,
    StateConflict,
    Status,
    WaitTimeout,
)
from dwarf.hosts import LocalHost
from dwarf.notebook import Lab, Run
from dwarf.testing import VirtualClock
from tests.notebook.samples import survey_graph

MakeLab = Callable[..., Lab]


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something that another thread brings about."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, "it has not happened"
        time.sleep(0.01)
    return found


def asking_graph(lab: Lab, name: str = "asking", **payload: Any) -> Graph:
    asked = {"title": "How many?", "schema": {"type": "integer", "minimum": 1}, **payload}

    @lab.task(url=f"{name}/ask")
    def ask(flow: Flow) -> dict[str, Any]:
        return {"count": flow.interrupt(asked)}

    return lab.graph(name).add_node("Ask", ask).add_transition("Ask", END)


def waiting(run: Run) -> Run:
    until(lambda: run.status is Status.INTERRUPTED and run._watcher.unanswered)
    return run


# ------------------------------------------------------------ places


def test_the_default_place_is_a_file_that_git_leaves_alone(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab()
    assert (tmp_path / ".dwarf" / "flows.db").exists()
    assert (tmp_path / ".dwarf" / ".gitignore").read_text() == "*\n"
    assert "flows.db" in repr(lab)


def test_a_path_is_a_place_and_other_folders_are_not_hidden_from_git(make_lab: MakeLab, tmp_path: Path) -> None:
    make_lab(tmp_path / "deep" / "er" / "my.db")
    assert (tmp_path / "deep" / "er" / "my.db").exists()
    assert not (tmp_path / "deep" / "er" / ".gitignore").exists()


def test_the_same_place_is_the_same_lab(make_lab: MakeLab, tmp_path: Path) -> None:
    host = LocalHost()
    lab = make_lab("a.db", host=host, workers=3, answers={"Ask": 1})
    assert Lab(tmp_path / "a.db") is lab
    assert Lab("a.db", host=host, workers=3, answers={"Ask": 1}) is lab
    assert make_lab("b.db") is not lab


@pytest.mark.parametrize(
    "options", [{"workers": 4}, {"answers": {"Ask": 2}}, {"host": LocalHost()}, {"time_budget": 5}]
)
def test_other_options_for_a_running_lab_are_refused(make_lab: MakeLab, options: dict[str, Any]) -> None:
    make_lab("a.db", workers=3, answers={"Ask": 1})
    with pytest.raises(ConfigError, match=f"{next(iter(options))}=.*close"):
        Lab("a.db", **options)


def test_a_closed_lab_can_be_made_anew_with_other_options(make_lab: MakeLab) -> None:
    first = make_lab("a.db", workers=3)
    first.close()
    first.close()
    assert "closed" in repr(first)
    assert make_lab("a.db", workers=4) is not first
    with pytest.raises(EngineClosed, match="opens it again"):
        first.get("1-1-abc")


def test_wrong_settings_show_at_once_and_leave_nothing_behind(make_lab: MakeLab) -> None:
    with pytest.raises(ConfigError):
        make_lab("a.db", workers=-1)
    with pytest.raises(ConfigError):
        make_lab("nonsense://x")
    make_lab("a.db")


def test_days_pass_at_once_by_a_virtual_clock(make_lab: MakeLab) -> None:
    lab = make_lab("memory", clock=VirtualClock())

    @lab.task
    def begin(flow: Flow) -> None:
        flow.delay(timedelta(days=7))

    @lab.task
    def ask(flow: Flow) -> dict[str, Any]:
        return {"answer": flow.interrupt({"title": "Well?"}, timeout=timedelta(days=1), default="none came")}

    run = lab.start(lab.graph("week").add_chain("begin", "ask", END))
    waiting(run)
    assert Lab("memory", clock=VirtualClock()) is lab
    lab.clock.advance(timedelta(days=2))
    assert run.wait(60).state["answer"] == "none came"
    assert [card.closed for card in run._watcher.cards] == ["nobody answered in time"]
    took = run.history["started"].iloc[-1] - run.history["started"].iloc[0]
    assert took >= timedelta(days=7)
    with pytest.raises(ConfigError, match="clock"):
        make_lab("a.db")
        Lab("a.db", clock=VirtualClock())


# ------------------------------------------------------------ definitions and starting


def test_tasks_graphs_and_a_run(lab: Lab) -> None:
    @lab.task
    def greet(name: str) -> dict[str, str]:
        return {"text": f"hello {name}"}

    graph = lab.graph("greeting").add_node("Greet", greet).add_transition("Greet", END)
    run = lab.start(graph, {"name": "ann"})
    outcome = run.wait(60)
    assert outcome.status is Status.COMPLETED
    assert run.result["text"] == "hello ann"
    assert run.outcome == outcome
    assert run.status is Status.COMPLETED
    assert repr(run) == "<Run 'greeting': completed>"
    assert run.key.split("-")[-1] not in repr(run)


async def test_runs_can_be_awaited_on_any_loop(lab: Lab) -> None:
    graph = lab.graph("g").add_node("A", lambda: {"a": 1}).add_transition("A", END)
    outcome = await lab.run(graph)
    assert outcome.state["a"] == 1
    assert (await lab.start("g")).state["a"] == 1  # by name, too


def test_functions_put_on_a_graph_later_are_found(lab: Lab) -> None:
    graph = lab.graph("late")
    graph.add_node("A", lambda: {"a": 1}).add_transition("A", END)
    child = lab.graph("child")
    lab.start(graph).wait(60)

    def inner() -> dict[str, int]:
        return {"b": 2}

    child.add_node("B", inner).add_transition("B", END)

    @lab.task
    def outer(flow: Flow) -> dict[str, Any]:
        return flow.subgraph("child")

    parent = lab.graph("parent").add_node("C", outer).add_transition("C", END)
    assert lab.start(parent).wait(60).state["b"] == 2


def test_a_task_can_be_defined_again_while_a_flow_runs(lab: Lab) -> None:
    graph = asking_graph(lab).add_node("After", "after")
    graph = lab.graph("again").add_node("Ask", "asking/ask").add_node("After", "after").add_chain("Ask", "After", END)

    @lab.task(url="after")
    def after() -> dict[str, str]:
        return {"version": "old"}

    run = waiting(lab.start(graph))

    def better() -> dict[str, str]:
        return {"version": "new"}

    lab.task(better, url="after")  # type: ignore[call-overload]  # as a decorator, or as a call
    run.answer(1)
    assert run.wait(60).state["version"] == "new"


def test_an_unknown_workflow_is_told(lab: Lab) -> None:
    asking_graph(lab, "greeting")
    with pytest.raises(GraphNotFound, match="greeting"):
        lab.start("greting")


def test_a_picture_says_which_task_or_label_a_step_waits_for(lab: Lab) -> None:
    graph = Graph("odd").add_node("Fetch", "no.such.task").add_transition("Fetch", END)
    large = Graph("large").add_node("Train", lambda: None, labels=["gpu"]).add_transition("Train", END)
    for made, words in (
        (graph, "Fetch waits for a process that knows"),
        (large, "Train waits for a worker with the label"),
    ):
        run = lab.get(lab.call(lab.engine.create(made, check_tasks=False)).key)
        told = threading.Event()
        run._watcher.listeners.add(lambda run=run, told=told: run._watcher.stuck and told.set())
        assert told.wait(60) or run._watcher.stuck
        assert words in str(run.picture())


def test_definitions_need_a_host_that_runs_here(make_lab: MakeLab) -> None:
    class Elsewhere:
        async def load_graph(self, url: str, baggage: Any) -> Graph:
            return survey_graph()

        async def execute_task(self, url: str, flow: Flow) -> None: ...

    lab = make_lab("memory", host=Elsewhere())
    for define in (lambda: lab.task(print), lambda: lab.graph("g")):
        with pytest.raises(ConfigError, match="Elsewhere"):
            define()


def test_failed_flows_return_their_outcome_and_have_no_result(lab: Lab) -> None:
    def fail() -> None:
        raise ValueError("no luck")

    run = lab.start(lab.graph("g").add_node("A", fail).add_transition("A", END))
    outcome = run.wait(60)
    assert outcome.status is Status.FAILED
    with pytest.raises(FlowFailed, match="no luck"):
        _ = run.result
    assert "no luck" in run.picture()
    assert run.history["error"].iloc[0] == "no luck"


# ------------------------------------------------------------ keys, and coming back


def test_a_key_starts_nothing_twice(lab: Lab) -> None:
    graph = asking_graph(lab)
    first = waiting(lab.start(graph, {"n": 1}, key="mine"))
    again = lab.start(graph, {"n": 1}, key="mine")
    assert again.key == first.key
    again.answer(3)
    assert first.wait(60).state["count"] == 3
    with pytest.raises(StateConflict):
        lab.start(graph, {"n": 2}, key="mine")


def test_flows_outlive_the_lab(make_lab: MakeLab) -> None:
    lab = make_lab("a.db")
    key = waiting(lab.start(asking_graph(lab), key="mine")).key
    lab.close()

    lab = make_lab("a.db")
    run = lab.start(asking_graph(lab), key="mine")
    assert run.key == key
    assert [prompt.title for prompt in run.prompts] == ["How many?"]
    run.answer(5)
    assert run.wait(60).state["count"] == 5
    assert lab.get(key).wait(1).state["count"] == 5


def test_a_closed_lab_tells_those_who_wait(make_lab: MakeLab) -> None:
    lab = make_lab("a.db")
    run = waiting(lab.start(asking_graph(lab)))
    lab.close()
    with pytest.raises(EngineClosed):
        run.wait(60)


def test_get_finds_flows_and_tells_where_there_is_none(lab: Lab) -> None:
    run = waiting(lab.start(asking_graph(lab)))
    assert lab.get(run.key).status is Status.INTERRUPTED
    with pytest.raises(FlowNotFound):
        lab.get("1-999999-0123456789abcdef")
    with pytest.raises(InvalidRequest):
        lab.get("rubbish")


# ------------------------------------------------------------ prompts


def test_prompts_are_answered_by_call(lab: Lab) -> None:
    run = waiting(lab.start(asking_graph(lab, amount=3)))
    (prompt,) = run.prompts
    assert (prompt.title, prompt.node, prompt.flow_key) == ("How many?", "Ask", run.key)
    assert prompt.payload["amount"] == 3
    with pytest.raises(InvalidRequest):
        run.answer("many")
    with pytest.raises(InvalidRequest):
        prompt.answer(0)
    with pytest.raises(StateConflict, match="How many"):
        run.answer(2, prompt="another")
    prompt.answer(2)
    assert run.wait(60).state["count"] == 2
    with pytest.raises(StateConflict, match="completed"):
        run.answer(2)


def test_several_branches_ask_at_once(lab: Lab) -> None:
    @lab.task
    def ask_one(flow: Flow, item: str) -> dict[str, Any]:
        return {"given": [flow.interrupt({"title": f"What about {item}?"})]}

    graph = lab.graph("many", reducers={"given": "append"}).add_node("Start", lambda: {"items": ["a", "b", "c"]})
    graph.add_for_each("Start", "Ask", items="items").add_node("Ask", ask_one).add_node(
        "End", lambda: None, fan_in=True
    )
    graph.add_chain("Ask", "End", END)
    run = lab.start(graph)
    until(lambda: len(run.prompts) == 3)
    with pytest.raises(InvalidRequest, match=r"3 prompts wait: 'What about a\?' of 'Ask', .*prompt=\.\.\."):
        run.answer(5)
    run.answer({"x": 1}, prompt="What about b?")
    until(lambda: len(run.prompts) == 2)
    by_title = {prompt.title: prompt for prompt in run.prompts}
    run.answer("third", prompt=by_title["What about c?"])
    run.answer(None, prompt="Ask")
    assert run.wait(60).state["given"] == [None, {"x": 1}, "third"]
    assert len([note for note in run._watcher.notes if "What about" in note]) == 3


def test_one_task_asks_twice_and_a_subgraph_asks(lab: Lab) -> None:
    @lab.task
    def twice(flow: Flow) -> dict[str, Any]:
        first = flow.interrupt({"title": "First?"})
        return {"both": [first, flow.interrupt({"title": "Second?"})]}

    child = lab.graph("child").add_node("Twice", twice).add_transition("Twice", END)

    @lab.task
    def call(flow: Flow) -> dict[str, Any]:
        return flow.subgraph(child)

    run = lab.start(lab.graph("parent").add_node("Call", call).add_transition("Call", END))
    for title, value in (("First?", 1), ("Second?", 2)):
        until(lambda title=title: [prompt.title for prompt in run.prompts] == [title])
        run.answer(value)
    assert run.wait(60).state["both"] == [1, 2]
    assert list(run.history["within"]) == ["", "Call"]


def test_scripted_answers(make_lab: MakeLab) -> None:
    lab = make_lab("memory", answers={"How many?": 7})
    assert lab.start(asking_graph(lab)).wait(60).state["count"] == 7


def test_answers_from_the_variable(make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DWARF_ANSWERS", '{"*": "default"}')
    lab = make_lab("memory")
    assert lab.start(asking_graph(lab, default=9)).wait(60).state["count"] == 9


def test_a_scripted_answer_that_does_not_fit_is_told(make_lab: MakeLab) -> None:
    lab = make_lab("memory", answers={"Ask": "many"})
    run = lab.start(asking_graph(lab))
    with pytest.raises(PromptNeedsHuman, match="does not fit"):
        run.wait()
    run.answer(4)
    assert run.wait(60).state["count"] == 4


def test_waiting_where_nobody_can_answer_is_refused(lab: Lab) -> None:
    run = waiting(lab.start(asking_graph(lab)))
    with pytest.raises(PromptNeedsHuman, match=r"'How many\?'.*run\.answer.*DWARF_ANSWERS"):
        run.wait()
    with pytest.raises(WaitTimeout, match=r"it goes on: the flow waits for an answer to 'How many\?'") as caught:
        run.wait(0.3)
    assert caught.value.flow_key == run.key


def test_another_thread_may_wait_for_an_answer(lab: Lab) -> None:
    run = waiting(lab.start(asking_graph(lab)))
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(run.wait(60).state["count"]))
    thread.start()
    run.answer(6)
    thread.join(60)
    assert found == [6]


async def test_a_coroutine_may_wait_for_an_answer(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    import asyncio

    run = lab.start(asking_graph(lab))
    awaiting = asyncio.ensure_future(run._wait())
    while "How many?" not in caplog.text:  # it says what it waits for, once
        await asyncio.sleep(0.02)
    run.answer(8)
    assert (await awaiting).state["count"] == 8
    assert caplog.text.count("the flow waits") == 1


def test_an_interrupt_ends_the_waiting_and_not_the_flow(lab: Lab) -> None:
    run = waiting(lab.start(asking_graph(lab)))
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run.wait(60)
    run.answer(1)
    assert run.wait(60).status is Status.COMPLETED


def test_waiting_on_the_labs_own_loop_is_refused(lab: Lab) -> None:
    inner = asking_graph(lab, "inner", default=1)

    @lab.task
    async def outer() -> dict[str, str]:
        try:
            lab.start(inner)
        except RuntimeError as fault:
            return {"told": str(fault)}
        return {}

    outcome = lab.start(lab.graph("outer").add_node("A", outer).add_transition("A", END)).wait(60)
    assert "await" in outcome.state["told"]


# ------------------------------------------------------------ looking back, acting


def test_looking_back(make_lab: MakeLab) -> None:
    lab = make_lab("memory", answers={"*": "default"})

    def measure(module: str) -> dict[str, Any]:
        if module == "b":
            raise ValueError("cannot be read")
        return {"measures": [len(module)], "size": len(module)}

    graph = survey_graph()
    graph.add_node("list_modules", lambda: {"modules": ["a", "b", "cc"]}).add_node("measure", measure)
    graph.add_node("note_unreadable", lambda onErr: {"unreadable": [onErr["error"]]}).add_node("rank", lambda: None)
    graph.add_node("ask_threshold", lambda flow: {"threshold": flow.interrupt({"schema": int, "default": 4})})
    graph.add_node("choose", lambda: None).add_transition("choose", END)
    run = lab.start(graph)
    assert run.wait(60).status is Status.COMPLETED
    assert list(run.history["node"]).count("measure") == 3
    cohort = run.cohort("measure")
    assert list(cohort["item"]) == ["a", "b", "cc"]
    assert list(cohort["index"]) == [0, 1, 2]
    assert cohort["size"].iloc[2] == 2
    assert run.state_at("measure")["module"] == "cc"
    assert run.state_at(run.steps[0])["modules"] if run.steps[0].state else True
    assert run.state_at(run.steps[-1].key)["threshold"] == 4
    assert "1 handled" in run.picture().alt
    assert "measure ×3" in run.timeline().alt
    assert "ask_threshold: 4" in "".join(run._watcher.notes)
    with pytest.raises(InvalidRequest, match="measure"):
        run.cohort("nothing")


def test_cancelling(lab: Lab) -> None:
    run = waiting(lab.start(asking_graph(lab)))
    run.cancel("not needed")
    outcome = run.wait(60)
    assert outcome.status is Status.CANCELLED
    assert "not needed" in run.picture()
    assert not run.prompts


def test_a_process_ends_by_itself_while_flows_wait_and_tasks_run(tmp_path: Path) -> None:
    program = """
import sys, time
from dwarf import END
from dwarf.notebook import Lab
lab = Lab()
lab.start(lab.graph("ask").add_node("A", lambda flow: flow.interrupt("Well?")).add_transition("A", END))
lab.start(lab.graph("slow").add_node("A", lambda: time.sleep(60)).add_transition("A", END))
time.sleep(0.5)
print("at the end")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "at the end" in done.stdout


def test_branching_off_and_going_on(lab: Lab) -> None:
    @lab.task
    def divide(top: int, below: int) -> dict[str, float]:
        return {"ratio": top / below}

    graph = lab.graph("ratio").add_node("Divide", divide).add_transition("Divide", END)
    failed = lab.start(graph, {"top": 6, "below": 0})
    assert failed.wait(60).status is Status.FAILED
    assert failed.retry_failed({"below": 3}).wait(60).state["ratio"] == 2
    forked = failed.fork("Divide", {"below": 2})
    assert forked.wait(60).state["ratio"] == 3
    assert forked.key != failed.key
    first = lab.start(graph, {"top": 6, "below": 2})
    first.wait(60)
    assert first.continue_with({"top": 8}).wait(60).state["ratio"] == 4
    later = lab.graph("later").add_chain("Ask", "Later", END).add_node("Ask", asking_graph(lab).functions["asking/ask"])
    with pytest.raises(InvalidRequest, match="not reached"):
        lab.start(later, check_tasks=False).fork("Later")


def test_flows_and_their_prompts_are_listed(lab: Lab) -> None:
    assert len(lab.flows()) == 0
    asked = waiting(lab.start(asking_graph(lab)))
    done = lab.start(lab.graph("plain").add_node("A", lambda: None).add_transition("A", END))
    done.wait(60)
    table = lab.flows()
    assert set(table["flow"]) == {asked.key, done.key}
    assert list(lab.flows(status="completed")["workflow"]) == ["plain"]
    prompts = lab.prompts()
    assert list(prompts["title"]) == ["How many?"]
    assert list(prompts["flow"]) == [asked.key]
    assert list(prompts["workflow"]) == ["asking"]


def test_a_lab_shows_what_waits_and_what_has_been(lab: Lab) -> None:
    def ask(flow: Flow) -> None:
        flow.interrupt("Go on?")

    assert "no flows yet" in lab._repr_mimebundle_()["text/plain"]
    run = lab.start(lab.graph("asks").add_node("Ask", ask).add_transition("Ask", END), show=False)
    while not run.prompts:
        pass
    shown = lab._repr_mimebundle_()
    assert "waits: Go on? (asks)" in shown["text/plain"]
    assert "Go on?" in shown["text/html"]
    run.answer()
    run.wait(60)
    assert "1 completed" in lab._repr_mimebundle_()["text/plain"]


def test_no_answers_at_all_outrank_the_variable(make_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DWARF_ANSWERS", '{"*": 5}')
    assert make_lab("memory", answers={})._services.answers.given == {}
