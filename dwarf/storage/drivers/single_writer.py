"""The common part of databases with a single writing connection: no notifications, and no commit is ever in doubt."""

from __future__ import annotations

from collections.abc import Collection

from dwarf.storage.drivers.database import OnNotify
from dwarf.storage.drivers.pulse import SessionPulse


class SingleWriter:
    """Part of the contract of a database, for one with a single writing connection and without notifications."""

    single_writer = True
    in_doubt_commits = 0

    async def pulse(self) -> SessionPulse:
        """Living engines are not registered here."""
        raise TypeError("this database has no registry, and needs no heartbeat")

    async def settled(self) -> None:
        """No commit is ever in doubt."""

    @property
    def has_notifications(self) -> bool:
        """False: ``changed`` is polled."""
        return False

    def listen(self, on_notify: OnNotify) -> None:
        """Do nothing: there are no notifications."""

    def notify(self, work_due: bool, stopped: Collection[int]) -> None:
        """Do nothing: other engines poll."""

    def resize(self, max_connections: int) -> None:
        """There is only one writing connection."""
