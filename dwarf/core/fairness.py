"""Fair shares: weighted draws between fairness keys, and when a running flow must let others go first."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

DEFAULT_PRIORITY = 100
DEFAULT_WEIGHT = 1.0


def draw(weights: Mapping[str, float], slots: int, chance: Callable[[], float]) -> list[str]:
    """Keys for ``slots`` slots, each drawn in proportion to its weight.

    ``chance`` returns numbers from 0 up to 1, evenly distributed. A drawn key may have no work: the caller then drops
    the key and draws its slots again.
    """
    keys = list(weights)
    totals = list(accumulate(max(weight, 0.0) or 1.0 for weight in weights.values()))
    return [keys[min(bisect(totals, chance() * totals[-1]), len(keys) - 1)] for _ in range(slots)]


@dataclass(frozen=True, slots=True)
class Backlog:
    """The best priority of the waiting steps, and the weights of the fairness keys that wait with it."""

    band: int
    weights: Mapping[str, float]


@dataclass(slots=True)
class FairShare:
    """The starts of each key while others waited, divided by its weight."""

    had: dict[str, float] = field(default_factory=dict)

    def start(self, key: str, weight: float) -> None:
        """Count the start of a step of this key."""
        self.had[key] = self.had.get(key, 0.0) + 1.0 / (weight if weight > 0 else 1.0)

    def reset(self) -> None:
        """Forget all starts, because no step is waiting any more."""
        self.had.clear()

    def must_yield(self, priority: int, key: str, weight: float, pressure: Backlog | None) -> bool:
        """Whether the next step of a running flow must wait for its turn instead of being handed over.

        It must if a better priority waits, or if its key has had more than its share while other keys of its priority
        wait. Within one key, running flows go on before new flows start.
        """
        if pressure is None or priority < pressure.band:
            return False
        if priority > pressure.band:
            return True
        others = [self.had.get(other, 0.0) for other in pressure.weights if other != key]
        return bool(others) and self.had.get(key, 0.0) > min(others) + 1.0 / (weight if weight > 0 else 1.0)
