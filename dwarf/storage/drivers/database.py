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
"""Receives notifications of other processes: whether work is due, and the stopped flows; None for unnamed flows."""


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
    single_writer: bool  # whether write transactions run one after the other anyway
    in_doubt_commits: int  # number of transactions so far whose outcome is unknown
    registers: bool  # whether living engines are known by their rows in the registry, and not by the locks they hold
    payloads: Payloads  # handling of large values and the codec; set before opening

    async def open(self) -> None:
        """Connect and migrate. Safe if several processes open one database together."""
        ...

    async def aclose(self) -> None:
        """Finish the submitted work, and disconnect."""
        ...

    async def write(self, script: Callable[[], Script[T]]) -> T:
        """Run a script as one transaction. StorageError (see ``sql.errors``) if the database fails."""
        ...

    async def read(self, script: Callable[[], Script[T]]) -> T:
        """Run a read-only script on one consistent snapshot. It sees every write that was answered before."""
        ...

    async def pulse(self) -> SessionPulse:
        """A connection for the heartbeat, on the running loop; only if ``registers``. StorageError."""
        ...

    async def settled(self) -> None:
        """Wait until every transaction in flight has ended."""
        ...

    async def changed(self) -> bool | None:
        """Whether another connection has committed since the last call; None if only a query can tell."""
        ...

    @property
    def has_notifications(self) -> bool:
        """Whether push notifications are active, so that polling is only a precaution."""
        ...

    def listen(self, on_notify: OnNotify) -> None:
        """Call a function on this event loop with the notifications of other processes, if there are any."""
        ...

    def notify(self, work_due: bool, stopped: Collection[int]) -> None:
        """Notify other processes of a commit, soon and without waiting, if that is possible. The notification may be
        lost.
        """
        ...

    def resize(self, max_connections: int) -> None:
        """Change the number of connections, if it is limited."""
        ...

    async def claim_engine_id(self, wanted: int = 0) -> tuple[int, bool]:
        """Take an engine id. Returns the id, and whether owning it proves that its former owner is dead.

        ConfigError if the wanted id is known to be in use. ``aclose`` releases it.
        """
        ...

    async def dead_engine_ids(self, engine_ids: set[int]) -> set[int]:
        """The ids whose owner is known to be dead."""
        ...

    async def living(self) -> int | None:
        """How many engines have the database open, including this one; None if unknown."""
        ...
