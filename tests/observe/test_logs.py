"""What an engine says in the log: to whom, at which level, with which fields."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from dwarf import ConfigError, Flow, Status, failpoints
from dwarf.engine import Engine, Timing
from dwarf.hosts import LocalHost
from dwarf.observe.logs import Log, class_name, places
from dwarf.storage.sql.errors import PayloadRefused, Unavailable
from tests.observe.tools import Lines, chain, correlation, nothing, private_logger, replica_of
from tests.support.workflows import Gate, Running


async def test_one_line_for_each_change_of_a_flows_status(running: Running) -> None:
    logger, lines = private_logger(logging.INFO)

    async def ask(flow: Flow) -> None:
        flow.interrupt()

    async with running(logger=logger) as engine:
        flow = await engine.create(chain("Ask", Ask=ask))
        await flow
        await flow.resume()
        assert (await flow).status is Status.COMPLETED
    name = correlation(flow.key)
    assert lines.texts() == [f"flow {name} is {word}" for word in ("running", "interrupted", "running", "completed")]
    first, *_, last = lines.records
    assert (first.dwarf_flow, first.dwarf_status, first.dwarf_workflow) == (name, "running", "Ask")  # type: ignore[attr-defined]
    assert (last.dwarf_flow, last.dwarf_status, last.dwarf_workflow) == (name, "completed", "Ask")  # type: ignore[attr-defined]
    assert {record.levelno for record in lines.records} == {logging.INFO}


async def test_a_tasks_error_is_no_fault_of_the_engine(running: Running) -> None:
    logger, lines = private_logger(logging.INFO)

    async def broken(flow: Flow) -> None:
        raise ValueError("the payload says sesame")

    async with running(logger=logger) as engine:
        flow = await engine.create(chain("Broken", Broken=broken))
        assert (await flow).status is Status.FAILED
    assert lines.texts(logging.WARNING) == []
    (record,) = [record for record in lines.records if "raised" in record.getMessage()]
    assert record.getMessage() == f"task Broken of flow {correlation(flow.key)} has raised ValueError"
    assert (record.dwarf_task, record.dwarf_error, record.dwarf_attempt) == ("Broken", "ValueError", 0)  # type: ignore[attr-defined]
    assert "sesame" not in lines.everything()


async def test_debug_tells_of_every_step(running: Running) -> None:
    logger, lines = private_logger()
    gate = Gate()

    async def slow(flow: Flow) -> None:
        await gate.wait()

    async with running(logger=logger) as engine:
        await engine.run(chain("Chain", Only=nothing))
        flow = await engine.create(chain("Slow", Slow=slow))
        await gate.reached()
        await flow.cancel()
        gate.open()
    debug = [record.getMessage() for record in lines.records if record.levelno == logging.DEBUG]
    assert debug == ["step Only of flow 1-1 is completed", f"step Slow of flow {correlation(flow.key)} is fenced out"]


async def test_faults_of_the_database_are_told_by_their_weight(running: Running, armed: failpoints.Failpoints) -> None:
    logger, lines = private_logger(logging.WARNING)
    armed.fault("commit:complete", lambda: Unavailable("the database is not available"))
    armed.fault("beforeRecovery", lambda: Unavailable("the database is not available"))
    async with running(logger=logger, timing=Timing(retry_ladder=(0, 0), recovery=0.01)) as engine:
        await engine.run(chain("Chain", Only=nothing))
        # once for the group it may be in, once for itself
        armed.fault("commit:complete", lambda: PayloadRefused("the database refused the data"), times=2)
        flow = await engine.create(chain("Chain", Only=nothing))
        await flow
        await armed.seen("recoveryDone")
    warnings = [record.getMessage() for record in lines.records if record.levelno == logging.WARNING]
    errors = lines.texts(logging.ERROR)
    assert warnings == ["the database did not take a write, next try in 0.0 s: the database is not available"]
    assert sorted(errors) == [
        "a repair failed, next try in 0.01 s: the database is not available",
        (
            f"step Only of flow {correlation(flow.key)} fails, because its outcome could not be stored: "
            "the database refused the data"
        ),
    ]


async def test_a_fault_nobody_has_foreseen_is_told_without_its_text(
    running: Running, armed: failpoints.Failpoints
) -> None:
    logger, lines = private_logger(logging.WARNING)
    armed.fault("beforeRecovery", lambda: KeyError("a field of some state"))
    async with running(logger=logger, timing=Timing(recovery=0.01)):
        await armed.seen("recoveryDone")
    (record,) = lines.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("a repair failed, next try in 0.01 s: KeyError, raised at\n")
    assert "maintenance.py" in record.getMessage()
    assert "some state" not in lines.everything()


async def test_steps_taken_back_are_a_warning(running: Running) -> None:
    logger, lines = private_logger(logging.WARNING)
    async with running(logger=logger) as engine:
        for count, reason in ((3, "owner_gone"), (1, "owner_silent"), (1, "lease_expired")):
            replica_of(engine).telemetry.recovered(count, reason)
    assert lines.texts() == [
        "shard 1: 3 steps are run again, their owner is gone",
        "shard 1: 1 step is run again, its owner was not heard of",
        "shard 1: 1 step is run again, its lease has run out",
    ]


async def test_the_engines_own_logger_is_used_without_another(running: Running) -> None:
    lines = Lines(logging.INFO)
    logger = logging.getLogger("dwarf.engine")
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    try:
        async with running() as engine:
            await engine.run(chain("Chain", Only=nothing))
    finally:
        logger.removeHandler(lines)
        logger.setLevel(logging.NOTSET)
    assert [record.name for record in lines.records] == ["dwarf.engine"] * 2


async def test_an_adapter_is_a_logger_too(running: Running) -> None:
    logger, lines = private_logger(logging.INFO)
    async with running(logger=logging.LoggerAdapter(logger, {"team": "payments"})) as engine:
        await engine.run(chain("Chain", Only=nothing))
    assert len(lines.records) == 2


async def test_a_handler_that_raises_harms_nobody(running: Running) -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise RuntimeError("no disk")

    logger, _ = private_logger()
    logger.handlers = [Broken()]
    async with running(logger=logger) as engine:
        assert (await engine.run(chain("Chain", Only=nothing))).status is Status.COMPLETED


def test_lines_name_the_place_that_wrote_them() -> None:
    logger, lines = private_logger()
    Log(logger).info("here")
    assert lines.records[0].funcName == "test_lines_name_the_place_that_wrote_them"


def test_an_error_is_told_by_class_and_place() -> None:
    def inner() -> None:
        secret = "sesame"  # noqa: F841
        raise LookupError("sesame")

    with pytest.raises(LookupError) as caught:
        inner()
    assert class_name(caught.value) == "LookupError"
    assert class_name(ConfigError("x")) == "dwarf.errors.ConfigError"
    shown = places(caught.value)
    assert shown.splitlines()[-1].endswith(", in inner")
    assert "sesame" not in shown


def test_what_is_no_logger_or_provider_is_refused(host: LocalHost) -> None:
    for name, words in (("logger", "isEnabledFor"), ("meter_provider", "get_meter"), ("tracer_provider", "get_tracer")):
        with pytest.raises(ConfigError, match=f"{name} has no method {words}"):
            Engine(host, **{name: "stderr"})  # type: ignore[arg-type]


def test_nothing_is_printed_unless_the_program_asks_for_it() -> None:
    code = """
import asyncio, logging
from dwarf import END, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost

async def main():
    def broken(): raise ValueError("no")
    async with Engine(LocalHost()) as engine:
        engine._runtimes[1].log.error("something is wrong")
        logging.getLogger("dwarf.storage.drivers.serial_executor").warning("something else")
        print((await engine.run(Graph("G").add_node("Broken", broken).add_transition("Broken", END))).status)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("failed\n", "")
