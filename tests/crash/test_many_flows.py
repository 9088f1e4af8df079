"""A process with many flows in every state is killed, and the next one finishes them all."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from tests.crash.conftest import Process, Site

EACH = 40
AT_ONCE = 60.0  # seconds, below the leases, which last 150 s
WIDTH = 5
SLEEP_S = 5.0


def states(site: Site) -> dict[str, int]:
    """How many steps wait for what."""
    ((sleeping, interrupted, parked, held, branching, pending),) = site.rows(
        f"""SELECT
            COALESCE(SUM(s.status = 'pending' AND s.not_before > s.created_at), 0),
            COALESCE(SUM(s.status = 'interrupted'), 0),
            COALESCE(SUM(s.parked), 0),
            COALESCE(SUM(s.status = 'running' AND s.task_url = 'Hold'), 0),
            COALESCE(SUM(s.task_url = 'Split' AND s.cohort_arrivals = {WIDTH - 1}), 0),
            COALESCE(SUM(s.status = 'pending' AND s.not_before = s.created_at), 0)
        FROM dwarf_steps s"""
    )
    return {
        "sleeping": sleeping,
        "interrupted": interrupted,
        "parked": parked,
        "held": held,
        "branching": branching,
        "pending": pending,
    }


async def prepare(site: Site, process: Process) -> dict[str, list[str]]:
    """Flows of every kind, each brought to where it waits. The process has places for all but 30 of them."""
    keys: dict[str, list[str]] = {}

    async def create(workflow: str, state: dict[str, Any], **expected: int) -> None:
        keys[workflow] = await process.ask("create_many", workflow=workflow, states=[state] * EACH)
        await process.until(lambda: expected.items() <= states(site).items())

    await create("sleeping", {"delay": SLEEP_S}, sleeping=EACH)
    await create("asking", {}, interrupted=EACH)
    await create("calling", {}, parked=EACH, held=EACH)
    await create("fan", {"items": list(range(WIDTH)), "held": 2}, branching=EACH, pending=0)
    await create("holding", {}, held=EACH + 10, pending=30)
    # a step is claimed before its task begins
    await process.until(lambda: running(site) <= {execution.step_key for execution in site.ledger()})
    return keys


def running(site: Site) -> set[str]:
    """The keys of the steps whose tasks run, or are about to."""
    rows = site.rows("SELECT step_id, token FROM dwarf_steps WHERE status = 'running' AND NOT parked")
    return {f"1-{step_id}-{token}" for step_id, token in rows}


def effects_count_once(site: Site, outcomes: list[dict[str, Any]]) -> None:
    """What is in the states comes from one execution of each step."""
    by_nonce = {execution.nonce: execution.step_key for execution in site.ledger()}
    counted: Counter[str] = Counter()
    for outcome in outcomes:
        state = outcome["state"]
        assert state["count"] == len(state["nonces"])
        counted.update(by_nonce[nonce] for nonce in state["nonces"])
    assert set(counted.values()) == {1}


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_two_hundred_flows_in_mixed_states(site: Site) -> None:
    first = await site.start(holding=True, workers=2 * EACH + 10)
    keys = await prepare(site, first)
    before = len(site.ledger())
    await first.kill()

    second = await site.start(workers=2 * EACH + 10)
    taken_over = keys["calling"] + keys["fan"] + keys["holding"]
    async with asyncio.timeout(AT_ONCE):
        outcomes = await second.ask("outcomes", keys=taken_over)
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 3 * EACH}
    fans = outcomes[EACH : 2 * EACH]
    assert all(outcome["state"]["out"] == list(range(WIDTH)) for outcome in fans)
    assert all(outcome["state"]["worked"] == WIDTH for outcome in fans)
    assert all(outcome["state"]["child_count"] == 3 for outcome in outcomes[:EACH])

    waiting = await second.ask("outcomes", keys=keys["asking"])
    assert Counter(outcome["status"] for outcome in waiting) == {"interrupted": EACH}
    await asyncio.gather(*(second.ask("resume", key=key, answer=key) for key in keys["asking"]))
    answered = await second.ask("outcomes", keys=keys["asking"])
    assert [outcome["state"]["answer"] for outcome in answered] == keys["asking"]
    slept = await second.ask("outcomes", keys=keys["sleeping"])
    assert Counter(outcome["status"] for outcome in slept) == {"completed": EACH}

    effects_count_once(site, [*outcomes[:EACH], *outcomes[2 * EACH :], *answered, *slept])
    again = Counter(execution.step_key for execution in site.ledger())
    crashed = {key for key, count in again.items() if count > 1}
    # only what ran when the process died has run twice: the holding tasks and the held branches
    assert set(again.values()) == {1, 2}
    assert len(crashed) == EACH + 10 + EACH
    assert len(site.ledger()) > before
    assert {execution.attempt for execution in site.ledger()} == {0}
    assert site.rows("SELECT COUNT(*) FROM dwarf_steps WHERE attempt > 0 OR status <> 'completed'") == [(0,)]
    await second.ask("check")
    await second.close()


@pytest.mark.timeout(900)
async def test_poison_task_is_given_up(site: Site) -> None:
    limit = 3
    idle = await site.start(workers=0)
    poison = await idle.ask("create", workflow="poison", state={})
    others = await idle.ask("create_many", workflow="steps", states=[{}] * 5)
    await idle.close()
    for life in range(1, limit + 1):
        process = await site.launch(max_crashes=limit)
        assert await process.ended() == -9
        assert site.rows("SELECT status, crashes FROM dwarf_steps WHERE task_url = 'Poison'") == [("running", life - 1)]
    last = await site.start(max_crashes=limit)
    outcome = await last.ask("outcome", key=poison)
    assert outcome["status"] == "failed"
    assert f"{limit} runs ended without an outcome" in outcome["error"]
    results = await last.ask("outcomes", keys=others)
    assert Counter(result["status"] for result in results) == {"completed": 5}
    assert Counter(execution.node for execution in site.ledger() if execution.step_key in poisoned(site)) == {
        "N1": limit
    }
    assert site.rows("SELECT DISTINCT attempt FROM dwarf_steps") == [(0,)]
    await last.ask("check")
    await last.close()


def poisoned(site: Site) -> set[str]:
    """The keys of the poison tasks' steps."""
    rows = site.rows("SELECT step_id, token FROM dwarf_steps WHERE task_url = 'Poison'")
    return {f"1-{step_id}-{token}" for step_id, token in rows}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_again_and_again(site: Site, seed: int) -> None:
    chance, each = random.Random(seed), 25
    process = await site.start(workers=12, max_crashes=None)
    keys: list[str] = []
    for workflow, state in (("steps", {}), ("calling", {"child": "steps"}), ("fan", {"items": list(range(8))})):
        keys += await process.ask("create_many", workflow=workflow, states=[state] * each)
    for _ in range(6):
        enough = len(site.ledger()) + chance.randint(10, 60)
        finishing = process.ask("outcomes", keys=keys)
        while len(site.ledger()) < enough and not finishing.done():
            await process.ask("engine_id")
        await process.kill()
        with suppress(ConnectionError):
            await finishing
        process = await site.start(workers=12, max_crashes=None)
    outcomes = await process.ask("outcomes", keys=keys)
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 3 * each}
    effects_count_once(site, outcomes[: 2 * each])
    assert all(outcome["state"]["out"] == list(range(8)) for outcome in outcomes[2 * each :])
    assert all(outcome["state"]["worked"] == 8 for outcome in outcomes[2 * each :])
    assert {execution.attempt for execution in site.ledger()} == {0}
    assert site.rows("SELECT COUNT(*) FROM dwarf_flows") == [(4 * each,)]
    await process.ask("check")
    await process.close()
