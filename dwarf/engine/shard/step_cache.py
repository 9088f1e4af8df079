"""Reusing the outcomes of earlier steps: what is looked up before a task runs.

Steps that begin in one pass of the loop share one query. Steps without a cache cause none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from dwarf.core.caching import basis_text, may_be_cached
from dwarf.core.keys import format_key
from dwarf.core.records import Keep, StepRecord, Taken
from dwarf.core.routing import read_route
from dwarf.core.step import Returned
from dwarf.engine.shard.ids import IdAllocator
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.errors import EngineClosed, StorageError
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.caching import Found, find_cached, free_stale
from dwarf.workflow.digests import CODE_LENGTH
from dwarf.workflow.host import BaseHost, overrides
from dwarf.workflow.signals import Control

__all__ = ["StepCache"]


class StepCache:
    """The cached outcomes of one shard."""

    def __init__(
        self, shard: int, host: BaseHost, database: Database, ids: IdAllocator, telemetry: ShardTelemetry
    ) -> None:
        self._shard = shard
        self._host = host
        self._database = database
        self._ids = ids
        self._observing = telemetry
        self._basis = host.cache_basis
        self._can_tell = overrides(host, "cache_basis") or overrides(host, "digest")
        self._asking: dict[str, tuple[int, list[asyncio.Future[Found | None]]]] = {}
        self._look: asyncio.Task[None] | None = None
        self._used = False

    async def find(self, step: StepRecord) -> tuple[Returned | None, Keep | None, bool]:
        """The cached outcome of a step, or else the key for its own outcome. Neither if the step is not cached.

        The third value tells that the step's task may read its identity, and must be watched for that.
        """
        if not self._can_tell or not may_be_cached(step):
            return None, None, False
        keep, watched = self._keep(step)
        if keep is None:
            return None, None, False
        self._used = True
        found = await self._ask(keep)
        if found is not None:
            goto, _ = read_route(found.route)
            if found.says or found.shows:
                display_ids = await self._ids.take(self._ids.steps, found.shows) if found.shows else ()
                step.taken = Taken(found.step_id, display_ids)
            step.cached_from = format_key(self._shard, found.step_id, found.token)
            return Returned(Control(goto, found.delay_ms), found.changes), None, False
        keep, watched = self._keep(step)  # the function may have been redefined since the lookup began
        return None, keep, watched

    def digest(self, url: str) -> str:
        """The digest of the function that would run as this task now; "" if the host cannot tell."""
        try:
            code = self._host.digest(url)
            return code if type(code) is str and len(code) <= CODE_LENGTH else str(code)[:CODE_LENGTH]
        except Exception:  # noqa: BLE001 - a host of the user's own; what it cannot tell is no reason to fail a step
            return ""

    async def free(self) -> None:
        """Drop expired entries."""
        if self._used:
            await self._database.write(free_stale)

    def _keep(self, step: StepRecord) -> tuple[Keep | None, bool]:
        node = step.flow.plan.nodes[step.node]
        assert node.cache is not None
        code, fields = self._digest(node.url)
        if not code:
            return None, False
        told = basis_text(node.cache, node.url, code, fields, step.state, gathered=node.gathered)
        key = self._database.payloads.hashed(told)  # inputs can be guessed, so their hashes are keyed
        ttl_ms = 0 if node.cache.ttl is None else max(round(node.cache.ttl * 1000), 1)
        return Keep(key, node.url, ttl_ms), fields is None and node.cache.key is None

    def _digest(self, url: str) -> tuple[str, Sequence[str] | None]:
        if self._basis is None:
            return self.digest(url), None
        try:
            code, fields = self._basis(url)
        except Exception:  # noqa: BLE001 - a host of the user's own; what it cannot tell is not cached
            return "", None
        return str(code), fields

    async def _ask(self, keep: Keep) -> Found | None:
        answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        known = self._asking.get(keep.key)
        if known is not None and known[0] == keep.ttl_ms:
            known[1].append(answer)
        elif known is None:
            self._asking[keep.key] = (keep.ttl_ms, [answer])
        else:
            return None  # asked with another age at this moment: running the task is correct, too
        if self._look is None:
            self._look = asyncio.create_task(self._look_up(), name="dwarf-cache")
        return await answer

    async def _look_up(self) -> None:
        """Run the gathered queries, including those that arrive meanwhile."""
        try:
            while self._asking:
                asked, self._asking = self._asking, {}
                wanted = {key: age for key, (age, _) in asked.items()}
                found: dict[str, Found] = {}
                try:
                    found = await self._database.read(partial(find_cached, wanted))
                except (StorageError, EngineClosed) as error:
                    # a cache that cannot be read makes no step fail: its task is run, as without one
                    self._observing.database_error(error)
                finally:
                    for key, (_, answers) in asked.items():
                        for answer in answers:
                            with suppress(asyncio.InvalidStateError):  # the waiter is gone
                                answer.set_result(found.get(key))
        finally:
            self._look = None
