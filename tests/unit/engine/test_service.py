"""A loop of the engine: what wakes it, what ends it, and that a failure does not."""

from __future__ import annotations

import asyncio

from dwarf.engine.service import Periodic, Service
from dwarf.errors import EngineClosed


class Turns(Service):
    """Notes its passes, and fails where it is told to."""

    patience_s = None

    def __init__(self, *pauses: float | Exception | None) -> None:
        super().__init__()
        self.pauses = list(pauses)
        self.made = 0
        self.failures: list[Exception] = []
        self.passed = asyncio.Event()

    async def turn(self) -> float | None:
        self.made += 1
        self.passed.set()
        pause = self.pauses.pop(0) if self.pauses else None
        if isinstance(pause, Exception):
            raise pause
        return pause

    def failed(self, error: Exception) -> float:
        self.failures.append(error)
        return 0.0


async def test_a_pass_that_fails_is_reported_and_followed_by_another() -> None:
    error = ValueError("no")
    service = Turns(error, 0.0)
    service.start()
    while service.made < 3:
        await service.passed.wait()
        service.passed.clear()
    assert service.failures == [error]
    await service.aclose()


async def test_a_wake_during_a_pass_is_not_lost_and_none_is_made_up() -> None:
    service = Turns(3600.0)
    service.start()
    await service.passed.wait()
    service.passed.clear()
    service.wake()
    service.wake()
    await service.passed.wait()
    assert service.made == 2
    await service.aclose()
    assert service.made == 2


async def test_a_closed_engine_ends_the_loop() -> None:
    service = Turns(EngineClosed("closed"))
    service.start()
    assert service._task is not None
    await service._task
    assert service.made == 1 and not service.failures
    await service.aclose()


async def test_closing_waits_for_a_patient_pass_and_cancels_another() -> None:
    held, ended = asyncio.Event(), []

    async def hold() -> None:
        try:
            await held.wait()
            ended.append("done")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    class Patient(Periodic):
        patience_s = None

    for kind in (Patient, Periodic):
        service = kind("dwarf-test", 0.0, hold, lambda error, pause: None)
        service.start()
        await asyncio.sleep(0)
        closing = asyncio.create_task(service.aclose())
        await asyncio.sleep(0)
        held.set() if kind is Patient else None
        await closing
        held.clear()
    assert ended == ["done", "cancelled"]
