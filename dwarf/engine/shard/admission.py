"""Which tasks can start immediately in this process, by the thread and executor pools of its host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from threading import Lock

from dwarf.core.plan import APART, need_of, parts_of
from dwarf.workflow.host import BaseHost

MOST_UNKNOWN = 1000  # unknown needs that are remembered between two claims


class Admission:
    """Which tasks can start immediately.

    A task that takes a slot of one of the host's pools, such as a thread, is admitted only while a slot is free: its
    lease must not run while it queues. Slots promised to steps that are about to start are counted until they start.
    For every other task the host is asked whether it accepts the task now; a host that does not know a task yet may
    leave it to other replicas or decline it for now. Steps are grouped by their need: the task, and the executor of
    their node.
    """

    def __init__(self, host: BaseHost, on_free: Callable[[], None]) -> None:
        self._on_free = on_free
        self._host = host
        self._pool_of = host.pool_of
        self._free_in = host.free_in
        self._admits = host.admits
        self._former = host.former
        self.knows = host.knows
        self._counting = Lock()  # promises are also made on database threads
        self._promised: dict[str, list[Hashable]] = {}  # by need: one pool for each promised start
        self._totals: Counter[Hashable] = Counter()
        self._refused: set[Hashable] = set()  # pools that had no free slot when a task was found
        self._declined = False
        self._unknown: dict[str, None] = {}

    def has(self, need: str) -> bool:
        """Whether the host knows the task and has the executor."""
        return self.lacks(need) == ""

    def lacks(self, need: str) -> str:
        """What the host lacks: the need itself, or the task with its default executor; "" if it lacks nothing."""
        url, executor = parts_of(need)
        if not self.knows(url):
            return need
        executor = executor or self._host.executor_of(url)
        known = self._host.executors_for(url) if executor else None
        return need_of(url, executor) if known is not None and executor not in known else ""

    def take(self, need: str) -> bool:
        """Promise a start to a step. False if its pool has no free slot or the host declines the task."""
        pool = self._pool(need)
        if pool is None:
            return self._welcome(need)
        if self._free_in(pool) <= self._totals[pool]:
            self._refused.add(pool)
            return False
        self.promise(need)
        return True

    def _pool(self, need: str) -> Hashable | None:
        # The common case first: this runs for every due step and every successor.
        if APART not in need:
            return self._pool_of(need)
        return self._host.pool_of_executor(*parts_of(need))

    def _welcome(self, need: str) -> bool:
        if APART not in need and self.knows(need) and self._admits(need):
            return True
        url, executor = parts_of(need)
        if self.lacks(need):
            if len(self._unknown) < MOST_UNKNOWN:
                self._unknown[need] = None
        elif executor and self._admits(url):
            return True
        self._declined = True
        return False

    def met_unknown(self) -> list[str]:
        """The needs found since the last call that the host cannot meet."""
        met, self._unknown = self._unknown, {}
        return list(met)

    def by_name(self, need: str) -> bool:
        """Whether this may be the unscoped name, from an earlier release, of a task that the host has."""
        url, _ = parts_of(need)
        return not self.knows(url) and self._former(url) is not None

    def promise(self, need: str) -> None:
        """Count a step that is about to start, if it takes a slot of a pool."""
        pool = self._pool(need)
        if pool is not None:
            with self._counting:
                self._promised.setdefault(need, []).append(pool)
                self._totals[pool] += 1

    def begun(self, need: str) -> None:
        """A promised step starts: its promise is consumed."""
        if self._promised:
            with self._counting:
                pools = self._promised.get(need)
                if pools:
                    self._totals[pools.pop()] -= 1
                if not pools:
                    self._promised.pop(need, None)

    def given_up(self, needs: Iterable[str]) -> None:
        """Withdraw promises of steps that will not start; wake the dispatchers if a refused task can start now."""
        for need in needs:
            self.begun(need)
        if self.overlooked():
            self._on_free()

    def was_refused(self) -> bool:
        """Whether a task was refused a start, by a full pool or by the host, since the last call."""
        refused = bool(self._refused) or self._declined
        self._refused.clear()
        self._declined = False
        return refused

    def overlooked(self) -> bool:
        """Whether a task was refused a slot of a pool that has a free slot by now."""
        if not self._refused:
            return False
        return any(self._free_in(pool) > self._totals[pool] for pool in self._refused.copy()) and self.was_refused()

    def survey(self) -> Callable[[str], bool]:
        """Return a predicate that tells for each due step whether it must be left for later."""
        pool_of = self._pool
        free: dict[Hashable, int] = {}

        def busy(need: str) -> bool:
            pool = pool_of(need)
            if pool is None:
                return not self._welcome(need)
            left = free.get(pool)
            if left is None:
                left = self._free_in(pool) - self._totals[pool]
            # only counted, and not promised: a step that is due may still be leased by another replica
            free[pool] = left - 1
            if left > 0:
                return False
            self._refused.add(pool)
            return True

        return busy
