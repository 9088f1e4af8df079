"""Limits of tasks: which steps share one, and how many of them may start now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from dwarf.core.records import State
from dwarf.workflow.graph import Limit
from dwarf.workflow.jsontext import dumps


@dataclass(frozen=True, slots=True)
class LimitRule:
    """The numbers of a limit: 0 for no bound. Periods are milliseconds."""

    concurrency: int
    starts: int
    period_ms: int

    def __str__(self) -> str:
        return f"{self.concurrency} {self.starts} {self.period_ms}"

    @classmethod
    def parse(cls, text: str) -> LimitRule:
        """Parse the result of ``str``."""
        concurrency, starts, period = (int(part) for part in text.split())
        return cls(concurrency, starts, period)


def limit_of(limit: Limit | None, url: str, state: State) -> tuple[str, str]:
    """The name under which steps share a limit, and its rule as text; two empty texts if the task has no limit.

    With a key, each value of that state field has its own limit; steps without the field share one.
    """
    if limit is None:
        return "", ""
    starts, period = limit._allowance or (0, 0)
    value = dumps(state.get(limit.key)) if limit.key else ""
    name = sha256(f"{url}\n{limit.key}\n{value}".encode()).hexdigest()
    return name, str(LimitRule(limit.concurrency or 0, starts, period))


def admitted(rule: LimitRule, running: int, recent: int, oldest: int | None, now: int) -> tuple[int, int | None]:
    """How many steps may start now, and when to ask again apart from the end of a running step.

    ``running`` steps are in flight; ``recent`` steps have started within the period, the first of them at ``oldest``.
    """
    room = rule.concurrency - running if rule.concurrency else 2**31
    again: int | None = None
    if rule.starts:
        left = rule.starts - recent
        if left < room:
            room = left
            again = None if oldest is None else oldest + rule.period_ms
        if again is not None and again <= now:
            again = now + 1
    return max(0, room), again


@dataclass(slots=True)
class Admitted:
    """The limited steps that may start, the exhausted limits, and the first moment at which one has room again."""

    step_ids: list[int] = field(default_factory=list)
    full: list[str] = field(default_factory=list)
    again: int | None = None

    def take(
        self,
        name: str,
        rule: LimitRule,
        waiting: Sequence[int],
        *,
        running: int,
        recent: int,
        oldest: int | None,
        now: int,
    ) -> Sequence[int]:
        """Take the first of the steps that wait at a limit, as many as have room. See ``admitted``.

        The limit then counts as exhausted even if it has room left: its counters do not include the steps just taken.
        """
        room, again = admitted(rule, running, recent, oldest, now)
        chosen = waiting[:room]
        self.step_ids += chosen
        self.full.append(name)
        if rule.starts and len(chosen) < len(waiting):
            moment = now + rule.period_ms if again is None else again
            self.again = moment if self.again is None else min(self.again, moment)
        return chosen
