"""A process dies around an answer: one that is kept goes on, one that is not can be given again, the other one waits."""

from __future__ import annotations

from tests.crash.conftest import Site

KILLED_AT = ["beforeCommit:operation", "afterCommit:operation"]


async def answers_survive(site: Site, failpoint: str) -> None:
    """Two questions are open in one flow; the process is killed as it keeps the answer to one of them."""
    first = await site.start(recovery=3600.0)  # which would pass the failpoint, too
    key = await first.ask("create", workflow="both", state={})
    await first.ask("until", keys=[key], node="One", status="interrupted")
    await first.ask("until", keys=[key], node="Two", status="interrupted")
    asked = await first.ask("questions", key=key)
    await first.ask("freeze", failpoint=failpoint)
    given = first.ask("resume", key=key, answer="for one", step=asked["One"])
    await first.frozen(failpoint)
    await first.kill()
    assert isinstance(given.exception(), ConnectionError)

    second = await site.start()
    if failpoint.startswith("before"):
        assert await second.ask("questions", key=key) == asked
        await second.ask("resume", key=key, answer="for one", step=asked["One"])
    await second.ask("until", keys=[key], node="One", status="completed")
    assert await second.ask("questions", key=key) == {"Two": asked["Two"]}
    await second.ask("resume", key=key, answer="for two", step=asked["Two"])
    outcome = await second.ask("outcome", key=key)
    assert outcome["status"] == "completed"
    steps = {step["node"]: step["status"] for step in await second.ask("history", key=key)}
    assert steps == dict.fromkeys(("Begin", "One", "Two", "End"), "completed")
    told = site.rows("SELECT node, changes FROM dwarf_steps WHERE node IN ('One', 'Two') ORDER BY node")
    assert [("for one" in str(one), "for two" in str(one)) for _, one in told] == [(True, False), (False, True)]
    await second.ask("check")
    await second.close()
