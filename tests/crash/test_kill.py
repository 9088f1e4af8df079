"""A process is killed in the middle of a flow; the next one on the same file goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.crash.conftest import Process, Site

# Seconds from the start of an engine until what its predecessor ran is over. Below the leases, which last 150 s; an idle
# machine needs a tenth of a second.
AT_ONCE = 60.0


async def finished_at_once(process: Process, key: str) -> dict[str, Any]:
    """A flow's outcome, which must be there soon after the start."""
    async with asyncio.timeout(AT_ONCE):
        outcome: dict[str, Any] = await process.ask("outcome", key=key)
    return outcome


async def judged(site: Site, process: Process, key: str) -> dict[str, Any]:
    """Check a chain that went through a crash: one effect per step, and no retry."""
    outcome = await finished_at_once(process, key)
    assert outcome["status"] == "completed", outcome
    steps = await process.ask("history", key=key)
    state = outcome["state"]
    assert state["count"] == len(steps) == len(state["nonces"])
    assert {step["attempt"] for step in steps} == {0}
    by_nonce = {execution.nonce: execution.step_key for execution in site.ledger()}
    assert [by_nonce[nonce] for nonce in state["nonces"]] == [step["key"] for step in steps]
    await process.ask("check")
    await process.close()
    return outcome


@pytest.mark.parametrize(
    ("failpoint", "executions"),
    [
        ("beforeCommit:Threaded", {"N1": 1, "N2": 2, "N3": 1}),
        ("commit:Threaded", {"N1": 1, "N2": 2, "N3": 1}),
        ("afterTask:Threaded", {"N1": 1, "N2": 2, "N3": 1}),
        ("executeTask:Threaded", {"N1": 1, "N2": 1, "N3": 1}),
        ("afterCommit:Threaded", {"N1": 1, "N2": 1, "N3": 1}),
        ("commit:complete", {"N1": 1, "N2": 1, "N3": 2}),
    ],
)
async def test_killed_at_a_seam(site: Site, failpoint: str, executions: dict[str, int]) -> None:
    first = await site.start(freeze=failpoint)
    key = await first.ask("create", workflow="steps", state={})
    await first.frozen(failpoint)
    await first.kill()
    await judged(site, await site.start(), key)
    assert site.executions() == executions


@pytest.mark.parametrize(
    ("failpoint", "executions"),
    [("beforeCommit:Recall", {"N1": 1, "N2": 2, "N3": 1}), ("afterCommit:Recall", {"N1": 1, "N2": 1, "N3": 1})],
)
async def test_an_outcome_is_kept_for_others_with_its_step_or_not_at_all(
    site: Site, failpoint: str, executions: dict[str, int]
) -> None:
    first = await site.start(freeze=failpoint)
    key = await first.ask("create", workflow="cached", state={"n": 1})
    await first.frozen(failpoint)
    await first.kill()
    second = await site.start()
    assert (await finished_at_once(second, key))["state"] == {"n": 1, "count": 3}
    assert site.executions() == executions
    again = await second.ask("create", workflow="cached", state={"n": 1})
    assert (await finished_at_once(second, again))["state"] == {"n": 1, "count": 3}
    assert site.executions() == executions
    await second.ask("check")
    await second.close()
    assert site.rows("SELECT COUNT(*) FROM dwarf_cache") == [(3,)]


async def test_killed_while_a_task_runs(site: Site) -> None:
    first = await site.start(holding=True)
    key = await first.ask("create", workflow="holding", state={})
    await first.holding("N2")
    await first.kill()
    second = await site.start()
    await judged(site, second, key)
    assert site.executions() == {"N1": 1, "N2": 2, "N3": 1}
    assert {execution.attempt for execution in site.ledger()} == {0}
    assert site.rows("SELECT node, crashes FROM dwarf_steps ORDER BY step_id") == [("N1", 0), ("N2", 1), ("N3", 0)]


async def test_killed_between_claim_and_task(site: Site) -> None:
    idle = await site.start(workers=0)
    key = await idle.ask("create", workflow="steps", state={})
    await idle.close()
    first = await site.launch(freeze="afterClaim")
    await first.frozen("afterClaim")
    await first.kill()
    assert site.rows("SELECT node, status FROM dwarf_steps") == [("N1", "running")]
    await judged(site, await site.start(), key)
    assert site.executions() == {"N1": 1, "N2": 1, "N3": 1}


async def test_killed_as_soon_as_its_flow_has_ended(site: Site) -> None:
    first = await site.start(freeze="afterCommit:complete")
    key = await first.ask("create", workflow="steps", state={})
    await first.frozen("afterCommit:complete")
    await first.kill()
    await judged(site, await site.start(), key)
    assert site.executions() == {"N1": 1, "N2": 1, "N3": 1}


