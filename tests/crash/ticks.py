"""Replicas that fire schedules are killed at the worst moments: no tick is lost, and none fires twice."""

from __future__ import annotations

from itertools import pairwise

from tests.crash.conftest import Site

EVERY_MS = 1000
TICKS = "SELECT scheduled_at FROM dwarf_flows WHERE workflow_name = 'steps' ORDER BY scheduled_at"
HELD = "SELECT created_at, status, updated_at FROM dwarf_flows WHERE workflow_name = 'holding' ORDER BY created_at"


async def ticks_survive(site: Site) -> None:
    """One is killed before the transaction of a tick, one behind it, and one while the flow of a tick runs."""
    first = await site.start(holding=True)
    await first.ask("schedule", name="beat", workflow="steps", every=EVERY_MS / 1000, catch_up=True, overlap="allow")
    await first.ask("schedule", name="held", workflow="holding", every=EVERY_MS / 1000)
    await first.holding("N2")
    await first.ask("freeze", failpoint="beforeCommit:operation")
    await first.frozen("beforeCommit:operation")
    await first.kill()
    assert len(site.rows(HELD)) == 1  # ticks are left out while the flow of an earlier one runs

    second = await site.start()
    await second.until(lambda: len(site.rows(HELD)) > 1)
    await second.ask("freeze", failpoint="afterCommit:operation")
    await second.frozen("afterCommit:operation")
    third = await site.start()
    await second.kill()
    fired = len(site.rows(TICKS))
    await third.until(lambda: len(site.rows(TICKS)) > fired + 1)
    for name in ("beat", "held"):
        await third.ask("pause", name=name)

    ticks = [tick for (tick,) in site.rows(TICKS)]
    assert {after - before for before, after in pairwise(ticks)} == {EVERY_MS}
    runs = site.rows(HELD)
    assert all(status == "completed" and ended <= begun for (_, status, ended), (begun, _, _) in pairwise(runs))
    # those that have fired are found again, those before them are made, and asking twice makes no more
    wanted = {"name": "beat", "start_ms": ticks[0] - 3 * EVERY_MS, "end_ms": ticks[-1] + 1}
    keys = await third.ask("backfill", **wanted)
    assert len(keys) == len(set(keys)) == len(ticks) + 3
    assert await third.ask("backfill", **wanted) == keys
    outcomes = await third.ask("outcomes", keys=keys)
    assert {(outcome["status"], outcome["state"]["count"]) for outcome in outcomes} == {("completed", 3)}
    await third.ask("check")
    await third.close()
