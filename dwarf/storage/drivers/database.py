"""The contract between the engine and a database, whatever its dialect."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from dwarf.storage.payloads.pipeline import Payloads
from dwarf.storage.sql.script import Script

if TYPE_CHECKING:
    from dwarf.storage.drivers.pulse import SessionPulse

T = TypeVar("T")

OnNotify: TypeAlias = Callable[[bool, "Collection[int] | None"], None]
"""Told of others: whether work is due, and the flows that stopped; None for flows that are not named."""


class ClockShift(Protocol):
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
    single_writer: bool  # whether transactions that write come one after the other anyway
    in_doubt_commits: int  # transactions so far of which it is not known whether they took effect
    registers: bool  # whether living engines are known by their rows in the registry, not by the locks they hold
    payloads: Payloads  # how large values and the codec are dealt with; set before it is opened

    async def open(self) -> None:
        """Connect and migrate. Safe when several processes open one database together."""
        ...

    async def aclose(self) -> None:
        """Finish what was handed in, and disconnect."""
        ...

    async def write(self, script: Callable[[], Script[T]]) -> T:
        """Run a script as one transaction. StorageError (see ``sql.errors``) when the database fails."""
        ...

    async def read(self, script: Callable[[], Script[T]]) -> T:
        """Run a script that only reads, on one consistent snapshot. It sees every write that was answered before."""
        ...

    async def pulse(self) -> SessionPulse:
        """A connection for the heartbeat, on the loop that runs now; only where ``registers``. StorageError."""
        ...

    async def settled(self) -> None:
        """Wait until every transaction that is in flight now has ended."""
        ...

    async def changed(self) -> bool | None:
        """Whether somebody else has committed since the last call; None where only a look can tell."""
        ...

    @property
    def has_notifications(self) -> bool:
        """Whether the news of others come by themselves now, so that looking is only a precaution."""
        ...

    def listen(self, on_notify: OnNotify) -> None:
        """Have a function called, on this event loop, with the news of others, where they come by themselves."""
        ...

    def notify(self, work_due: bool, stopped: Collection[int]) -> None:
        """Let others know of a commit, soon and without waiting, where that is possible. It may be lost."""
        ...

    def resize(self, max_connections: int) -> None:
        """Change the number of connections, where it is limited."""
        ...

    async def claim_engine_id(self, wanted: int = 0) -> tuple[int, bool]:
        """Take an engine id: the id, and whether owning it proves that its former owner is dead.

        ConfigError when the wanted one is known to be in use. It is given back by ``aclose``.
        """
        ...

    async def dead_engine_ids(self, engine_ids: set[int]) -> set[int]:
        """Those of the ids whose owner is known to be dead."""
        ...

    async def living(self) -> int | None:
        """How many engines have the database open, this one included; None where that is not known."""
        ...
