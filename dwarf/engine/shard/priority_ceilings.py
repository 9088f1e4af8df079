"""Who goes first: strict priorities over several shards, and fair shares among the flows of each."""

from __future__ import annotations

import time
from collections.abc import Callable

from dwarf.core.fairness import Backlog, FairShare
from dwarf.core.records import FlowRecord

FRESH_S = 1.0  # a shard that has said nothing for so long holds nobody back: it may be away
ANY_BAND = 2**31 - 1


class PriorityCeilings:
    """The best priority that waits for a place on each shard, as far as known. It belongs to the engine's loop."""

    def __init__(self, shards: int, on_way_free: Callable[[], None]) -> None:
        self._several = shards > 1
        self._on_way_free = on_way_free
        self._waiting: dict[int, tuple[int, float]] = {}

    def report(self, shard: int, band: int | None) -> None:
        """What waits on a shard now; None where nothing does, or where that cannot be seen."""
        if not self._several:
            return
        before = self._waiting.pop(shard, None)
        if band is not None:
            self._waiting[shard] = (band, time.monotonic())
        if before is not None and (band is None or band > before[0]):
            self._on_way_free()

    def ceiling(self, shard: int) -> int:
        """The worst band that this shard may start now: the best of those that wait on others."""
        if not self._waiting:
            return ANY_BAND
        oldest = time.monotonic() - FRESH_S
        others = (told for other, told in self._waiting.items() if other != shard)
        return min((band for band, at in others if at >= oldest), default=ANY_BAND)


class Precedence:
    """What waits for a slot on one shard, as far as known, and whether a running flow has to let it go first."""

    def __init__(self, ceilings: PriorityCeilings, shard: int) -> None:
        self.backlogged = True  # due steps may wait for a slot
        self._ceilings = ceilings
        self._shard = shard
        self._backlog: Backlog | None = None  # what waits
        self._fair_share = FairShare()

    @property
    def ceiling(self) -> int:
        """The worst priority that may be started now: the best of those that wait on other shards."""
        return self._ceilings.ceiling(self._shard)

    def gate(self) -> Callable[[FlowRecord], bool]:
        """Whether a flow may go straight on to its next step, by what is known now: also for another thread."""
        ceiling, pressure, shares = self.ceiling, self._backlog, self._fair_share

        def may_go_on(flow: FlowRecord) -> bool:
            yields = shares.must_yield(flow.priority, flow.fairness_key, flow.fairness_weight, pressure)
            return flow.priority <= ceiling and not yields

        return may_go_on

    def begun(self, flow: FlowRecord) -> None:
        """A step of this flow starts."""
        if self._backlog is not None:
            self._fair_share.start(flow.fairness_key, flow.fairness_weight)

    def saw(self, pressure: Backlog | None) -> None:
        """This waits; None: nothing does."""
        self._backlog = pressure
        self.report(None if pressure is None else pressure.band)

    def saw_the_end(self) -> None:
        """Everything that was due has been started."""
        self.saw(None)
        self._fair_share.reset()

    def report(self, band: int | None) -> None:
        """Tell the other shards the best priority that waits here; None where nothing does, or it cannot be seen."""
        self._ceilings.report(self._shard, band)
