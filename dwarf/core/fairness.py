"""Who is next: weighted shares between fairness keys, and when a chain must let others go first."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

DEFAULT_PRIORITY = 100
DEFAULT_WEIGHT = 1.0


def draw(weights: Mapping[str, float], slots: int, chance: Callable[[], float]) -> list[str]:
    """The keys of ``slots`` places in a row, each drawn in proportion to its weight.

    ``chance`` gives numbers from 0 up to 1, evenly spread.
    A key without work is left out by the caller, who draws its places again among the others.
    """
    keys = list(weights)
    totals = list(accumulate(max(weight, 0.0) or 1.0 for weight in weights.values()))
    return [keys[min(bisect(totals, chance() * totals[-1]), len(keys) - 1)] for _ in range(slots)]


@dataclass(frozen=True, slots=True)
class Backlog:
    """The best band of work that waits for a place, and the weights of the keys in it."""

    band: int
    weights: Mapping[str, float]


@dataclass(slots=True)
class FairShare:
    """What each key has had while others waited: its starts, divided by its weight."""

    had: dict[str, float] = field(default_factory=dict)

    def start(self, key: str, weight: float) -> None:
        """A step of this key has started."""
        self.had[key] = self.had.get(key, 0.0) + 1.0 / (weight if weight > 0 else 1.0)

    def reset(self) -> None:
        """Nobody waits any more: what was had is forgotten."""
        self.had.clear()

    def must_yield(self, priority: int, key: str, weight: float, pressure: Backlog | None) -> bool:
        """Whether the next step of a running flow has to wait its turn instead of being handed over.

        It has to where a better band waits, and where its key has had more than its share while other keys of the
        band wait. Within one key a flow in progress goes on before a new one begins.
        """
        if pressure is None or priority < pressure.band:
            return False
        if priority > pressure.band:
            return True
        others = [self.had.get(other, 0.0) for other in pressure.weights if other != key]
        return bool(others) and self.had.get(key, 0.0) > min(others) + 1.0 / (weight if weight > 0 else 1.0)
