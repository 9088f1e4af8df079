"""An engine with a codec: everything works, and no secret is in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Limit, Status, TaskError, task
from dwarf.engine import Engine, Timing
from dwarf.errors import ConfigError, StorageError
from dwarf.hosts import LocalHost
from tests.support.codecs import Broken, Xor
from tests.support.workflows import Gate, at

SECRET = "hush-7f3a"
LONG = [SECRET] * 40_000  # large enough to be kept apart

# Columns that are not encoded: what the database must be able to look for, and numbers.
PLAIN = {
    "dwarf_facts": {"name", "value"},
    "dwarf_secrets": {"name"},
    "dwarf_graphs": {"graph_hash"},
    "dwarf_blobs": {"blob_hash"},
    "dwarf_blob_refs": {"blob_hash"},
    "dwarf_flows": {
        *("token", "workflow_url", "workflow_name", "graph_hash", "status", "thread_token", "trace_parent"),
        *("fairness_key", "idempotency_key", "request_hash"),
    },
    "dwarf_steps": {"token", "node", "task_url", "status", "fairness_key", "route", "limit_name", "limit_rule", "code"},
    "dwarf_output": set(),
    "dwarf_displays": {"slot"},
    "dwarf_schedules": {"name", "definition_hash", "workflow_url", "graph_hash", "cron", "timezone", "overlap"},
    "dwarf_ids": {"kind"},
    "dwarf_limit_gates": {"limit_name"},
    "dwarf_limit_starts": {"limit_name"},
    "dwarf_migrations": set(),
}


def texts(path: Path) -> Iterator[tuple[str, str, str]]:
    """Every text in a database file: table, column, text."""
    connection = sqlite3.connect(path)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            cursor = connection.execute(f"SELECT * FROM {table}")
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, str):
                        yield table, column, value
    finally:
        connection.close()


async def double(flow: Flow) -> None:
    flow["seen"] = flow["item"]
    flow["out"] = [flow["item"]]


@task(limit=Limit(concurrency=2, key="who"))
async def child(flow: Flow) -> None:
    flow.progress(1, 2, f"half of {SECRET}")
    flow["answer"] = flow.interrupt({"title": f"what about {SECRET}?"})
    flow["long"] = LONG


async def call(flow: Flow) -> None:
    flow["before"] = SECRET
    print(SECRET)
    flow.stream(SECRET)
    flow.display(SECRET)
    flow["called"] = flow.subgraph(CHILD, {"who": SECRET})


async def fail(flow: Flow) -> None:
    raise TaskError(f"no {SECRET} here")


async def repaired(flow: Flow) -> None:
    if not flow.get("well"):
        raise ValueError(SECRET)


CHILD = Graph("child").add_node("Child", child).add_transition("Child", END)
WIDE = (
    Graph("wide", reducers={"out": "append"})
    .add_node("Start", call)
    .add_node("Each", double)
    .add_node("Join", fan_in=True)
    .add_node("Last", repaired)
    .add_for_each("Start", "Each", items="items")
    .add_transition("Each", "Join")
    .add_transition("Join", "Last")
    .add_transition("Last", END)
)
FAILING = Graph("failing").add_node("Fail", fail).add_transition("Fail", END)


async def everything(engine: Engine) -> None:
    """Create, answer, fan out, fail, repair, fork, continue, cancel and schedule flows that hold secrets."""
    engine._host.add_task("Join", noting)  # type: ignore[attr-defined]
    state = {"items": [f"{SECRET}{number}" for number in range(3)], "who": SECRET}
    flow = await engine.create(WIDE, state, baggage={"user": SECRET}, idempotency_key="once")
    again = await engine.create(WIDE, state, baggage={"user": SECRET}, idempotency_key="once")
    assert again.key == flow.key
    outcome = await flow
    assert outcome.interrupt_payload == {"title": f"what about {SECRET}?"}
    (waiting,) = await flow.interrupts()
    assert waiting.interrupt_payload == outcome.interrupt_payload
    await flow.resume({"text": SECRET, "more": LONG})
    failed = await flow
    assert (failed.status, failed.error) == (Status.FAILED, SECRET)
    assert failed.state["out"] == state["items"]
    assert failed.state["called"]["answer"] == {"text": SECRET, "more": LONG}
    repair = await flow.retry_failed({"well": True})
    done = await repair
    assert done.status is Status.COMPLETED
    assert done.state["called"]["long"] == LONG
    history = await repair.history()
    step = await engine.step(at(history, "Start").key)
    assert step.state == state
    assert step.changes["before"] == SECRET
    assert SECRET in at(await flow.history(), "Last").traceback
    fork = await engine.fork(at(history, "Last"), {"extra": SECRET}, at="after")
    assert (await fork).state["extra"] == SECRET
    whole = await engine.create(WIDE, {**state, "well": True})
    await whole
    await whole.resume(SECRET)
    assert (await whole).status is Status.COMPLETED
    turn = await whole.continue_with({"who": f"{SECRET}!"})
    assert (await turn).status is Status.INTERRUPTED
    await turn.cancel(f"because of {SECRET}")
    assert (await turn).cancel_reason == f"because of {SECRET}"
    broken = await engine.run(FAILING, {"x": SECRET})
    assert broken.error == f"no {SECRET} here"
    await engine.schedule("nightly", FAILING, every=timedelta(days=1), state={"x": SECRET}, baggage={"user": SECRET})
    assert [found.name for found in await engine.schedules()] == ["nightly"]


async def noting(flow: Flow) -> None:
    flow["joined"] = len(flow["out"])


async def test_no_secret_is_in_any_column_but_the_documented_ones(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    codec = Xor()
    async with Engine(LocalHost(), f"sqlite:///{path}", codec=codec, capture_output=True) as engine:
        await everything(engine)
    assert codec.encoded
    assert codec.decoded
    found = list(texts(path))
    assert {table for table, _, _ in found} >= {
        *("dwarf_blobs", "dwarf_flows", "dwarf_steps", "dwarf_schedules", "dwarf_output", "dwarf_displays"),
    }
    assert not [(table, column) for table, column, text in found if SECRET in text]
    unencoded = {(table, column) for table, column, text in found if text and not text.startswith("dwarf+codec:")}
    assert unencoded <= {(table, column) for table, columns in PLAIN.items() for column in columns}
    for file in tmp_path.iterdir():  # the log of the database too
        assert SECRET.encode() not in file.read_bytes()


async def test_the_same_flows_leave_secrets_without_a_codec(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    async with Engine(LocalHost(), f"sqlite:///{path}", capture_output=True) as engine:
        await everything(engine)
    secret = {(table, column) for table, column, text in texts(path) if SECRET in text}
    assert secret >= {
        *(("dwarf_flows", column) for column in ("final_state", "error", "cancel_reason", "baggage")),
        *(("dwarf_steps", column) for column in ("state", "changes", "answers", "interrupt", "error", "traceback")),
        *(("dwarf_schedules", column) for column in ("state", "options")),
        ("dwarf_blobs", "body"),
        ("dwarf_output", "body"),
        ("dwarf_displays", "data"),
    }
    assert not {(table, column) for table, column in secret if column in PLAIN[table]}


async def test_progress_is_encoded(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    gate = Gate()

    async def report(flow: Flow) -> None:
        flow.progress(1, 2, f"half of {SECRET}")
        await gate.wait()

    graph = Graph("report").add_node("Report", report).add_transition("Report", END)
    async with Engine(LocalHost(), f"sqlite:///{path}", codec=Xor()) as engine:
        flow = await engine.create(graph)
        reported = []
        async for update in flow.watch():  # which notices that the length of what is stored has changed
            reported.append((update.outcome.status, update.steps[0].progress))
            if update.steps[0].progress:
                gate.open()
        assert (Status.RUNNING, (1, 2, f"half of {SECRET}")) in reported
    progress = [text for table, column, text in texts(path) if (table, column) == ("dwarf_steps", "progress")]
    assert [text for text in progress if text]
    assert SECRET not in "".join(progress)


async def test_search_finds_errors_and_names(tmp_path: Path) -> None:
    async with Engine(LocalHost(), f"sqlite:///{tmp_path}/flows.db", codec=Xor()) as engine:
        await engine.run(FAILING)
        for words, found in ((SECRET.upper(), 1), ("failing", 1), ("dwarf+codec", 0), ("other", 0)):
            assert [flow.error async for flow in engine.flows(search=words)] == [f"no {SECRET} here"] * found


@pytest.mark.parametrize(("first", "second"), [(Xor(), None), (None, Xor()), (Xor(1), Xor(2))])
async def test_another_codec_is_refused_at_the_start(tmp_path: Path, first: Any, second: Any) -> None:
    url = f"sqlite:///{tmp_path}/flows.db"
    async with Engine(LocalHost(), url, codec=first) as engine:
        flow = await engine.create(FAILING)
        await flow
    with pytest.raises(ConfigError, match="the payloads of this database"):
        await Engine(LocalHost(), url, codec=second).start()
    async with Engine(LocalHost(), url, codec=first) as engine:
        assert (await engine.flow(flow.key)).error == f"no {SECRET} here"


def test_what_is_no_codec_is_refused() -> None:
    with pytest.raises(ConfigError, match="encode and decode"):
        Engine(LocalHost(), codec=object())  # type: ignore[arg-type]


async def test_a_codec_that_fails_for_a_while_loses_nothing(tmp_path: Path) -> None:
    codec = Broken()

    async def break_it(flow: Flow) -> None:
        codec.failing = not flow.get("done")
        flow["done"] = SECRET

    graph = Graph("break").add_node("Break", break_it).add_transition("Break", END)
    timing = Timing(retry_ladder=(0.001,) * 3)
    async with Engine(LocalHost(), f"sqlite:///{tmp_path}/flows.db", codec=codec, timing=timing) as engine:
        flow = await engine.create(graph)
        with pytest.raises(StorageError, match="could not encode") as caught:
            while True:
                await engine.create(graph)
        assert SECRET not in str(caught.value)
        codec.failing = False
        assert (await flow).stopped
