"""Faults and checkpoints: what a test arms is what happens, in threads and on the loop, and nothing without one."""

from __future__ import annotations

import asyncio

import pytest

from dwarf import failpoints
from dwarf.failpoints import InjectedFault


def test_there_are_none_unless_a_test_installs_them() -> None:
    assert failpoints.active is None
    with failpoints.installed() as outer:
        assert failpoints.active is outer
        with failpoints.installed() as inner:
            assert failpoints.active is inner
        assert failpoints.active is outer
    assert failpoints.active is None


async def test_fault_is_raised_as_often_as_armed() -> None:
    with failpoints.installed() as armed:
        armed.fault("commit", times=2)
        armed.fault("commit:pay", lambda: KeyError("pay"))
        for _ in range(2):
            with pytest.raises(InjectedFault):
                armed.hit("commit")
        armed.hit("commit", ["other"])
        with pytest.raises(KeyError):
            await armed.arrive("commit", ["other", "pay"])
        await armed.arrive("commit", ["pay"])
        assert armed.passed["commit"] == 5
        assert armed.passed["commit:pay"] == 2


@pytest.mark.parametrize("place", ["thread", "loop"])
async def test_checkpoint_holds_the_first_to_come(place: str) -> None:
    with failpoints.installed() as armed:

        def come() -> asyncio.Future[None]:
            if place == "loop":
                return asyncio.ensure_future(armed.arrive("commit", ["pay"]))
            return asyncio.ensure_future(asyncio.to_thread(armed.hit, "commit", ["pay"]))

        checkpoint = armed.checkpoint("commit:pay")
        first = come()
        await checkpoint.arrived()
        await come()  # only the first is held
        assert not first.done()
        checkpoint.release()
        checkpoint.release()
        await first


async def test_held_caller_can_be_cancelled() -> None:
    with failpoints.installed() as armed:
        checkpoint = armed.checkpoint("commit")
        held = asyncio.create_task(armed.arrive("commit"))
        await checkpoint.arrived()
        held.cancel()
        with pytest.raises(asyncio.CancelledError):
            await held
        checkpoint.release()


async def test_end_of_the_installation_lets_everybody_go() -> None:
    with failpoints.installed() as armed:
        checkpoint = armed.checkpoint("commit")
        held = asyncio.create_task(asyncio.to_thread(armed.hit, "commit"))
        await checkpoint.arrived()
    await held


async def test_passages_can_be_awaited() -> None:
    with failpoints.installed() as armed:
        waiting = asyncio.create_task(armed.seen("commit:pay", 2))
        armed.hit("commit", ["pay"])
        await asyncio.sleep(0)
        assert not waiting.done()
        await asyncio.to_thread(armed.hit, "commit", ["pay"])
        await waiting
        await armed.seen("commit:pay", 1)  # has been


def test_signals_are_lost_as_often_as_armed() -> None:
    with failpoints.installed() as armed:
        armed.lose("dropStop:7")
        assert not armed.lost("dropStop", [6])
        assert armed.lost("dropStop", [7])
        assert not armed.lost("dropStop", [7])
