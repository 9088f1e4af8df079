"""Whether the database of a shard works, as far as its services have seen."""

from __future__ import annotations

from dwarf.storage.sql.errors import FileGone, Unavailable


class Health:
    """While a database is away, new flows are placed on other shards if possible."""

    def __init__(self) -> None:
        self.away = False

    def failed(self, error: BaseException) -> None:
        """A service has met an error: the database may be away."""
        self.away = self.away or isinstance(error, (Unavailable, FileGone))

    def recovered(self) -> None:
        """The database works again."""
        self.away = False
