"""What is the same wherever one connection does all the writing: there is nobody to hear from, and nothing in doubt."""

from __future__ import annotations

from collections.abc import Collection

from dwarf.storage.drivers.database import Heard
from dwarf.storage.drivers.pulse import SessionPulse


class OneWriter:
    """A part of the contract of a database that has one connection to write with, and no voice."""

    one_writer = True
    doubts = 0

    async def pulse(self) -> SessionPulse:
        """Who lives is known by other means here."""
        raise TypeError("this database has no registry, and needs no heartbeat")

    async def settled(self) -> None:
        """Nothing here is ever in doubt."""

    @property
    def told(self) -> bool:
        """False: ``changed`` is asked."""
        return False

    def listen(self, heard: Heard) -> None:
        """Nothing comes by itself."""

    def tell(self, work_due: bool, stopped: Collection[int]) -> None:
        """The others see it for themselves."""

    def resize(self, max_connections: int) -> None:
        """There is one connection that writes."""
