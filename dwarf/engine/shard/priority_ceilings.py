"""The order of waiting steps: strict priorities over several shards, and fair shares among the flows of each."""

from __future__ import annotations

import time
from collections.abc import Callable

from dwarf.core.fairness import Backlog, FairShare
from dwarf.core.records import FlowRecord

FRESH_S = 1.0  # a report older than this holds back no other shard: that shard may be away
ANY_BAND = 2**31 - 1


class PriorityCeilings:
    """The best waiting priority of each shard, as last reported. Used on the engine's loop only."""

    def __init__(self, shards: int, on_way_free: Callable[[], None]) -> None:
        self._several = shards > 1
        self._on_way_free = on_way_free
        self.waiting: dict[int, tuple[int, float]] = {}  # by the shard: the band, and when that was told

    def report(self, shard: int, band: int | None) -> None:
        """Set the best waiting priority of a shard; None if nothing waits, or if the backlog cannot be read."""
        if not self._several:
            return
        before = self.waiting.pop(shard, None)
        if band is not None:
            self.waiting[shard] = (band, time.monotonic())
        if before is not None and (band is None or band > before[0]):
            self._on_way_free()

    def ceiling(self, shard: int) -> int:
        """The worst priority that this shard may start now: the best that waits on the others."""
        if not self.waiting:
            return ANY_BAND
        oldest = time.monotonic() - FRESH_S
        others = (told for other, told in self.waiting.items() if other != shard)
        return min((band for band, at in others if at >= oldest), default=ANY_BAND)


class Precedence:
    """The backlog of one shard, as last seen, and whether a running flow must let it go first."""

    def __init__(self, ceilings: PriorityCeilings, shard: int) -> None:
        self.backlogged = True  # due steps may be waiting for a slot
        self._ceilings = ceilings
        self._shard = shard
        self._backlog: Backlog | None = None  # the backlog as last read
        self._fair_share = FairShare()

    @property
    def ceiling(self) -> int:
        """The worst priority that may start now: the best that waits on the other shards."""
        return self._ceilings.ceiling(self._shard)

    def gate(self) -> Callable[[FlowRecord], bool]:
        """Whether a flow may continue with its next step without a claim. Thread-safe; uses what was last read."""
        if self._backlog is None and not self._ceilings.waiting:
            return _nobody_waits
        ceiling, pressure, shares = self.ceiling, self._backlog, self._fair_share

        def may_go_on(flow: FlowRecord) -> bool:
            yields = shares.must_yield(flow.priority, flow.fairness_key, flow.fairness_weight, pressure)
            return flow.priority <= ceiling and not yields

        return may_go_on

    def begun(self, flow: FlowRecord) -> None:
        """Charge the start of a step to its flow's fairness key."""
        if self._backlog is not None:
            self._fair_share.start(flow.fairness_key, flow.fairness_weight)

    def saw(self, pressure: Backlog | None) -> None:
        """Set the backlog as read; None if nothing waits."""
        self._backlog = pressure
        self.report(None if pressure is None else pressure.band)

    def saw_the_end(self) -> None:
        """Every due step has been started: the backlog is empty."""
        self.saw(None)
        self._fair_share.reset()

    def report(self, band: int | None) -> None:
        """Report the best priority that waits here to the other shards; None if nothing waits or it cannot be read."""
        self._ceilings.report(self._shard, band)


def _nobody_waits(flow: FlowRecord) -> bool:
    """The gate when nothing is known to wait, on this shard or on others."""
    del flow
    return True