async def test_killed_while_a_child_flow_runs(site: Site) -> None:
    first = await site.start(holding=True)
    key = await first.ask("create", workflow="calling", state={})
    await first.holding("N2")
    await first.kill()
    outcome = await judged(site, await site.start(), key)
    assert outcome["state"]["child_count"] == 3
    assert site.rows("SELECT COUNT(*), SUM(status = 'completed') FROM dwarf_flows") == [(2, 2)]


@pytest.mark.parametrize("failpoint", ["beforeCommit:call", "commit:call", "afterCommit:call", "afterCommit:complete"])
async def test_killed_around_a_child_flow(site: Site, failpoint: str) -> None:
    first = await site.start(freeze=failpoint)
    key = await first.ask("create", workflow="calling", state={})
    await first.frozen(failpoint)
    await first.kill()
    outcome = await judged(site, await site.start(), key)
    assert outcome["state"]["child_count"] == 3
    assert site.rows("SELECT COUNT(*) FROM dwarf_flows WHERE parent_flow_id > 0") == [(1,)]


@pytest.mark.parametrize("failpoint", ["commit:Work", "afterCommit:Work"])
async def test_killed_with_the_last_branch_of_a_wide_cohort(site: Site, failpoint: str) -> None:
    width = 60
    first = await site.start(holding=True)
    key = await first.ask("create", workflow="fan", state={"items": list(range(width)), "held": width // 2})
    await first.holding("Work")
    while site.rows("SELECT cohort_arrivals FROM dwarf_steps WHERE node = 'Split'") != [(width - 1,)]:
        await first.ask("history", key=key)
    await first.ask("freeze", failpoint=failpoint)
    await first.ask("release")
    await first.frozen(failpoint)
    await first.kill()
    second = await site.start()
    outcome = await finished_at_once(second, key)
    assert outcome["state"]["out"] == list(range(width))
    assert outcome["state"]["worked"] == width
    assert site.executions() == {"Split": 1, "Work": width + (failpoint == "commit:Work"), "Join": 1}
    await second.ask("check")
    await second.close()


@pytest.mark.parametrize("failpoint", ["commit:create", "afterCommit:create"])
async def test_killed_in_a_create_with_an_idempotency_key(site: Site, failpoint: str) -> None:
    first = await site.start(freeze=failpoint)
    creation = first.ask("create", workflow="steps", state={}, idempotency_key="once")
    await first.frozen(failpoint)
    await first.kill()
    with pytest.raises(ConnectionError):
        await creation
    second = await site.start()
    key = await second.ask("create", workflow="steps", state={}, idempotency_key="once")
    await judged(site, second, key)
    assert site.rows("SELECT COUNT(*) FROM dwarf_flows") == [(1,)]
    assert site.executions() == {"N1": 1, "N2": 1, "N3": 1}


@pytest.mark.parametrize("failpoint", ["commit:operation", "afterCommit:operation"])
@pytest.mark.parametrize("operation", ["resume", "cancel"])
async def test_killed_in_an_operation(site: Site, failpoint: str, operation: str) -> None:
    first = await site.start(recovery=3600)  # its repairs are operations too, and would be frozen instead
    key = await first.ask("create", workflow="asking", state={})
    await first.ask("outcome", key=key)
    await first.ask("freeze", failpoint=failpoint)
    arguments = {"answer": 1} if operation == "resume" else {}
    doing = first.ask(operation, key=key, **arguments)
    await first.frozen(failpoint)
    await first.kill()
    with pytest.raises(ConnectionError):
        await doing
    second = await site.start()
    outcome = await finished_at_once(second, key)
    if failpoint == "commit:operation":  # as if it had not been asked for
        assert outcome["status"] == "interrupted"
        await second.ask(operation, key=key, **arguments)
        outcome = await finished_at_once(second, key)
    assert outcome["status"] == ("completed" if operation == "resume" else "cancelled")
    await second.ask("check")
    await second.close()


@pytest.mark.parametrize("failpoint", ["commit:complete", "afterCommit:complete"])
async def test_a_hook_is_once_for_the_end_of_a_flow_though_its_process_is_killed(site: Site, failpoint: str) -> None:
    first = await site.start(hooks={"completed": "steps"}, freeze=failpoint)
    key = await first.ask("create", workflow="steps", state={})
    await first.frozen(failpoint)
    await first.kill()
    second = await site.start()  # without the setting
    assert (await finished_at_once(second, key))["status"] == "completed"
    await second.until(
        lambda: site.rows("SELECT status, hook FROM dwarf_flows WHERE hook <> ''") == [("completed",) * 2]
    )
    await second.ask("check")
    await second.close()
    assert site.rows("SELECT COUNT(*) FROM dwarf_flows") == [(2,)]
