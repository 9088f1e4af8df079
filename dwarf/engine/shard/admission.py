"""Which tasks can start at once in this process, by the pools of its host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from threading import Lock

from dwarf.core.plan import APART, need_of, parts_of
from dwarf.workflow.host import BaseHost

MOST_UNKNOWN = 1000  # tasks of which is remembered that they were met


class Admission:
    """Which tasks can start at once.

    A task that takes a slot of one of the host's pools, such as a thread, is admitted only while one is free: its lease
    must not run while it queues. Slots promised to steps that are about to start are counted until they start. Of any
    other task the host says whether it takes it now: one that does not know a task yet may leave it to others, or to
    later. Steps are told apart by what they need: the task, and the executor that their node asks for.
    """

    def __init__(self, host: BaseHost, on_free: Callable[[], None]) -> None:
        self._on_free = on_free
        self._host = host
        self._pool_of = host.pool_of
        self._free_in = host.free_in
        self._admits = host.admits
        self._former = host.former
        self.knows = host.knows
        self._counting = Lock()  # a database's thread may promise, too
        self._promised: dict[str, list[Hashable]] = {}  # by need: a pool for each start
        self._totals: Counter[Hashable] = Counter()
        self._refused: set[Hashable] = set()  # pools without a free slot for a task that was met
        self._declined = False
        self._unknown: dict[str, None] = {}

    def has(self, need: str) -> bool:
        """Whether the host knows the task, and has the executor."""
        return self.lacks(need) == ""

    def lacks(self, need: str) -> str:
        """What the host does not have: the need as it stands, or with the executor of the task itself; or ""."""
        url, executor = parts_of(need)
        if not self.knows(url):
            return need
        executor = executor or self._host.executor_of(url)
        known = self._host.executors_for(url) if executor else None
        return need_of(url, executor) if known is not None and executor not in known else ""

    def take(self, need: str) -> bool:
        """Promise a start to a step; False where its pool has no slot, or the host does not take it."""
        pool = self._pool(need)
        if pool is None:
            return self._welcome(need)
        if self._free_in(pool) <= self._totals[pool]:
            self._refused.add(pool)
            return False
        self.promise(need)
        return True

    def _pool(self, need: str) -> Hashable | None:
        if APART not in need:  # as nearly all
            return self._pool_of(need)
        return self._host.pool_of_executor(*parts_of(need))

    def _welcome(self, need: str) -> bool:
        if APART not in need and self.knows(need) and self._admits(need):
            return True
        url, executor = parts_of(need)
        if lacking := self.lacks(need):
            if len(self._unknown) < MOST_UNKNOWN:
                self._unknown[lacking] = None
        elif executor and self._admits(url):
            return True
        self._declined = True
        return False

    def met_unknown(self) -> list[str]:
        """What steps that were met need and the host does not have, since this was last asked."""
        met, self._unknown = self._unknown, {}
        return list(met)

    def by_name(self, need: str) -> bool:
        """Whether this may be the bare name, from former times, of a task that the host has."""
        url, _ = parts_of(need)
        return not self.knows(url) and self._former(url) is not None

    def promise(self, need: str) -> None:
        """Count a step that is about to start, where it takes a slot of a pool."""
        pool = self._pool(need)
        if pool is not None:
            with self._counting:
                self._promised.setdefault(need, []).append(pool)
                self._totals[pool] += 1

    def begun(self, need: str) -> None:
        """A promised step starts."""
        if self._promised:
            with self._counting:
                pools = self._promised.get(need)
                if pools:
                    self._totals[pools.pop()] -= 1
                if not pools:
                    self._promised.pop(need, None)

    def given_up(self, needs: Iterable[str]) -> None:
        """Promised steps will not start. Whoever found no slot is told."""
        for need in needs:
            self.begun(need)
        if self.overlooked():
            self._on_free()

    def was_refused(self) -> bool:
        """Whether a task was left, for want of a slot or by the host, since this was last asked."""
        refused = bool(self._refused) or self._declined
        self._refused.clear()
        self._declined = False
        return refused

    def overlooked(self) -> bool:
        """Whether a task was left for want of a slot that has become free meanwhile."""
        if not self._refused:
            return False
        return any(self._free_in(pool) > self._totals[pool] for pool in self._refused.copy()) and self.was_refused()

    def survey(self) -> Callable[[str], bool]:
        """A function that says of one due step after the other whether it must be left for later."""
        pool_of = self._pool
        free: dict[Hashable, int] = {}

        def busy(need: str) -> bool:
            pool = pool_of(need)
            if pool is None:
                return not self._welcome(need)
            left = free.get(pool)
            if left is None:
                left = self._free_in(pool) - self._totals[pool]
            free[pool] = left - 1
            if left > 0:
                return False
            self._refused.add(pool)
            return True

        return busy
