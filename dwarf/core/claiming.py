"""Which of the steps that are due may start here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Limited(NamedTuple):
    """A step that has to keep to a limit: its name, and its rule as text."""

    step_id: int
    name: str
    rule: str


class Candidates:
    """Steps that are due, looked at in the order in which they are: each of them starts, has a limit, or is left.

    ``busy(url)`` says of a task that it cannot be started now. Steps that have lost their process ``quarantine_at``
    times run one at a time, so that the one which ends it does not take the others along; ``none_quarantined`` says
    that none of them runs here now.
    """

    def __init__(
        self, busy: Callable[[str], bool], *, quarantine_at: int, none_quarantined: bool, any_crashes: int
    ) -> None:
        self.free: dict[int, None] = {}  # may start
        self.shut: set[str] = set()  # tasks that cannot be started now
        self.crashes_below = any_crashes if none_quarantined else quarantine_at
        self._busy = busy
        self._quarantine_at = quarantine_at

    def look(self, due: Iterable[tuple[int, str, str, str, int]], names: dict[int, str]) -> list[Limited]:
        """Take those that may start. The answer: those that may, as far as their limits have room.

        Each is given by its id, its task, its limit and that one's rule, and its crashes; ``names`` are the tasks that
        some are known by here.
        """
        limited: list[Limited] = []
        for step_id, url, name, rule, crashes in due:
            if step_id in self.free or crashes >= self.crashes_below:
                continue
            if url in self.shut or self._busy(names.get(step_id) or url):
                self.shut.add(url)
                continue
            if crashes >= self._quarantine_at:
                self.crashes_below = self._quarantine_at  # the only one
            if name:
                limited.append(Limited(step_id, name, rule))
            else:
                self.free[step_id] = None
        return limited
