"""The contract between the engine and a database, whatever its dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from dwarf.storage.script import Script

T = TypeVar("T")


class Clock(Protocol):
    """A shift of the database's clock, for tests."""

    @property
    def offset_ms(self) -> int:
        """Milliseconds to add to the database's own time."""
        ...


class Database(Protocol):
    """One database: a shard.

    A script is one transaction. ``write`` runs it with the right to write from its first statement, commits, and
    reruns it from a fresh generator on contention, without limit in number but with growing pauses. A caller that is
    cancelled while its write runs does not stop the write: it is committed or rolled back as a whole.
    """

    dialect: str

    async def open(self) -> None:
        """Connect and migrate. Safe when several processes open one database together."""
        ...

    async def aclose(self) -> None:
        """Finish what was handed in, and disconnect."""
        ...

    async def write(self, script: Callable[[], Script[T]]) -> T:
        """Run a script as one transaction. StorageError (see ``failures``) when the database fails."""
        ...

    async def read(self, script: Callable[[], Script[T]]) -> T:
        """Run a script that only reads, on one consistent snapshot. It sees every write that was answered before."""
        ...

    async def changed(self) -> bool:
        """Whether somebody else has committed since the last call; True where that cannot be told cheaply."""
        ...

    async def claim_engine_id(self, wanted: int = 0) -> tuple[int, bool]:
        """Take an engine id: the id, and whether owning it proves that its former owner is dead.

        ConfigError when the wanted one is known to be in use. It is given back by ``aclose``.
        """
        ...

    async def dead_engine_ids(self, engine_ids: set[int]) -> set[int]:
        """Those of the ids whose owner is known to be dead."""
        ...
