"""A lab's loop is uvloop's where that is installed, and does the same with either."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator

import pytest

from dwarf.notebook.loop import LabLoop, new_loop
from tests.notebook.test_lab import MakeLab, asking_graph


@pytest.fixture(params=["asyncio", "uvloop"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    if name == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    elif sys.platform == "win32":
        pytest.skip("uvloop is not made for Windows")
    return name


@pytest.fixture
def lab_loop(kind: str) -> Iterator[LabLoop]:
    found = LabLoop()
    yield found
    found.stop()
    assert not found.running


def test_the_loop_is_the_one_that_is_installed(kind: str) -> None:
    loop = new_loop()
    try:
        assert type(loop).__module__.partition(".")[0] == {"asyncio": "asyncio", "uvloop": "uvloop"}[kind]
    finally:
        loop.close()


def test_what_ends_a_process_does_not_end_the_loop(lab_loop: LabLoop, caplog: pytest.LogCaptureFixture) -> None:
    async def leave(fault: type[BaseException]) -> None:
        raise fault

    async def name() -> str:
        return threading.current_thread().name

    with caplog.at_level(logging.CRITICAL, logger="asyncio"):
        for fault in (SystemExit, KeyboardInterrupt):
            with pytest.raises(fault):
                lab_loop.submit(leave(fault)).result(60)
            assert lab_loop.submit(name()).result(60) == "dwarf-lab"


def test_a_loop_that_is_stopped_cancels_what_runs(kind: str) -> None:
    lab_loop, ended = LabLoop(), threading.Event()

    async def sleep() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    lab_loop.submit(sleep())
    lab_loop.submit(asyncio.sleep(0)).result(60)
    lab_loop.stop()
    assert ended.is_set()
    with pytest.raises(RuntimeError, match="closed"):
        lab_loop.submit(asyncio.sleep(0))


@pytest.mark.usefixtures("kind")
def test_a_flow_runs_on_it(make_lab: MakeLab) -> None:
    lab = make_lab("memory", answers={"How many?": 7})
    assert lab.start(asking_graph(lab)).wait(60).state["count"] == 7
