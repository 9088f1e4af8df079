"""Removing flows: those whose time by the engine's retention has come, and those that were deleted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dwarf import seams
from dwarf.storage.deleting import ROOTS_AT_ONCE, removable, remove_trees, retire

if TYPE_CHECKING:
    from dwarf.engine.replica import Replica


async def reap(replica: Replica) -> None:
    """One pass over a shard, in many small transactions."""
    if seams.active is not None:
        await seams.active.arrive("beforeReap")
    for status, age_ms in replica.settings.retention.items():
        marked = ROOTS_AT_ONCE
        while marked == ROOTS_AT_ONCE:
            marked = await replica.committer.call(partial(retire, status, age_ms))
    count = 0
    while roots := await replica.database.read(removable):
        replica.waiters.gone(await replica.database.write(partial(remove_trees, roots)))
        replica.announce(set(roots))
        count += len(roots)
    await replica.cache.free()
    if count:
        replica.log.info("shard %s: %s flows were removed", replica.shard, count, shard=replica.shard)
    if seams.active is not None:
        await seams.active.arrive("reapDone")
