"""Row ids and tokens. Ids come from blocks that are reserved in the database, so a decision needs no round trip."""

from __future__ import annotations

import os
import secrets
from collections import deque

from dwarf.errors import StorageError

FIRST_BLOCK = 64
LARGEST_BLOCK = 8192
_TOKENS = 256  # drawn from the system at once

_tokens: deque[str] = deque()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tokens.clear)  # two processes must not draw the same


class IdsExhausted(Exception):
    """No id is at hand. Reserve more and decide again: decisions have no side effects."""


class IdsForgotten(StorageError):
    """Ids that were at hand are in use: the database has forgotten that it gave them. There are new ones now."""


class IdSource:
    """The ids of one kind on one shard. ``take`` may be called from any thread."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._ids: deque[int] = deque()
        self._block = FIRST_BLOCK
        self.greatest = 0  # that was ever reserved here

    def take(self) -> int:
        """The next id. IdsExhausted when the block is used up."""
        try:
            return self._ids.popleft()
        except IndexError:
            raise IdsExhausted from None

    def take_many(self, count: int) -> list[int]:
        """``count`` ids, ascending within a block. IdsExhausted when there are fewer; none is then used up."""
        taken: list[int] = []
        try:
            for _ in range(count):
                taken.append(self._ids.popleft())
        except IndexError:
            self._ids.extendleft(reversed(taken))
            raise IdsExhausted from None
        return taken

    def wanted(self, count: int = 0) -> int:
        """How many ids to reserve now, so that ``count`` are at hand and more to spare; 0 for none."""
        at_hand = len(self._ids)
        if at_hand >= max(count, self._block // 2):
            return 0
        return max(self._block, count)

    def add(self, first: int, count: int) -> bool:
        """Take in a reserved block. The next one is larger, as this one was used up.

        False, and it is left out, where such ids were reserved before: the database has forgotten that.
        """
        if first <= self.greatest:
            return False
        self.greatest = first + count - 1
        self._ids.extend(range(first, first + count))
        self._block = min(self._block * 2, LARGEST_BLOCK)
        return True

    def drop(self) -> None:
        """Give up what is at hand."""
        self._ids.clear()


def new_token() -> str:
    """The secret part of a key: 64 random bits as 16 hexadecimal digits."""
    while True:
        try:
            return _tokens.popleft()
        except IndexError:
            drawn = secrets.token_hex(8 * _TOKENS)
            _tokens.extend(drawn[start : start + 16] for start in range(0, len(drawn), 16))
