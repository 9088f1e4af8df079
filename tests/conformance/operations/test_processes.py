"""Operations 12 to 16: processes that are asked to end, stand still, or block."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import Any

import pytest

from tests.crash.conftest import Process, Site
from tests.replicas.conftest import ServerSite

# a busy machine may take some seconds for a step of some milliseconds
SHORT: dict[str, Any] = {"time_budget": 4, "lease_margin": 1, "recovery": 0.2}


def registered(site: Site) -> int:
    """How many engines are in the registry. There is none in a file."""
    return int(site.rows("SELECT COUNT(*) FROM dwarf_replicas")[0][0])


async def draining(process: Process) -> None:
    """Wait until the signal has come."""
    while not await process.ask("draining"):
        pass


async def held(site: Site, process: Process, count: int) -> None:
    running = "SELECT COUNT(*) FROM dwarf_steps WHERE task_url = 'Hold' AND status = 'running'"
    await process.until(lambda: site.rows(running)[0][0] == count)


async def test_o12_sigterm_waits_for_tasks_that_end_in_time(site: Site) -> None:
    leaving = await site.start(holding=True, grace=60)
    keys = await leaving.ask("create_many", workflow="holding", states=[{}] * 8)
    await held(site, leaving, 8)
    staying = await site.start()
    leaving.signal(signal.SIGTERM)
    await draining(leaving)
    await leaving.ask("release")
    assert await leaving.ended() == 0
    outcomes = await staying.ask("outcomes", keys=keys)
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 8}
    assert site.executions() == {"N1": 8, "N2": 8, "N3": 8}
    assert {execution.process for execution in site.ledger() if execution.node == "N3"} == {staying.id}
    assert site.rows("SELECT COUNT(*) FROM dwarf_steps WHERE lease_seq <> 1 OR crashes <> 0") == [(0,)]
    assert registered(site) == isinstance(site, ServerSite)
    await staying.ask("check")
    await staying.close()
    assert registered(site) == 0


async def test_o13_sigterm_gives_back_what_takes_longer(site: Site) -> None:
    leaving = await site.start(holding=True, grace=0.2, time_budget=600)
    keys = await leaving.ask("create_many", workflow="holding", states=[{}] * 8)
    await held(site, leaving, 8)
    staying = await site.start(time_budget=600)
    waiting = staying.ask("outcomes", keys=keys)
    leaving.signal(signal.SIGTERM)
    assert await leaving.ended() == 0
    # long before the leases are over
    outcomes = await waiting
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 8}
    assert all(outcome["state"]["count"] == 3 for outcome in outcomes)
    assert site.executions() == {"N1": 8, "N2": 16, "N3": 8}
    # it was no crash
    assert site.rows("SELECT DISTINCT lease_seq, crashes FROM dwarf_steps WHERE task_url = 'Hold'") == [(2, 0)]
    await staying.ask("check")
    await staying.close()


async def test_o13_a_second_signal_ends_the_grace(site: Site) -> None:
    leaving = await site.start(holding=True, grace=3600)
    key = await leaving.ask("create", workflow="holding", state={})
    await leaving.holding("N2")
    staying = await site.start()
    leaving.signal(signal.SIGTERM)
    await draining(leaving)
    leaving.signal(signal.SIGTERM)
    assert await leaving.ended() == 0
    assert (await staying.ask("outcome", key=key))["status"] == "completed"
    assert site.executions() == {"N1": 1, "N2": 2, "N3": 1}
    await staying.close()


async def test_o14_who_stood_still_for_longer_than_its_lease_rejoins(site: Site) -> None:
    first = await site.start(holding=True, **{**SHORT, "recovery": 3600, "lease": 1})
    key = await first.ask("create", workflow="holding", state={})
    await first.holding("N2")
    site.stand_still(first)
    second = await site.start(**SHORT, lease=1)
    outcome = await second.ask("outcome", key=key)
    assert outcome["status"] == "completed"
    first.signal(signal.SIGCONT)
    assert (await first.ask("outcome", key=key)) == outcome
    await first.ask("release")
    assert site.executions() == {"N1": 1, "N2": 2, "N3": 1}
    # it serves as before
    await second.close()
    more = await first.ask("create", workflow="steps", state={})
    assert (await first.ask("outcome", key=more))["status"] == "completed"
    assert (await first.ask("outcome", key=key)) == outcome
    await first.ask("check")
    await first.close()


@pytest.mark.parametrize("how", ["o15-stopped", "o16-blocked"])
async def test_o15_o16_who_stands_still_for_a_while_holds_nobody_up(site: Site, how: str) -> None:
    first, second = await site.start(holding=True, recovery=3600), await site.start()
    key = await first.ask("create", workflow="holding", state={})
    await first.holding("N2")
    if how == "o15-stopped":
        site.stand_still(first)
        back: Any = None
    else:
        back = first.ask("block", seconds=2.0)
    keys = await second.ask("create_many", workflow="steps", states=[{}] * 30)
    outcomes = await second.ask("outcomes", keys=keys)
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 30}
    if back is None:
        first.signal(signal.SIGCONT)
    else:
        await back
    await first.ask("release")
    # its own step still counts, within its lease
    assert (await second.ask("outcome", key=key))["state"]["count"] == 3
    ran = Counter(execution.step_key for execution in site.ledger())
    assert len(ran) == 93
    assert set(ran.values()) == {1}
    await second.ask("check")
    await asyncio.gather(first.close(), second.close())


async def test_o12_a_rolling_restart_under_load_loses_and_doubles_nothing(site: Site) -> None:
    """Three processes are replaced one after the other while flows run, and the counts are exact."""
    serving = {"grace": 60, "workers": 8}
    old = await asyncio.gather(*(site.start(**serving) for _ in range(3)))
    front = await site.start(workers=0)
    keys: list[str] = []
    new: list[Process] = []
    for process in old:
        keys += await front.ask("create_many", workflow="steps", states=[{}] * 60)
        keys += await front.ask("create_many", workflow="fan", states=[{"items": list(range(10))}] * 5)
        new.append(await site.start(**serving))
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    keys += await front.ask("create_many", workflow="steps", states=[{}] * 60)
    outcomes = await front.ask("outcomes", keys=keys)
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 4 * 60 + 3 * 5}
    ran = Counter(execution.step_key for execution in site.ledger())
    assert len(ran) == 4 * 60 * 3 + 3 * 5 * 12
    assert set(ran.values()) == {1}
    assert site.rows("SELECT COUNT(*) FROM dwarf_steps WHERE crashes <> 0 OR status <> 'completed'") == [(0,)]
    assert {execution.process for execution in site.ledger()} & {process.id for process in new}
    await front.ask("check")
    await asyncio.gather(front.close(), *(process.close() for process in new))
    assert registered(site) == 0


async def test_a_new_task_is_rolled_out_and_back_over_three_processes(site: Site) -> None:
    """Processes with and without it are replaced one after the other; its steps wait while nobody has it."""
    *old, new = await asyncio.gather(*(site.start(fresh=fresh, grace=60) for fresh in (False, False, True)))
    keys = await new.ask("create_many", workflow="fresh", states=[{}] * 12)
    await new.ask("outcomes", keys=keys)  # until all ask

    async def answered(those: list[str], processes: list[Process]) -> None:
        for number, key in enumerate(those):  # wherever the answer comes in
            await processes[number % len(processes)].ask("resume", key=key, answer=number)

    async def completed(those: list[str], process: Process) -> None:
        outcomes = await process.ask("outcomes", keys=those)
        assert Counter(outcome["status"] for outcome in outcomes) == {"completed": len(those)}, outcomes

    await answered(keys[:4], [*old, new])
    await completed(keys[:4], old[0])
    new.signal(signal.SIGTERM)  # and back: only old ones are there
    assert await new.ended() == 0
    await answered(keys[4:8], old)
    others = await old[1].ask("create_many", workflow="steps", states=[{}] * 30)
    await completed(others, old[0])
    waiting = "SELECT status, crashes FROM dwarf_steps WHERE task_url = 'Fresh' AND status <> 'completed'"
    await old[0].until(lambda: site.rows(waiting) == [("pending", 0)] * 4)
    again = [await site.start(grace=60)]
    await completed(keys[4:8], old[1])
    for process in old:  # forward
        again.append(await site.start(grace=60))
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    await answered(keys[8:], again)
    await completed(keys[8:], again[0])
    assert set(Counter(execution.step_key for execution in site.ledger()).values()) == {1}
    assert site.rows("SELECT COUNT(*) FROM dwarf_steps WHERE crashes <> 0 OR status <> 'completed'") == [(0,)]
    await again[0].ask("check")
    await asyncio.gather(*(process.close() for process in again))
