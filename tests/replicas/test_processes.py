"""Processes that share one database server; one of them dies, or stands still."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import pytest

from tests.crash.answered import KILLED_AT, answers_survive
from tests.crash.ticks import ticks_survive
from tests.replicas.conftest import ServerSite

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]  # up to five processes, on two cores

SOON = {"time_budget": 60, "recovery": 0.1}  # the server tells that an owner is gone: no lease need run out


@pytest.mark.parametrize("count", [2, 4, pytest.param(8, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_every_step_is_run_once(site: ServerSite, count: int) -> None:
    processes = await asyncio.gather(*(site.start(workers=4) for _ in range(count)))
    chains, fans = [{}] * 40, [{"items": list(range(12))}] * 6
    keys = await asyncio.gather(
        *(process.ask("create_many", workflow="steps", states=chains) for process in processes),
        *(process.ask("create_many", workflow="fan", states=fans) for process in processes),
    )
    # each waits for what the next one has created
    turned = [*keys[1:count], keys[0], *keys[count + 1 :], keys[count]]
    outcomes = await asyncio.gather(
        *(processes[place % count].ask("outcomes", keys=some) for place, some in enumerate(turned))
    )
    assert Counter(outcome["status"] for some in outcomes for outcome in some) == {"completed": 46 * count}
    for some in outcomes[:count]:
        assert all(outcome["state"]["count"] == 3 for outcome in some)
    for some in outcomes[count:]:
        assert all(outcome["state"]["out"] == list(range(12)) for outcome in some)
        assert all(outcome["state"]["worked"] == 12 for outcome in some)
    ran = Counter(execution.step_key for execution in site.ledger())
    assert len(ran) == count * (40 * 3 + 6 * 14)
    assert set(ran.values()) == {1}
    assert {execution.process for execution in site.ledger()} == {process.id for process in processes}
    assert site.rows("SELECT COUNT(*) FROM dwarf_steps WHERE lease_seq <> 1 OR crashes <> 0") == [(0,)]
    await processes[0].ask("check")
    await asyncio.gather(*(process.close() for process in processes))


async def test_what_a_dead_process_ran_is_run_again(site: ServerSite) -> None:
    first = await site.start(holding=True, **SOON)
    keys = await first.ask("create_many", workflow="holding", states=[{}] * 10)
    held = "SELECT COUNT(*) FROM dwarf_steps WHERE task_url = 'Hold' AND status = 'running'"
    await first.until(lambda: site.rows(held)[0][0] == 10 and site.executions().get("N2") == 10)
    await first.kill()
    second = await site.start(**SOON)
    outcomes = await second.ask("outcomes", keys=keys)
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 10}
    assert all(outcome["state"]["count"] == 3 for outcome in outcomes)
    assert site.executions() == {"N1": 10, "N2": 20, "N3": 10}
    assert site.rows("SELECT DISTINCT lease_seq, crashes FROM dwarf_steps WHERE task_url = 'Hold'") == [(2, 1)]
    await second.ask("check")
    await second.close()


async def test_a_process_killed_in_full_flight_loses_and_doubles_nothing(site: ServerSite) -> None:
    first, second = await asyncio.gather(site.start(workers=8, **SOON), site.start(workers=8, **SOON))
    keys = await first.ask("create_many", workflow="steps", states=[{}] * 300)
    fans = await second.ask("create_many", workflow="fan", states=[{"items": list(range(20))}] * 20)
    await second.until(lambda: len(site.ledger()) > 200)
    await first.kill()
    outcomes = await second.ask("outcomes", keys=[*keys, *fans])
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 320}
    assert all(outcome["state"]["count"] == 3 for outcome in outcomes[:300])
    assert all(outcome["state"]["out"] == list(range(20)) for outcome in outcomes[300:])
    # a step can run twice, by another process; its effect is in the state once, and is that of one execution
    executions = site.ledger()
    by_step = Counter(execution.step_key for execution in executions)
    assert len(by_step) == 300 * 3 + 20 * 22
    again = {key for key, count in by_step.items() if count > 1}
    assert all(by_step[key] == 2 for key in again)
    assert {e.process for e in executions if e.step_key in again} <= {first.id, second.id}
    nonces = {execution.nonce for execution in executions}
    assert all(set(outcome["state"]["nonces"]) <= nonces for outcome in outcomes[:300])
    await second.ask("check")
    await second.close()


async def test_the_outcome_of_a_process_that_stood_still_is_ignored(site: ServerSite) -> None:
    first = await site.start(holding=True, recovery=3600, time_budget=3, lease_margin=0.1, lease=1)
    engine_id = await first.ask("engine_id")
    key = await first.ask("create", workflow="holding", state={})
    await first.holding("N2")
    first.signal(signal.SIGSTOP)
    second = await site.start(time_budget=3, lease_margin=0.1, recovery=0.05, lease=1)
    outcome = await second.ask("outcome", key=key)
    assert outcome["status"] == "completed"
    await second.ask("alone")  # the step was taken over by its own lease, which may end before that of its replica
    first.signal(signal.SIGCONT)
    await first.ask("rejoined", engine_id=engine_id)
    assert (await first.ask("outcome", key=key)) == outcome
    assert site.executions() == {"N1": 1, "N2": 2, "N3": 1}
    await first.ask("check")
    await asyncio.gather(first.close(), second.close())


async def test_processes_that_open_together_migrate_once(site: ServerSite) -> None:
    processes = await asyncio.gather(*(site.start() for _ in range(4)))
    keys = await asyncio.gather(*(process.ask("create", workflow="steps", state={}) for process in processes))
    outcomes = await processes[0].ask("outcomes", keys=list(keys))
    assert [outcome["status"] for outcome in outcomes] == ["completed"] * 4
    assert site.rows("SELECT version FROM dwarf_migrations ORDER BY version") == [(1,), (2,)]
    assert site.rows("SELECT COUNT(*) FROM dwarf_facts WHERE name = 'database'") == [(1,)]
    engine_ids = await asyncio.gather(*(process.ask("engine_id") for process in processes))
    assert len(set(engine_ids)) == 4
    await asyncio.gather(*(process.close() for process in processes))


async def test_no_tick_of_a_schedule_is_lost_or_fires_twice(site: ServerSite) -> None:
    await ticks_survive(site)


@pytest.mark.parametrize("failpoint", KILLED_AT)
async def test_an_answer_outlives_the_process_that_took_it(site: ServerSite, failpoint: str) -> None:
    await answers_survive(site, failpoint)
