"""Executors of a LocalHost, by name: where tasks run that do not run in the host's own threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from dwarf.errors import ConfigError, WorkerLost
from dwarf.hosts.calls import ThreadCall
from dwarf.hosts.carry import pack_call, take_outcome
from dwarf.hosts.processes import ProcessPool
from dwarf.hosts.remote import HostUnavailable
from dwarf.hosts.reports import Reports, run_reporting
from dwarf.hosts.telling import OutputListener
from dwarf.hosts.threads import ThreadSlots

if TYPE_CHECKING:
    from dwarf.workflow.binding import Binding
    from dwarf.workflow.flow import Flow

log = logging.getLogger("dwarf.hosts.executors")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_MOST = 1024

Given: TypeAlias = "concurrent.futures.Executor | int | str"


class ExecutorPlace(Protocol):
    """Runs packed calls."""

    @property
    def free(self) -> int:
        """How many calls could start now."""
        ...

    async def run(self, call: bytes, listener: OutputListener) -> bytes:
        """Run a packed call and return its packed outcome. WorkerLost if its process is gone, HostUnavailable before
        the start.
        """
        ...

    def close(self) -> None:
        """Release the resources of this executor."""
        ...


class Executors:
    """The executors of a host, by name. ConfigError for an invalid one."""

    def __init__(self, given: Mapping[str, Given], on_free: Callable[[], None]) -> None:
        if not isinstance(given, Mapping):
            raise ConfigError(f"executors are a mapping from names to executors, not {type(given).__name__}")
        self.given = dict(given)
        self._places: dict[str, Any] = {name: _place(name, value, on_free) for name, value in given.items()}

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Any:
        return iter(self._places)

    def free(self, name: str) -> int:
        """How many calls the executor of this name could start now."""
        return int(self._places[name].free)

    async def run(self, name: str, binding: Binding, flow: Flow) -> None:
        """Run a task in the executor of this name. Raises the task's error, or Parked."""
        place = self._places[name]
        if isinstance(place, Threads):
            await place.run(binding, flow)
            return
        listener = OutputListener(flow)
        call = pack_call(binding, flow, listener.wants)
        pause = _FIRST_PAUSE_S
        away: HostUnavailable | None = None
        try:
            while True:
                try:
                    outcome = await place.run(call, listener)
                    break
                except HostUnavailable as error:  # nothing has run: wait until the time budget is over
                    if away is None:
                        log.warning("task %r waits for its executor %r: %s", binding.url, name, error)
                    away = error
                    await asyncio.sleep(pause)
                    pause = min(_LONGEST_PAUSE_S, 2 * pause)
        except asyncio.CancelledError as error:
            listener.close()
            if away is None or error.__cause__ is not None:
                raise
            raise asyncio.CancelledError from away  # the reason, if the cancellation is the end of the time budget
        take_outcome(flow, outcome, listener)

    def close(self) -> None:
        """Close the executors that were made here. Executors that were passed in belong to their owners."""
        for place in self._places.values():
            place.close()


def unknown(name: str, url: str, known: Executors | None) -> ConfigError:
    """The error of a task whose executor its host does not have."""
    names = ", ".join(map(repr, known or ())) or "none"
    return ConfigError(
        f"task {url!r} asks for the executor {name!r}, and this host has {names}: LocalHost(executors={{{name!r}: 4}}) "
        "makes a pool of four processes"
    )


def _place(name: object, given: object, on_free: Callable[[], None]) -> Any:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"the name of an executor must be a text, not {name!r}")
    if isinstance(given, int) and not isinstance(given, bool):
        if not 1 <= given <= _MOST:
            raise ConfigError(f"the executor {name!r} needs 1 to {_MOST:,} processes, not {given}")
        return ProcessPool(given, on_free)
    if isinstance(given, concurrent.futures.ThreadPoolExecutor):
        return Threads(name, given, on_free)
    if isinstance(given, concurrent.futures.Executor):
        return _Foreign(name, given, on_free)
    if isinstance(given, str) and (given == "dask:local" or re.match(r"dask(\+tls)?://.", given)):
        from dwarf.hosts.dask import DaskPlace

        return DaskPlace(given, on_free)
    raise ConfigError(
        f"the executor {name!r} must be a number of processes, a concurrent.futures.Executor, 'dask:local' or "
        f"'dask://scheduler:8786', not {given!r}"
    )


class _Counted:
    """An executor passed in by the user. Only as many calls are submitted as it can run."""

    def __init__(self, name: str, executor: concurrent.futures.Executor, on_free: Callable[[], None]) -> None:
        # Calls queued in the executor would use up their time budgets there.
        size = getattr(executor, "_max_workers", None)
        self._slots = ThreadSlots(size if isinstance(size, int) and size > 0 else _MOST, on_free)
        self._on_free = on_free
        self._name = name
        self._executor = executor
        self._broken = False

    @property
    def free(self) -> int:
        """How many calls could start now. None while the executor is broken: steps wait for a working one."""
        return 0 if self._broken else self._slots.free

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> concurrent.futures.Future[Any]:
        try:
            return self._executor.submit(function, *arguments)
        except RuntimeError as error:  # it was shut down, or one of its processes has died
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> WorkerLost:
        if not self._broken:
            self._broken = True
            log.error(
                "the executor %r takes no more tasks (%s: %s); their steps wait for a process with a sound one. "
                "LocalHost(executors={%r: 4}) makes a pool that replaces the processes it loses",
                self._name,
                type(error).__name__,
                error,
                self._name,
            )
        return WorkerLost(f"the executor {self._name!r} was lost: {error}")

    def _give(self) -> None:
        self._slots.release()
        self._on_free()

    def close(self) -> None:
        """The executor belongs to its owner: nothing to release."""


class Threads(_Counted):
    """A pool of threads. Nothing is packed: functions work on objects shared with this process."""

    async def run(self, binding: Binding, flow: Flow) -> None:
        """Run a task in a thread of the pool. Raises the task's error, or Parked."""
        await self._slots.acquire()
        call = ThreadCall(binding, flow, lambda _: self._give(), own_loop=True)
        try:
            self._submit(call.run)
        except BaseException:
            self._give()
            raise
        try:
            await call.outcome()
        finally:
            flow._spent = (call.began, call.ended) if call.ended else None
            flow._adopt(call.carrier)


class _Foreign(_Counted):
    """An executor of ``concurrent.futures`` with other processes. Its calls report over a local connection."""

    def __init__(self, name: str, executor: concurrent.futures.Executor, on_free: Callable[[], None]) -> None:
        super().__init__(name, executor, on_free)
        self._reports = Reports()

    async def run(self, call: bytes, listener: OutputListener) -> bytes:
        """Run a packed call and return its packed outcome. WorkerLost if the executor has lost it."""
        await self._slots.acquire()
        with self._reports.receiving(listener) as address:
            try:
                future = self._submit(run_reporting, call, address)
            except BaseException:
                self._give()
                raise
            future.add_done_callback(lambda _: self._give())
            try:
                outcome: bytes = await asyncio.wrap_future(future)
            except concurrent.futures.BrokenExecutor as error:
                raise self._lost(error) from error
            await listener.heard(outcome)
            return outcome

    def close(self) -> None:
        """Accept no more reports."""
        self._reports.close()
