"""Limits on a task: which steps share one, and how many of them may start now."""

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
        """Read what ``str`` wrote."""
        concurrency, starts, period = (int(part) for part in text.split())
        return cls(concurrency, starts, period)


def limit_of(limit: Limit | None, url: str, state: State) -> tuple[str, str]:
    """What a step's limit is shared under, and its numbers as text; two empty texts where it has none.

    With a key, each value of that state field has a limit of its own; steps without the field share one.
    """
    if limit is None:
        return "", ""
    starts, period = limit._allowance or (0, 0)
    value = dumps(state.get(limit.key)) if limit.key else ""
    name = sha256(f"{url}\n{limit.key}\n{value}".encode()).hexdigest()
    return name, str(LimitRule(limit.concurrency or 0, starts, period))


def admitted(rule: LimitRule, running: int, recent: int, oldest: int | None, now: int) -> tuple[int, int | None]:
    """How many may start now, and when it is worth asking again for another reason than one of them ending.

    ``running`` steps are in flight, ``recent`` have started within the period, the ``oldest`` of them at that moment.
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
    """Which limited steps may start, the limits that are exhausted, and when the first of them has room again."""

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
        """Take as many of the steps that wait at a limit as there is room for, the first ones. See ``admitted``.

        The limit is exhausted then, even where it has room left: what is counted of it says nothing of those taken.
        """
        room, again = admitted(rule, running, recent, oldest, now)
        chosen = waiting[:room]
        self.step_ids += chosen
        self.full.append(name)
        if rule.starts and len(chosen) < len(waiting):
            moment = now + rule.period_ms if again is None else again
            self.again = moment if self.again is None else min(self.again, moment)
        return chosen
