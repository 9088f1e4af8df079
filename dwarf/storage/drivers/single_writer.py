"""What is the same wherever one connection does all the writing: there is nobody to hear from, and nothing in doubt."""

from __future__ import annotations

from collections.abc import Collection

from dwarf.storage.drivers.database import OnNotify
from dwarf.storage.drivers.pulse import SessionPulse


class SingleWriter:
    """A part of the contract of a database that has one connection to write with, and no voice."""

    single_writer = True
    in_doubt_commits = 0

    async def pulse(self) -> SessionPulse:
        """Who lives is known by other means here."""
        raise TypeError("this database has no registry, and needs no heartbeat")

    async def settled(self) -> None:
        """Nothing here is ever in doubt."""

    @property
    def has_notifications(self) -> bool:
        """False: ``changed`` is asked."""
        return False

    def listen(self, on_notify: OnNotify) -> None:
        """Nothing comes by itself."""

    def notify(self, work_due: bool, stopped: Collection[int]) -> None:
        """The others see it for themselves."""

    def resize(self, max_connections: int) -> None:
        """There is one connection that writes."""
