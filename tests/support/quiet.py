"""Engines that look for nothing by themselves, so that what is counted is what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from dwarf.engine import Timing

QUIET = Timing(recovery=3600, reap=3600)
# Each is the pause of a loop of an engine: on a busy machine its turn may fall between any two lines of a test.
PAUSES = (
    "dispatcher.LONGEST_WAIT_S",
    "known_tasks.LOOK_S",
    "maintenance.DEADLINES_S",
    "maintenance.NEWS_S",
    "maintenance.ORPHANED_LEASES_S",
    "polling.ANYWAY_S",
    "polling.QUICKEST_LOOK_S",
    "polling.SLOWEST_LOOK_S",
    "scheduler.LONGEST_WAIT_S",
)


@contextmanager
def quietness() -> Iterator[None]:
    """Engines that are made in this block, with the timing QUIET, have no turns of their own for an hour."""
    with ExitStack() as stack:
        for pause in PAUSES:
            stack.enter_context(patch(f"dwarf.engine.shard.{pause}", 3600.0))
        yield
