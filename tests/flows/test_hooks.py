"""Hooks: a flow for each event, in its transaction, whoever writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.errors import ConfigError
from dwarf.hosts import LocalHost
from tests.support.workflows import Running, install

EVENTS = ("interrupted", "failed", "completed", "cancelled")


class Told:
    """What the flows of a hook have been told, by event."""

    def __init__(self, host: LocalHost) -> None:
        self.states: list[dict[str, Any]] = []
        self._came = asyncio.Condition()
        install(host, Graph("tell").add_transition("Tell", END), Tell=self.tell)
        self.hooks = dict.fromkeys(EVENTS, "tell")

    async def tell(self, flow: Flow) -> None:
        async with self._came:
            self.states.append(flow.snapshot())
            self._came.notify_all()

    async def wait(self, count: int) -> Sequence[tuple[str, str]]:
        """Event and node of so many flows."""
        async with asyncio.timeout(60), self._came:
            await self._came.wait_for(lambda: len(self.states) >= count)
        return sorted((state["event"], state["node"]) for state in self.states)


def workflows(host: LocalHost) -> None:
    async def ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "really?"})

    async def fail(flow: Flow) -> None:
        raise ValueError("no good")

    install(host, Graph("good").add_chain("A", "B", END))
    install(host, Graph("asks").add_transition("Ask", END), Ask=ask)
    install(host, Graph("bad").add_chain("A", "Fail", END), Fail=fail)
    install(host, Graph("outer").add_transition("Call", END), Call=lambda flow: flow.subgraph("asks"))


async def test_each_event_has_a_flow_of_its_own(running: Running, host: LocalHost) -> None:
    workflows(host)
    told = Told(host)
    async with running(hooks=told.hooks) as engine:
        good = await engine.create("good", name="mine", tags={"team": "north"})
        await good.outcome(timeout=60)
        bad = await engine.create("bad")
        await bad.outcome(timeout=60)
        outer = await engine.create("outer", interrupt_before=["Call"])
        await outer.outcome(timeout=60)
        await outer.resume()
        assert (await outer.outcome(timeout=60)).interrupt_payload == {"title": "really?"}
        await outer.cancel("enough")
        events = [("cancelled", ""), ("completed", ""), ("failed", "Fail"), ("interrupted", "Ask")]
        assert await told.wait(4) == events
        by_event = {state["event"]: state for state in told.states}
        (failed,) = [step for step in await bad.history() if step.node == "Fail"]
        assert by_event["completed"] == {
            "event": "completed", "flow": good.key, "step": "", "workflow": "good", "node": "", "title": "", "error": "",
            "name": "mine", "tags": {"team": "north"}, "status": "completed",
        }  # fmt: skip
        assert (by_event["failed"]["error"], by_event["failed"]["step"]) == ("no good", failed.key)
        assert (by_event["interrupted"]["title"], by_event["interrupted"]["flow"]) == ("really?", outer.key)
        assert by_event["cancelled"]["flow"] == outer.key
        made = [flow async for flow in engine.flows(workflow_name="tell")]
        await asyncio.gather(*(engine.flow(flow.flow_key).outcome(timeout=60) for flow in made))
        assert len([flow async for flow in engine.flows(workflow_name="tell")]) == 4  # none about themselves


async def test_a_flow_that_is_deleted_while_it_waits_was_cancelled(running: Running, host: LocalHost) -> None:
    workflows(host)
    told = Told(host)
    async with running(hooks={"cancelled": "tell"}) as engine:
        flow = await engine.create("outer")
        await flow.outcome(timeout=60)
        await flow.delete()
        assert await told.wait(1) == [("cancelled", "")]
        assert told.states[0]["flow"] == flow.key
        for made in [one async for one in engine.flows(workflow_name="tell")]:
            await engine.flow(made.flow_key).outcome(timeout=60)
        assert len(told.states) == 1


async def test_hooks_are_kept_for_engines_without_the_setting_until_they_are_removed(
    running: Running, host: LocalHost
) -> None:
    workflows(host)
    told = Told(host)
    async with running(workers=0, hooks={"completed": "tell"}) as first:
        async with running() as engine:
            schedule = await engine.schedule("s", "good", every=3600)
            for flow in [await schedule.trigger(), await engine.create("good")]:
                assert (await flow.outcome(timeout=60)).status is Status.COMPLETED
            assert await told.wait(2) == [("completed", "")] * 2
            await engine.run("bad", timeout=60)  # there is no hook for it
        async with running(hooks={}) as engine:
            await engine.run("good", timeout=60)
            assert len([flow async for flow in engine.flows(workflow_name="tell")]) == 2
        assert first is not None


async def test_many_ends_at_once_have_a_flow_each(engine: Engine, running: Running, host: LocalHost) -> None:
    workflows(host)
    told = Told(host)
    async with running(hooks=told.hooks) as hooked:
        flows = await hooked.create_many("good", [{}] * 40)
        await asyncio.gather(*(flow.outcome(timeout=60) for flow in flows))
        await told.wait(40)
        assert sorted(state["flow"] for state in told.states) == sorted(flow.key for flow in flows)


@pytest.mark.parametrize("hooks", [{"ended": "tell"}, {"failed": 5}, "tell"])
def test_wrong_hooks_are_refused(hooks: Any) -> None:
    with pytest.raises(ConfigError, match="hook"):
        Engine(LocalHost(), "sqlite://", hooks=hooks)
