"""What tasks print, log and stream is kept with their steps."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import literal_column, select

from dwarf import END, Flow, Graph, InvalidRequest
from dwarf.engine import Engine, FlowHandle
from dwarf.storage.operations.output import Moments
from dwarf.storage.sql.script import Fetch, Statement
from dwarf.storage.sql.tables import blob_refs, blobs, displays, output
from dwarf.workflow import capture
from tests.support.workflows import Gate


@pytest.fixture
async def keeping(engine: Engine) -> AsyncIterator[Engine]:
    """The engine, keeping what is printed."""
    engine._settings.capture_output = True
    engine._capture(True)
    yield engine
    engine._capture(False)


def loud(gate: Gate | None = None) -> Graph:
    async def speaks(flow: Flow) -> None:
        print("from a coroutine", flow.node)
        await asyncio.create_task(asyncio.to_thread(print, "from a thread of it"))
        logging.getLogger("shop").warning("%s left", 3)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        if gate is not None:
            await gate.wait()

    def works() -> None:
        print("no end", end="")
        print(" of it\r10 %\r20 %", file=sys.stderr)

    return Graph("loud").add_node("Speaks", speaks).add_node("Works", works).add_chain("Speaks", "Works", END)


def shape(lines: Any) -> list[tuple[str, str, str, str]]:
    return [(line.node, line.source, line.level, line.text) for line in lines]


async def test_what_is_printed_is_kept_in_order_and_goes_on(keeping: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        flow = await keeping.create(loud())
        await flow
    lines = await flow.logs()
    here = [line for line in shape(lines) if line[0] == "Speaks"]
    assert here[:3] == [
        ("Speaks", "stdout", "", "from a coroutine Speaks"),
        ("Speaks", "stdout", "", "from a thread of it"),
        ("Speaks", "log", "WARNING", "3 left"),
    ]
    assert here[3][:3] == ("Speaks", "warning", "DeprecationWarning")
    assert here[3][3].startswith("old (test_output.py:")
    assert [line.logger for line in lines if line.source == "log"] == ["shop"]
    # of a line that is written over the last form; one without an end counts when the task ends
    there = [line for line in shape(lines) if line[0] == "Works"]
    assert there == [("Works", "stderr", "", "20 %"), ("Works", "stdout", "", "no end")]
    assert terminal.getvalue() == "from a coroutine Speaks\nfrom a thread of it\nno end"
    assert all(line.attempt == 0 and line.step_key for line in lines)
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert await flow.logs(after=lines[1].cursor, limit=2) == lines[2:4]
    assert await flow.logs(step=lines[-1].step_key) == lines[4:] == await flow.logs(node="Works")
    with pytest.raises(InvalidRequest, match="cursor"):
        await flow.logs(after="?")


async def test_lines_are_followed_while_the_task_runs(keeping: Engine) -> None:
    gate = Gate()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        flow = await keeping.create(loud(gate))
        seen = []
        async for line in flow.follow_logs():
            seen.append(line)
            if line.source == "warning":
                gate.open()
    assert seen == await flow.logs()


async def test_a_task_that_prints_nothing_writes_nothing(keeping: Engine) -> None:
    said: list[Any] = []
    runtime = keeping._runtimes[1]
    runtime.output._on_written = said.append
    flow = await keeping.create(Graph("quiet").add_node("A", lambda: None).add_transition("A", END))
    await flow
    assert await flow.logs() == []
    assert said == []


async def test_of_very_much_the_beginning_and_the_end_are_kept(keeping: Engine) -> None:
    async def floods() -> None:
        for number in range(100_000):
            print(f"line {number} {'.' * 40}")
            if number % 20_000 == 0:
                await asyncio.sleep(0)

    flow = await keeping.create(Graph("flood").add_node("A", floods).add_transition("A", END))
    await flow
    lines = await flow.logs()
    assert lines[0].text.startswith("line 0 ")
    assert lines[-1].text.startswith("line 99999 ")
    (gap,) = [place for place, line in enumerate(lines) if line.source == "warning"]
    left_out = 100_000 - (len(lines) - 1)
    assert f"{left_out:,} lines are left out" in lines[gap].text
    assert sum(len(line.text) for line in lines) <= 2**20


async def test_a_node_that_is_not_there_is_refused(engine: Engine) -> None:
    async def work(flow: Flow) -> None:
        flow.stream("x")

    async def call(flow: Flow) -> None:
        flow.subgraph(Graph("child").add_node("Inner", lambda: None).add_transition("Inner", END))

    graph = Graph("g").add_node("Work", work).add_node("Call", call).add_chain("Work", "Call", END)
    flow = await engine.create(graph)
    await flow
    for wrong in (flow.logs(node="Wrok"), flow.displays(node="Wrok"), anext(flow.follow_logs(node="Wrok"))):
        with pytest.raises(InvalidRequest, match=r"no node 'Wrok'; did you mean 'Work'\?"):
            await wrong
    assert await flow.logs(node="Inner") == await flow.displays(node="Work") == []


async def streamed(flow: FlowHandle) -> str:
    return "".join(line.text for line in await flow.logs() if line.source == "stream")


async def test_streams_are_kept_and_go_with_their_flow(engine: Engine) -> None:
    def speaks(flow: Flow) -> None:
        for word in ("to ", "be ", "or ", "\udc80not"):
            flow.stream(word, name="soliloquy")
        flow.stream("x" * 5_000_000)

    flow = await engine.create(Graph("stream").add_node("A", speaks).add_transition("A", END))
    outcome = await flow
    assert outcome.status == "completed"
    lines = await flow.logs()
    assert [(line.name, line.text) for line in lines if line.name] == [("soliloquy", "to be or \\udc80not")]
    assert len(await streamed(flow)) < 4 * 2**20 + 100
    assert any("the rest of what is streamed is left out" in line.text for line in lines)


async def test_output_goes_along_with_copies_and_ends_with_its_flow(keeping: Engine) -> None:
    def shows(flow: Flow) -> None:
        print("seen")
        flow.stream("read")

    graph = Graph("kept").add_node("A", shows).add_node("B", shows).add_chain("A", "B", END)
    flow = await keeping.create(graph)
    await flow
    _, second = await flow.history()
    fork = await keeping.fork(second)
    await fork
    assert sorted(line.node for line in await fork.logs()) == ["A", "A", "B", "B"]
    lines = [line async for line in keeping.export_flows(flow.key)]
    (there,) = await keeping.import_flows(lines)
    assert shape(await there.logs()) == shape(await flow.logs())
    runtime = keeping._runtimes[1]
    for each in (flow, fork, there):
        await each.delete()
    await runtime.maintenance.reap()
    assert await runtime.database.read(left_behind) == []


def left_behind() -> Any:
    """What is left of output, displays and their blobs."""
    found = []
    for table in (output, displays, blobs, blob_refs):
        found += yield Fetch(Statement(f"left_in_{table.name}", select(literal_column("1")).select_from(table)), {})
    return found


class Odd:
    """A value whose representations are of every kind."""

    def __repr__(self) -> str:
        return "odd " + "o" * 200_000

    def _repr_html_(self) -> str:
        return "<b>odd</b>"

    def _repr_png_(self) -> bytes:
        return b"\x89PNG" + bytes(300_000)

    def _repr_svg_(self) -> str:
        raise ValueError("no picture")

    def _repr_latex_(self) -> str:
        return "x" * (17 * 2**20)


async def test_displays_are_kept_replaced_copied_and_removed(engine: Engine) -> None:
    def shows(flow: Flow) -> None:
        flow.display("before", name="same")
        flow.display(Odd())
        flow.display("after", name="same")
        if flow.node == "B":
            flow.interrupt("well?")

    graph = Graph("shows").add_node("A", shows).add_node("B", shows).add_chain("A", "B", END)
    flow = await engine.create(graph)
    outcome = await flow
    assert outcome.status == "interrupted", outcome.error
    await flow.resume()
    await flow
    shown = await flow.displays(node="B")
    assert [display.name for display in shown] == ["", "same"], "a task that runs again replaces what it has shown"
    odd, same = shown
    assert same.data == {"text/plain": "after"}
    assert set(odd.data) == {"text/html", "image/png", "text/plain"}
    assert len(odd.data["image/png"]) > 400_000
    assert "no picture" in odd.data["text/plain"]
    assert "17 MB" in odd.data["text/plain"]
    assert odd._repr_mimebundle_()["text/html"] == "<b>odd</b>"
    fork = await engine.fork((await flow.history())[-1], at="after")
    lines = [line async for line in engine.export_flows(flow.key)]
    (there,) = await engine.import_flows(lines)
    await flow.delete()
    runtime = engine._runtimes[1]
    await runtime.maintenance.reap()
    for copy in (fork, there):
        assert [display.data for display in await copy.displays(node="B")] == [odd.data, same.data]
        await copy
        await copy.delete()
    await runtime.maintenance.reap()
    assert await runtime.database.read(left_behind) == []


async def test_a_step_shows_at_most_so_much(engine: Engine) -> None:
    def shows(flow: Flow) -> None:
        flow.display("x" * (10 * 2**20))
        flow.display("x" * (10 * 2**20))

    outcome = await engine.run(Graph("much").add_node("A", shows).add_transition("A", END))
    assert outcome.status == "failed"
    assert "16 MB" in outcome.error


def test_a_stream_whose_write_is_replaced_calls_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython replaces it for the time of each cell, to remember what cells print."""
    written, seen = io.StringIO(), []
    monkeypatch.setattr(sys, "stdout", written)
    capture.install()
    try:
        before = sys.stdout.write

        def write(text: str) -> int:
            seen.append(text)
            return before(text)

        sys.stdout.write = write
        print("once", end="")
        sys.stdout.write = before
        print(" more", end="")
    finally:
        capture.uninstall()
    assert ("".join(seen), written.getvalue()) == ("once", "once more")


def test_what_was_said_later_is_never_told_as_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr("dwarf.storage.operations.output.monotonic", lambda: clock)
    moments = Moments()
    clock = 10.009  # read 9 ms after the time of the transaction was
    moments.at(50_000)
    assert moments(10.000) == 49_991
    clock = 10.011  # at once
    moments.at(50_011)
    assert moments(10.002) == 49_993
    assert moments(10.100) == 50_011  # not after the transaction
    clock = 11.000
    moments.at(90_000)  # somebody has set the clock
    assert moments(10.500) == 89_500
