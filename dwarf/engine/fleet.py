"""Operations on all flows of an engine: lists, counts, bulk deletion, and the state of its shards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from dwarf.engine.config import ShardInfo
from dwarf.engine.lifecycle import EngineBase
from dwarf.engine.query import FlowQuery, read_query, source_of
from dwarf.engine.shard.peers import receive
from dwarf.engine.shard.runtime import ShardRuntime
from dwarf.errors import InvalidRequest
from dwarf.storage.operations.caching import clear_cache
from dwarf.storage.operations.delete import ROOTS_AT_ONCE, mark
from dwarf.storage.queries.counts import count_flows, count_rows, read_time
from dwarf.storage.queries.listing import purge_candidates
from dwarf.workflow.durations import Seconds
from dwarf.workflow.host import BaseHost
from dwarf.workflow.status import Status
from dwarf.workflow.suggest import near_task
from dwarf.workflow.tasks import mark_of

MOST_PURGED = 4096
PATIENCE_S = 10.0  # for a shard to report its state


class FleetOperations(EngineBase):
    """The operations on many flows."""

    def flows(
        self,
        *,
        status: Status | str | None = None,
        workflow_url: str = "",
        workflow_name: str = "",
        thread: str = "",
        node: str = "",
        fairness_key: str = "",
        priority: int = 0,
        name: str = "",
        tags: Mapping[str, str | None] | None = None,
        older_than: Seconds | None = None,
        newer_than: Seconds | None = None,
        shard: int = 0,
        search: str = "",
        include_subgraphs: bool = False,
        limit: int | None = None,
    ) -> FlowQuery:
        """Flows, newest first: ``async for summary in engine.flows(status="failed")``, or page by page with ``pages``.

        All given filters must hold. ``thread`` is the key of any flow of the thread; ``tags`` must all be present, with
        these values, or with any value for None; child flows have the tags of their root. ``node`` is where a flow is
        now, or was last; ``older_than`` and ``newer_than`` refer to the last change of the status; ``search`` is a
        literal text, ignoring case, in the URL or the name of the workflow, the node, the error, the reason of the
        cancellation, the name, the values of the tags, or the key of the flow. Child flows are listed with
        ``include_subgraphs``, deleted flows never. The keys in the summaries grant access to the flows.

        InvalidRequest for a wrong filter or an unknown shard; ThreadNotFound when the list is read.
        """
        self._check_running()
        query = read_query(
            self._settings,
            {
                "status": status,
                "workflow_url": workflow_url,
                "workflow_name": workflow_name,
                "thread": thread,
                "node": node,
                "fairness_key": fairness_key,
                "priority": priority,
                "name": name,
                "tags": tags,
                "older_than": older_than,
                "newer_than": newer_than,
                "shard": shard,
                "search": search,
                "include_subgraphs": include_subgraphs,
                "limit": limit,
            },
        )
        return FlowQuery(self, query)

    async def count(self, **filters: Any) -> Mapping[Status, int]:
        """The number of matching flows by status, with every status. Takes the filters of ``flows`` except ``limit``.

        With ``search`` all flows must be read. InvalidRequest for a wrong filter, ThreadNotFound.
        """
        self._check_running()
        if filters.get("limit") is not None:
            raise InvalidRequest("a count has no limit")
        query = read_query(self._settings, filters)
        listing = FlowQuery(self, query)
        counts = dict.fromkeys(Status, 0)
        if query.filters.search:
            async for flow in listing:
                counts[flow.status] += 1
            return counts
        narrowed = await listing._resolved()
        for runtime in listing._runtimes():
            for status, count in (await runtime.database.read(partial(count_flows, narrowed))).items():
                counts[status] += count
        return counts

    async def purge(self, **filters: Any) -> int:
        """Delete matching flows, oldest first, at most 4,096 in one call. Returns their number; 0 when none is left.

        Takes the filters of ``flows``, at least one of which must be about the flows themselves, without
        ``include_subgraphs``: flows are deleted with their children. Running flows are left out; waiting flows are
        cancelled. Deleted flows are not listed any more, and are removed a little later. InvalidRequest,
        ThreadNotFound.
        """
        self._check_running()
        query = read_query(self._settings, filters)
        if query.filters.include_subgraphs:
            raise InvalidRequest("purge deletes flows with their children: leave include_subgraphs out")
        if not query.narrow:
            raise InvalidRequest("purge needs a filter, such as status or older_than: it does not delete everything")
        wanted = min(query.limit or MOST_PURGED, MOST_PURGED)
        listing = FlowQuery(self, query)
        narrowed = await listing._resolved()
        count = 0
        for runtime in listing._runtimes():
            candidates = partial(purge_candidates, narrowed, source_of(runtime), wanted - count)
            found = await runtime.database.read(candidates)
            for start in range(0, len(found), ROOTS_AT_ONCE):
                count += await runtime.committer.call(partial(mark, found[start : start + ROOTS_AT_ONCE]))
            if count >= wanted:
                break
        return count

    async def clear_cache(self, task: str | Callable[..., Any] | None = None) -> int:
        """Remove the cached outcomes of a task, or of all tasks, so that its steps run again. Returns their number.

        ``task`` is the function, its URL, or a name of one of the host's functions. InvalidRequest if nothing was
        removed and the host knows that it has no such task.
        """
        self._check_running()
        url = None if task is None else _url_of(self._host, task)
        count = 0
        for runtime in self._every():
            count += await runtime.database.write(partial(clear_cache, url))
        known = self._host.task_urls()
        if not count and url is not None and isinstance(task, str) and known is not None and not self._host.knows(url):
            raise InvalidRequest(f"there is no task {task!r}, and nothing of it is kept{near_task(task, known)}")
        return count

    async def shards(self) -> Sequence[ShardInfo]:
        """The state of each shard, by index. A shard that does not answer has an ``error`` and no counts.

        Counts include child flows, and deleted flows until they are removed.
        """
        self._check_running()
        cordoned = {shard.index for shard in self._settings.shards if shard.cordoned}
        # read at the same moment as the others: a replica that arrives meanwhile must not be missing in both
        away = [ShardInfo(shard, error=error, cordoned=shard in cordoned) for shard, error in self._away.items()]
        runtimes = self._runtimes.values()
        infos = await asyncio.gather(*(_shard_info(runtime, runtime.shard in cordoned) for runtime in runtimes))
        return sorted([*infos, *away], key=lambda info: info.index)

    async def deliver_signal(self, op: str, payload: bytes) -> None:
        """Receive a hint that another replica passed to its host's ``signal_peers``.

        Hints only reduce latency: a doubled, late or forged one makes this engine look at its database once more.
        InvalidRequest for one that cannot be parsed.
        """
        self._check_running()

        def on_notify(shard: int, work_due: bool, stopped: Collection[int]) -> None:
            if shard in self._runtimes:
                self._runtimes[shard].changes.on_notify(work_due, stopped)

        receive(op, payload, on_notify)


def _url_of(host: BaseHost, task: Any) -> str:
    if callable(task):
        return mark_of(task).url
    if not isinstance(task, str):
        raise InvalidRequest(f"a task is a function or a URL, not {type(task).__name__}")
    return host.resolve(task)


async def _shard_info(runtime: ShardRuntime, cordoned: bool) -> ShardInfo:
    database = runtime.database
    try:
        async with asyncio.timeout(PATIENCE_S):
            begun = time.perf_counter()
            await database.read(read_time)
            latency = (time.perf_counter() - begun) * 1000
            flows, steps = await database.read(count_rows)
            living = await runtime.membership.count()
            waiting = await runtime.known_tasks.waiting()
    except TimeoutError:
        return ShardInfo(runtime.shard, error=f"no answer within {PATIENCE_S:g} s", cordoned=cordoned)
    except Exception as error:  # noqa: BLE001 - the others are to be told of whatever is wrong with this one
        return ShardInfo(runtime.shard, error=str(error) or type(error).__name__, cordoned=cordoned)
    return ShardInfo(
        runtime.shard,
        latency_ms=latency,
        cordoned=cordoned,
        flows=flows,
        steps=steps,
        replicas=living,
        waiting=waiting,
    )
