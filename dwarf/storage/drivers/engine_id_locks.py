"""Engine ids on an SQLite file: numbered lock files beside it, locked by the operating system for their owners.

Holding the lock of slot n proves that no living engine has the id n. The operating system releases the lock however the
process ends. The files stay: removing one would let two engines lock two files of the same name.
"""

from __future__ import annotations

import glob
from itertools import count as numbers
from pathlib import Path
from typing import Protocol

from filelock import FileLock, SoftFileLock, Timeout

from dwarf.errors import ConfigError


class _Lock(Protocol):
    def release(self) -> None: ...


class EngineIdLocks:
    """The slots of one database file, as seen by one engine. Calls must not overlap."""

    def __init__(self, path: Path) -> None:
        self._stem = path.resolve()  # one file has one set of slots under all of its names
        self._own: dict[int, _Lock] = {}
        self._buried: dict[int, _Lock] = {}

    def claim(self, wanted: int = 0) -> int:
        """Take the slot of this number, or the lowest free one from 1, until ``release``.

        ConfigError if the wanted slot is taken.
        """
        for slot in [wanted] if wanted else numbers(1):
            lock = self._take(slot)
            if lock is not None:
                self._own[slot] = lock
                return slot
        raise ConfigError(f"the engine id {wanted} is in use by a living engine on '{self._stem}'")

    def dead(self, engine_ids: set[int]) -> set[int]:
        """The ids whose slots exist and are free.

        Their slots stay locked until the next call or ``release``, so that the caller can take back their leases
        before a new engine gets the same id. An engine that starts meanwhile gets another one.
        """
        self._bury({})
        self._bury(
            {
                slot: lock
                for slot in sorted(engine_ids - self._own.keys())
                if self._path(slot).exists() and (lock := self._take(slot)) is not None
            }
        )
        return set(self._buried)

    def living(self) -> int:
        """How many slots are held by engines, including this one."""
        count = len(self._own)
        for path in self._stem.parent.glob(f"{glob.escape(self._stem.name)}-engine-*.lock"):
            number = path.stem.rpartition("-")[2]
            if not number.isdecimal() or int(number) in self._own or int(number) in self._buried:
                continue
            lock = self._take(int(number))
            if lock is None:
                count += 1
            else:
                lock.release()
        return count

    def release(self) -> None:
        """Release every slot."""
        self._bury({})
        own, self._own = self._own, {}
        for lock in own.values():
            lock.release()

    def _bury(self, locks: dict[int, _Lock]) -> None:
        former, self._buried = self._buried, locks
        for lock in former.values():
            lock.release()

    def _path(self, slot: int) -> Path:
        return self._stem.with_name(f"{self._stem.name}-engine-{slot}.lock")

    def _take(self, slot: int) -> _Lock | None:
        path = self._path(slot)
        lock = FileLock(path, timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            return None
        except (OSError, NotImplementedError) as error:
            if isinstance(error, PermissionError) and path.exists():
                return None  # another user's file
            raise ConfigError(f"cannot lock '{path}': {error}") from error
        if isinstance(lock, SoftFileLock):  # a marker file outlives its process and proves nothing
            lock.release()
            raise ConfigError(f"the file system of '{path}' has no file locks; put the database on a local disk")
        return lock
