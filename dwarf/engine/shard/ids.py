"""Row ids and tokens. Ids come from blocks that are reserved in the database, so a decision needs no round trip.

A decision takes its ids synchronously, inside pure code that cannot wait for a database. So it may run out of ids: it
has no effects, more are reserved, and it is made again (``IdAllocator.supply``).
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from dwarf.errors import StorageError
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.create import reserve, reserve_beyond

P = ParamSpec("P")
T = TypeVar("T")

FIRST_BLOCK = 64
LARGEST_BLOCK = 8192
MORE_EACH_TIME = 8  # growth of the reservation when a decision runs out of ids again
_TOKENS = 256  # tokens drawn from the operating system at once

_tokens: deque[str] = deque()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tokens.clear)  # a parent and its child must not draw the same tokens


class IdsExhausted(Exception):
    """No id is at hand. Reserve more and decide again: decisions have no side effects."""


class IdsForgotten(StorageError):
    """The reserved ids are in use: the database has forgotten the reservation. New ids have been reserved."""


class IdSource:
    """The ids of one kind on one shard. ``take`` may be called from any thread."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._ids: deque[int] = deque()
        self._block = FIRST_BLOCK
        self._spare = FIRST_BLOCK // 2  # more ids are wanted when fewer are at hand
        self.greatest = 0  # the greatest id reserved so far

    def take(self) -> int:
        """The next id. IdsExhausted if the block is used up."""
        try:
            return self._ids.popleft()
        except IndexError:
            raise IdsExhausted from None

    def take_many(self, count: int) -> list[int]:
        """``count`` ids, ascending within a block. IdsExhausted if fewer are left; then none is taken."""
        taken: list[int] = []
        try:
            for _ in range(count):
                taken.append(self._ids.popleft())
        except IndexError:
            self._ids.extendleft(reversed(taken))
            raise IdsExhausted from None
        return taken

    @property
    def is_low(self) -> bool:
        """Whether more are wanted soon."""
        return len(self._ids) < self._spare

    def wanted(self, count: int = 0) -> int:
        """How many ids to reserve so that ``count`` and a reserve are at hand; 0 if there are enough."""
        if len(self._ids) >= count and not self.is_low:
            return 0
        return max(self._block, count)

    def add(self, first: int, count: int) -> bool:
        """Add a reserved block. The next one is larger, since this one was used up.

        False if such ids were reserved before: the database has forgotten the reservation, and the block is not used.
        """
        if first <= self.greatest:
            return False
        self.greatest = first + count - 1
        self._ids.extend(range(first, first + count))
        self._block = min(self._block * 2, LARGEST_BLOCK)
        self._spare = self._block // 2
        return True

    def drop(self) -> None:
        """Discard the ids at hand."""
        self._ids.clear()


class IdAllocator:
    """The source of all ids of one shard in this process: of flows, steps and displays."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.flows = IdSource("flow")
        self.steps = IdSource("step")  # also numbers what tasks display
        self.renewals = 0  # how often the ids at hand were discarded

    async def reserve(self, count: int) -> None:
        """Ensure ``count`` ids of each kind."""
        for source in (self.flows, self.steps):
            await self._reserve(source, count)

    async def take(self, source: IdSource, count: int) -> list[int]:
        """``count`` ids of one kind, whatever the number."""
        while True:
            try:
                return source.take_many(count)
            except IdsExhausted:
                await self._reserve(source, count)

    async def supply(self, make: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """The result of ``make``, whose only effect is to take ids: when ids run out, it is called again."""
        wanted = 2 * FIRST_BLOCK
        while True:
            try:
                return make(*arguments, **named)
            except IdsExhausted:  # concurrent decisions may use ids up while this one waits
                await self.reserve(wanted)
                wanted *= MORE_EACH_TIME

    def short(self) -> list[tuple[IdSource, int]]:
        """The kinds that need more ids soon, each with the number: a transaction can reserve them along the way."""
        return [(source, source.wanted()) for source in (self.flows, self.steps) if source.is_low]

    async def renew(self) -> None:
        """Discard the ids at hand: the database may have forgotten that they are reserved, and give them again."""
        self.renewals += 1
        for source in (self.flows, self.steps):
            source.drop()
            await self._reserve_beyond(source, source.wanted(1))

    async def _reserve(self, source: IdSource, count: int) -> None:
        wanted = source.wanted(count)
        if wanted:
            first = await self._database.write(lambda: reserve(source.kind, wanted))
            if not source.add(first, wanted):
                await self._reserve_beyond(source, wanted)

    async def _reserve_beyond(self, source: IdSource, wanted: int) -> None:
        first = await self._database.write(lambda: reserve_beyond(source.kind, wanted, source.greatest))
        source.add(first, wanted)


def new_token() -> str:
    """The secret part of a key: 64 random bits as 16 hexadecimal digits."""
    while True:
        try:
            return _tokens.popleft()
        except IndexError:
            drawn = secrets.token_hex(8 * _TOKENS)
            _tokens.extend(drawn[start : start + 16] for start in range(0, len(drawn), 16))
