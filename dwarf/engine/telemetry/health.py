"""Whether the database of a shard serves, as far as its services have seen."""

from __future__ import annotations

from dwarf.storage.sql.errors import FileGone, Unavailable


class Health:
    """New flows are placed on other shards while a database is away, where that is possible."""

    def __init__(self) -> None:
        self.away = False

    def failed(self, error: BaseException) -> None:
        """A service has met an error: the database may be away."""
        self.away = self.away or isinstance(error, (Unavailable, FileGone))

    def recovered(self) -> None:
        """The database serves again."""
        self.away = False
