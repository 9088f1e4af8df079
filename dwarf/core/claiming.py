"""Which of the due steps may start in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Limited(NamedTuple):
    """A due step with a limit: the name of the limit, and its rule as text."""

    step_id: int
    name: str
    rule: str


class Candidates:
    """Due steps in their order: each may start, may start if its limit has room, or is left for later.

    ``busy(url)`` tells whether a task cannot start now. Steps that have crashed their process ``quarantine_at`` times
    run one at a time, so that a step that crashes it again interrupts no other such step; ``none_quarantined`` tells
    that none of them is running here.
    """

    def __init__(
        self, busy: Callable[[str], bool], *, quarantine_at: int, none_quarantined: bool, any_crashes: int
    ) -> None:
        self.free: dict[int, None] = {}  # may start
        self.shut: set[str] = set()  # tasks that cannot start now
        self.crashes_below = any_crashes if none_quarantined else quarantine_at
        self._busy = busy
        self._quarantine_at = quarantine_at

    def look(self, due: Iterable[tuple[int, str, str, str, int]], names: dict[int, str]) -> list[Limited]:
        """Sort due steps. Steps without a limit are added to ``free``; the result is the steps with a limit.

        Each due step is given as its id, task, limit name, limit rule and crashes. ``names`` are the names under which
        this process knows the tasks of some steps.
        """
        limited: list[Limited] = []
        for step_id, url, name, rule, crashes in due:
            if step_id in self.free or crashes >= self.crashes_below:
                continue
            if url in self.shut or self._busy(names.get(step_id) or url):
                self.shut.add(url)
                continue
            if crashes >= self._quarantine_at:
                self.crashes_below = self._quarantine_at  # it runs alone: no further one is taken
            if name:
                limited.append(Limited(step_id, name, rule))
            else:
                self.free[step_id] = None
        return limited
