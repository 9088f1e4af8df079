"""Strict priorities over several shards: each says what waits on it, and none goes before a better one elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

FRESH_S = 1.0  # a shard that has said nothing for so long holds nobody back: it may be away
ANY_BAND = 2**31 - 1


class Bands:
    """The best priority that waits for a place on each shard, as far as known. It belongs to the engine's loop."""

    def __init__(self, shards: int, on_way_free: Callable[[], None]) -> None:
        self._several = shards > 1
        self._on_way_free = on_way_free
        self._waiting: dict[int, tuple[int, float]] = {}

    def tell(self, shard: int, band: int | None) -> None:
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
