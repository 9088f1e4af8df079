"""A service: an engine that creates flows, waits for them, and answers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from dwarf import (
    Answered,
    FlowFailed,
    FlowNotFound,
    FlowSummary,
    FlowUpdate,
    Graph,
    LogLine,
    Outcome,
    Status,
    Step,
    WaitTimeout,
)
from dwarf.engine import Engine, FlowHandle, Schedule, Shard, ShardInfo, Timing
from dwarf.hosts import HttpHost, LocalHost, RoutingHost

host = LocalHost(executors={"numbers": 2, "cluster": "dask:local"})


@host.task
def add(a: int, b: int) -> dict[str, int]:
    return {"sum": a + b}


@host.task(url="shop.pay", retry=3)
async def pay(amount: float) -> None: ...


assert_type(add(1, 2), dict[str, int])
host.add_task("sum", add)
routed = RoutingHost({"": host, "https://": HttpHost("https://tasks.example", token="secret", timeout=30)})


async def main(graph: Graph) -> None:
    shards = [Shard(1, "postgresql://host/a"), Shard(2, "postgresql://host/b", cordoned=True)]
    async with Engine(routed, shards=shards, timing=Timing(lease=20), retention={Status.COMPLETED: 3600}) as engine:
        assert_type(engine, Engine)
        flow = await engine.create(graph, {"a": 1}, tags={"team": "north"}, deadline=timedelta(hours=2))
        assert_type(flow, FlowHandle)
        assert_type(flow.key, str)
        assert_type(await flow, Outcome)
        try:
            outcome = await flow.outcome(timeout=5)
        except WaitTimeout:
            outcome = await flow.snapshot()
        assert_type(outcome.status, Status)
        assert_type(outcome.state, Mapping[str, Any])
        try:
            outcome.raise_for_status()
        except FlowFailed as error:
            assert_type(error.outcome, Outcome)
        await flow.resume(True, by="ada")
        assert_type(await flow.history(), Sequence[Step])
        assert_type(await flow.answers(), Sequence[Answered])
        assert_type(await flow.logs(node="Add"), Sequence[LogLine])
        async for update in flow.watch():
            assert_type(update, FlowUpdate)
        async for line in flow.follow_logs():
            assert_type(line.text, str)
        async for summary in engine.flows(status="failed", newer_than=timedelta(days=1)):
            assert_type(summary, FlowSummary)
        async for page, cursor in engine.flows().pages(size=50):
            assert_type(page, list[FlowSummary])
            assert_type(cursor, str)
        step = (await flow.history())[0]
        assert_type(await engine.fork(step, {"a": 2}), FlowHandle)
        assert_type(await flow.retry_failed(), FlowHandle)
        assert_type(await engine.create_many(graph, [{"a": 1}, {"a": 2}]), list[FlowHandle])
        assert_type(await engine.run("Add", {"a": 1}, timeout=5), Outcome)
        schedule = await engine.schedule("nightly", graph, cron="0 2 * * *", timezone="Europe/Berlin")
        assert_type(schedule, Schedule)
        assert_type(schedule.next_at, datetime | None)
        assert_type(
            await schedule.backfill(datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 2, 1, tzinfo=UTC)),
            list[FlowHandle],
        )
        assert_type((await engine.shards())[0], ShardInfo)
        assert_type(await engine.purge(status="completed", older_than=timedelta(days=30)), int)
        try:
            await engine.flow("1-2-abc").cancel("not needed")
        except FlowNotFound:
            pass
