"""Two living processes share one file; then one of them dies, or stands still."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import pytest

from tests.crash.answered import KILLED_AT, answers_survive
from tests.crash.conftest import Site
from tests.crash.ticks import ticks_survive

RECOVERY_S = 0.25
SLACK_S = 60.0  # below the leases, which last 150 s


async def test_both_run_flows_and_each_step_once(site: Site) -> None:
    first, second = await asyncio.gather(site.start(workers=3), site.start(workers=3))
    states = [{}] * 60
    mine, yours = await asyncio.gather(
        *(process.ask("create_many", workflow="steps", states=states) for process in (first, second))
    )
    # each waits for what the other has created
    theirs, ours = await asyncio.gather(first.ask("outcomes", keys=yours), second.ask("outcomes", keys=mine))
    assert Counter(outcome["status"] for outcome in [*theirs, *ours]) == {"completed": 120}
    assert all(outcome["state"]["count"] == 3 for outcome in [*theirs, *ours])
    counts = Counter(execution.step_key for execution in site.ledger())
    assert len(counts) == 360
    assert set(counts.values()) == {1}
    assert {execution.process for execution in site.ledger()} == {first.id, second.id}
    assert site.rows("SELECT COUNT(*) FROM dwarf_steps WHERE lease_seq <> 1 OR crashes <> 0") == [(0,)]
    await first.ask("check")
    await asyncio.gather(first.close(), second.close())


async def test_flows_of_one_process_are_shared(site: Site) -> None:
    # the first one stands still in a branch, so that what is left is the other's
    first = await site.start(workers=1, holding=True)
    keys = await first.ask("create_many", workflow="fan", states=[{"items": list(range(20)), "held": 7}] * 5)
    await first.holding("Work")
    second = await site.start(workers=1)
    await second.until(lambda: site.executions()["Work"] == 100)
    await first.ask("release")
    outcomes = await second.ask("outcomes", keys=keys)
    assert all(outcome["state"]["out"] == list(range(20)) for outcome in outcomes)
    assert site.executions() == {"Split": 5, "Work": 100, "Join": 5}
    assert {execution.process for execution in site.ledger()} == {first.id, second.id}
    await second.ask("check")
    await asyncio.gather(first.close(), second.close())


async def test_leases_of_the_living_are_left_alone_and_of_the_dead_taken(site: Site) -> None:
    first = await site.start(holding=True, recovery=RECOVERY_S)
    keys = await first.ask("create_many", workflow="holding", states=[{}] * 10)
    held = "SELECT COUNT(*), MIN(engine_id), MAX(engine_id), MAX(lease_seq), MAX(crashes) FROM dwarf_steps"
    running = f"{held} WHERE task_url = 'Hold' AND status = 'running'"
    await first.until(lambda: site.rows(running)[0][0] == 10)
    second = await site.start(recovery=RECOVERY_S)
    owner, other = await first.ask("engine_id"), await second.ask("engine_id")
    assert owner != other
    await second.ask("seen", failpoint="recoveryDone", times=3)
    assert site.rows(running) == [(10, owner, owner, 1, 0)]
    await first.kill()
    async with asyncio.timeout(RECOVERY_S + SLACK_S):
        outcomes = await second.ask("outcomes", keys=keys)
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 10}
    assert all(outcome["state"]["count"] == 3 for outcome in outcomes)
    assert site.executions() == {"N1": 10, "N2": 20, "N3": 10}
    await second.ask("check")
    await second.close()


async def test_new_process_does_not_take_the_slot_of_a_living_one(site: Site) -> None:
    first = await site.start(holding=True)
    key = await first.ask("create", workflow="holding", state={})
    await first.holding("N2")
    others = await asyncio.gather(*(site.start() for _ in range(2)))
    slots = [await process.ask("engine_id") for process in (first, *others)]
    assert sorted(slots) == [1, 2, 3]
    assert site.executions() == {"N1": 1, "N2": 1}
    await first.ask("release")
    assert (await others[0].ask("outcome", key=key))["state"]["count"] == 3
    assert site.executions() == {"N1": 1, "N2": 1, "N3": 1}
    await asyncio.gather(*(process.close() for process in (first, *others)))


async def test_outcome_of_a_process_that_stood_still_is_ignored(site: Site) -> None:
    # a busy machine may take some seconds for a step of some milliseconds
    lease = {"time_budget": 3, "lease_margin": 0.1, "lease": 1}
    first = await site.start(holding=True, recovery=3600, **lease)
    key = await first.ask("create", workflow="holding", state={})
    await first.holding("N2")
    site.stand_still(first)
    second = await site.start(recovery=0.05, **lease)
    outcome = await second.ask("outcome", key=key)
    assert outcome["status"] == "completed"
    first.signal(signal.SIGCONT)
    # its task has run out of time meanwhile: it writes a failure, for which it has no lease any more
    await first.ask("seen", failpoint="afterCommit:fail", times=1)
    assert (await first.ask("outcome", key=key)) == outcome
    assert site.executions() == {"N1": 1, "N2": 2, "N3": 1}
    assert site.rows("SELECT node, status, attempt, lease_seq FROM dwarf_steps ORDER BY step_id") == [
        ("N1", "completed", 0, 1),
        ("N2", "completed", 0, 2),
        ("N3", "completed", 0, 1),
    ]
    await first.ask("check")
    await asyncio.gather(first.close(), second.close())


async def test_many_writers_in_two_processes(site: Site) -> None:
    first, second = await asyncio.gather(site.start(), site.start())
    calls = [
        process.ask("create", workflow="steps", state={"n": number})
        for number in range(50)
        for process in (first, second)
    ]
    keys = await asyncio.gather(*calls)
    outcomes = await first.ask("outcomes", keys=keys)
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 100}
    assert len(set(keys)) == 100
    assert set(Counter(execution.step_key for execution in site.ledger()).values()) == {1}
    await asyncio.gather(first.close(), second.close())


async def test_no_tick_of_a_schedule_is_lost_or_fires_twice(site: Site) -> None:
    await ticks_survive(site)


@pytest.mark.parametrize("failpoint", KILLED_AT)
async def test_an_answer_outlives_the_process_that_took_it(site: Site, failpoint: str) -> None:
    await answers_survive(site, failpoint)
