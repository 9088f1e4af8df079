"""No key's token, payload or state is in a metric, a span or a log line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskError, failpoints
from dwarf.engine import Timing
from dwarf.hosts import LocalHost
from dwarf.observe.memory import Recorder
from dwarf.storage.sql.errors import PayloadRefused, Unavailable
from tests.architecture.repository import ROOT
from tests.observe.searching import found, reported, secrets_of
from tests.observe.tools import chain, measured, nothing, private_logger
from tests.support.workflows import Gate, Running

SECRET = "hunter2-4111-1111"
# Tests of flows whose engines have much to say: that fail, retry, ask, are refused, are cut off.
TELLING = (
    "raising_anything",
    "bad_results",
    "bad_requests",
    "retry_policy",
    "time_budget",
    "answers_and_questions",
    "several_parks",
    "branch_interrupts",
    "lost_writes",
    "leaving_a_task",
    "large_values",
)


def workflows(host: LocalHost, gate: Gate) -> dict[str, Graph]:
    """A graph for each thing that can happen to a state."""
    seen: list[int] = []

    async def keep(flow: Flow) -> dict[str, Any]:
        flow.progress(1, 2, f"{SECRET} progress")
        return {"kept": f"{SECRET} result", f"{SECRET} field": 1}

    def in_a_thread(flow: Flow) -> None:
        flow["thread"] = f"{SECRET} thread"

    async def broken(flow: Flow) -> None:
        raise TaskError(f"{SECRET} error {flow['x']}", detail=f"{SECRET} detail")

    async def group(flow: Flow) -> None:
        raise ExceptionGroup(f"{SECRET} group", [ValueError(flow["x"]), KeyError(flow["x"])])

    async def chained(flow: Flow) -> None:
        try:
            {}[flow["x"]]
        except KeyError as error:
            raise RuntimeError(f"{SECRET} chained") from error

    async def unkeepable(flow: Flow) -> None:
        flow["x"] = {f"{SECRET} key": object()}

    async def ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": f"{SECRET} prompt", "default": f"{SECRET} default"})

    async def retry(flow: Flow) -> None:
        flow["x"] = f"{SECRET} attempt"
        if not flow.attempt:
            flow.retry()

    async def slow(flow: Flow) -> None:
        await gate.wait()

    async def late(flow: Flow, x: str) -> None:
        seen.append(len(x))
        raise TimeoutError(f"{SECRET} late")

    inner = chain("Inner", Broken=broken)

    async def call(flow: Flow) -> None:
        flow.subgraph(inner, {"x": f"{SECRET} child"})

    routed = Graph("Routed", reducers={"out": "add"}).add_node("Broken", broken).add_node("Mend", keep)
    routed.add_error_handler("Broken", "Mend").add_chain("Mend", END)
    fan = Graph("Fan", reducers={"out": "add"}).add_node("Split", nothing).add_node("Work", keep)
    fan.add_node("Join", nothing, fan_in=True).add_for_each("Split", "Work", items="items").add_chain(
        "Work", "Join", END
    )
    conditional = Graph("When").add_node("First", keep).add_node("Never", nothing)
    conditional.add_transition("First", "Never", when="kept == 'no'").add_chain("Never", END)
    graphs = [routed, fan, conditional, chain("Keep", Keep=keep, Thread=in_a_thread), chain("Retry", Retry=retry)]
    graphs += [chain("Ask", Ask=ask), chain("Call", Call=call), chain("Slow", Slow=slow)]
    for function in (broken, group, chained, unkeepable, late):
        graphs.append(chain(function.__name__.title(), Task=function))
    for graph in graphs:
        host.add_graph(graph)
    return {graph.name: graph for graph in graphs}


def test_what_is_looked_for_would_be_found() -> None:
    report = f"flow 1-2-{'ab' * 8} of trace {'cd' * 16} says: {SECRET} state"
    assert len(found({"ab" * 8}, {f"{SECRET} state"}, report)) == 2
    assert found({"cd" * 8}, {f"{SECRET} other"}, report) == []


async def test_a_broad_set_of_flows_gives_nothing_away(
    running: Running, host: LocalHost, recorder: Recorder, capfd: pytest.CaptureFixture[str]
) -> None:
    logger, lines = private_logger()
    gate = Gate()
    graphs = workflows(host, gate)
    options: dict[str, Any] = {
        "baggage": {"tenant": f"{SECRET} baggage"},
        "fairness_key": f"{SECRET} fairness",
    }
    timing = Timing(retry_ladder=(0, 0), recovery=0.02)
    with failpoints.installed() as armed:
        armed.fault("commit:complete", lambda: Unavailable("the database is not available"))
        armed.fault("commit:startover", lambda: PayloadRefused("the database refused the data"))
        armed.fault("commit:fail", lambda: KeyError(f"{SECRET} fault"))
        armed.fault("beforeRecovery", lambda: LookupError(f"{SECRET} repair"))
        async with running(logger=logger, timing=timing, **measured(recorder)) as engine:
            flows = {}
            for name in graphs:
                state = {"x": f"{SECRET} state", "items": [f"{SECRET} one", f"{SECRET} two"]}
                flows[name] = await engine.create(name, state, idempotency_key=f"{SECRET} {name} key", **options)
            statuses = {name: (await flow).status for name, flow in flows.items() if name != "Slow"}
            await flows["Ask"].resume(f"{SECRET} answer")
            await flows["Ask"]
            await gate.reached()
            await flows["Slow"].cancel(f"{SECRET} reason")
            gate.open()
            fork = await engine.fork((await flows["Keep"].history())[0], {"x": f"{SECRET} fork"})
            await fork
            await (await flows["Keep"].continue_with({"x": f"{SECRET} turn"}))
            await armed.seen("recoveryDone")
            assert engine._gauges is not None
            await engine._gauges.refresh()
            tokens, texts = await secrets_of(engine)
    assert statuses["Keep"] is Status.COMPLETED
    assert statuses["Ask"] is Status.INTERRUPTED
    assert {statuses[name] for name in ("Broken", "Group", "Chained", "Unkeepable", "Late", "Call")} == {Status.FAILED}
    assert len(tokens) > 30
    assert sum(SECRET in text for text in texts) > 15
    everything = reported(recorder, lines) + "".join(capfd.readouterr())
    assert {"workflow", "Task", "Call"} <= {span.name for span in recorder.spans()}
    assert "has raised dwarf.errors.TaskError" in everything
    assert SECRET not in everything
    assert found(tokens, texts, everything) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tests_of_flows_give_nothing_away() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.observe.eavesdrop", "-p", "no:cacheprovider"]
    chosen = [*(f"tests/flows/test_{name}.py" for name in TELLING), "-k", "not file", "-m", "not slow and not bench"]
    # what is said does not depend on the database, but for its errors
    without_servers = {name: value for name, value in os.environ.items() if not name.startswith("DWARF_TEST_")}
    done = subprocess.run(
        [*command, *chosen], cwd=ROOT, env=without_servers, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    (counts,) = re.findall(r"eavesdropped: (\d+) engines, (\d+) characters, (\d+) secrets", done.stdout)
    engines, characters, secrets = map(int, counts)
    assert (engines > 100, characters > 100_000, secrets > 1000) == (True, True, True), counts
