"""CPU and memory of this process, and CPU of a database server on this machine. On systems without /proc: None."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Meter:
    """Seconds of CPU between ``start`` and ``stop``, of this process and of its database.

    The database is a server, by the id of its first process, or the threads of this process whose names begin with one
    of ``threads``: they are then not counted as the engine's. ``helpers`` are processes that belong to the engine.
    """

    def __init__(self, server: int | None = None, threads: tuple[str, ...] = (), helpers: tuple[int, ...] = ()) -> None:
        self._server, self._threads, self._helpers = server, threads, helpers
        self._begun = (0.0, 0.0)
        self._all_begun, self._clock = 0.0, 0.0
        self.others = 0.0  # cores that neither the engine nor its database kept busy, but somebody did

    def start(self) -> None:
        """Begin."""
        self._all_begun, self._clock = _busy_seconds(), time.perf_counter()
        self._begun = self._now()

    def stop(self) -> tuple[float, float | None]:
        """Seconds of the engine and of the database; None for a database that cannot be seen."""
        engine, database = self._now()
        own, used = engine - self._begun[0], database - self._begun[1]
        everybody = _busy_seconds() - self._all_begun
        self.others = max(0.0, everybody - own - used) / (time.perf_counter() - self._clock)
        return own, used if self._server or self._threads else None

    def _now(self) -> tuple[float, float]:
        own = time.process_time() + sum(map(family_cpu, self._helpers))
        if self._server:
            return own, family_cpu(self._server)
        threads = sum(
            _thread_cpu(thread.native_id or 0)
            for thread in threading.enumerate()
            if self._threads and thread.name.startswith(self._threads)
        )
        return own - threads, threads


def family_cpu(pid: int) -> float:
    """Seconds of CPU that a process, its children and what has been its children have used; 0.0 where none can tell."""
    fields = _stat(pid)
    if not fields:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICK + sum(map(_living_cpu, _children(pid)))


def _living_cpu(pid: int) -> float:
    fields = _stat(pid)
    own = sum(map(int, fields[11:15])) / _TICK if fields else 0.0
    return own + sum(map(_living_cpu, _children(pid)))


def parent_of(pid: int) -> int:
    """The process that started another; 0 where none can tell."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def peak_memory() -> float | None:
    """The most memory this process has held so far, in MiB; not what its parent had when it was forked off."""
    for line in _read(Path("/proc/self/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None


def _children(pid: int) -> list[int]:
    return [int(child) for child in _read(Path(f"/proc/{pid}/task/{pid}/children")).split()]


def _stat(pid: int) -> list[str]:
    """From the state on: what stands before it may hold blanks."""
    return _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()


def _thread_cpu(native_id: int) -> float:
    fields = _read(Path(f"/proc/self/task/{native_id}/schedstat")).split()
    return int(fields[0]) / 1e9 if fields else 0.0


def _busy_seconds() -> float:
    """Seconds of CPU that the whole machine has used; 0.0 where none can tell."""
    fields = _read(Path("/proc/stat")).partition("\n")[0].split()
    return sum(int(fields[place]) for place in (1, 2, 3, 6, 7)) / _TICK if len(fields) > 7 else 0.0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


async def server_of(fetch: Callable[[str], object], address: str) -> int | None:
    """The first process of a PostgreSQL server on this machine, of which ``fetch`` is the fetchval of a connection."""
    if address not in ("127.0.0.1", "localhost", "::1", ""):
        return None
    backend = await fetch("SELECT pg_backend_pid()")  # type: ignore[misc]
    return parent_of(int(backend)) or None
