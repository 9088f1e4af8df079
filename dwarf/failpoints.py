"""Named places where a test makes the engine fail, stand still, or lose a signal.

In production ``active`` is None, and all that a failpoint costs is a look at it::

    if failpoints.active is not None:
        await failpoints.active.arrive("beforeCommit")

The failpoints, each with the scopes it tells. A kind is that of a decision in lower case, or "create" or "operation":

==================  ============================================================================================
loadGraph           before the host is asked for a graph (workflow)
executeTask         before the host runs a task (task)
afterTask           when a task has ended, before its outcome is decided (task)
afterClaim          when steps are leased, before they start (tasks)
beforeCommit        before the transaction of a group of outcomes (tasks, kinds)
commit              in that transaction, when all is written; on the database's thread (tasks, kinds)
afterCommit         when the group is durable, before anybody is told (tasks, kinds)
beforeCopy          when a flow that has ended is read, before its copy is written
beforeRecovery      before leases are taken back
recoveryDone        after a pass of recovery
beforeReap          before deleted flows are removed
dropFlows           in a transaction that removes flows, between their steps and them; on the database's thread
reapDone            after a pass of removing
awaitParked         before somebody begins to wait for a flow to stop (flow)
dropStop            a signal that a flow has stopped, to be lost (flow id)
dropDoorbell        a signal that work is due, to be lost
==================  ============================================================================================
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

__all__ = ["Checkpoint", "InjectedFault", "Failpoints", "installed"]

LONGEST_HOLD_S = 60.0


class InjectedFault(Exception):
    """What a fault raises where the test gives no error of its own."""


class Checkpoint:
    """A failpoint at which the first to come stands still until it is released."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._arrived: Future[None] = Future()
        self._released: Future[None] = Future()

    async def arrived(self) -> None:
        """Wait until somebody stands here."""
        await asyncio.shield(asyncio.wrap_future(self._arrived))

    def release(self) -> None:
        """Let it go on. Once is enough."""
        if not self._released.done():
            self._released.set_result(None)

    def _hold(self) -> Future[None]:
        self._arrived.set_result(None)
        return self._released


class Failpoints:
    """What a test has armed. Everything may be called from any thread.

    A name is that of a failpoint, or ``failpoint:scope``. What is armed first is used first.
    """

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()  # how often each failpoint, and each failpoint:scope, was come to
        self._faults: dict[str, deque[Callable[[], BaseException]]] = {}
        self._checkpoints: dict[str, deque[Checkpoint]] = {}
        self._losses: Counter[str] = Counter()
        self._watchers: list[tuple[str, int, Future[None]]] = []
        self._armed: list[Checkpoint] = []
        self._lock = threading.Lock()

    # ------------------------------------------------------------------ for tests

    def fault(self, name: str, error: Callable[[], BaseException] = InjectedFault, *, times: int = 1) -> None:
        """Raise ``error()`` the next times somebody comes to a failpoint."""
        with self._lock:
            self._faults.setdefault(name, deque()).extend([error] * times)

    def checkpoint(self, name: str) -> Checkpoint:
        """Hold the next one that comes to a failpoint."""
        checkpoint = Checkpoint(name)
        with self._lock:
            self._checkpoints.setdefault(name, deque()).append(checkpoint)
            self._armed.append(checkpoint)
        return checkpoint

    def lose(self, name: str, *, times: int = 1) -> None:
        """Lose the next signals of a failpoint."""
        with self._lock:
            self._losses[name] += times

    async def seen(self, name: str, times: int = 1) -> None:
        """Wait until somebody has come to a failpoint, or to a failpoint:scope, this often since the installation."""
        future: Future[None] = Future()
        with self._lock:
            if self.passed[name] >= times:
                return
            self._watchers.append((name, times, future))
        await asyncio.shield(asyncio.wrap_future(future))

    def release_all(self) -> None:
        """Disarm every failpoint, and let the waiting tasks go on."""
        with self._lock:
            self._faults.clear()
            self._checkpoints.clear()
            self._losses.clear()
            armed, self._armed = self._armed, []
        for checkpoint in armed:
            checkpoint.release()

    # ------------------------------------------------------------------ at the failpoints

    def hit(self, failpoint: str, scopes: Iterable[object] = ()) -> None:
        """Come to a failpoint on a thread that may be blocked."""
        held, error = self._come(failpoint, scopes)
        if held is not None:
            held.result(LONGEST_HOLD_S)
        if error is not None:
            raise error

    async def arrive(self, failpoint: str, scopes: Iterable[object] = ()) -> None:
        """Come to a failpoint on an event loop."""
        held, error = self._come(failpoint, scopes)
        if held is not None:
            await asyncio.shield(asyncio.wrap_future(held))
        if error is not None:
            raise error

    def lost(self, failpoint: str, scopes: Iterable[object] = ()) -> bool:
        """Whether the signal that is about to be given is to be lost."""
        with self._lock:
            for name in self._count(failpoint, scopes):
                if self._losses[name] > 0:
                    self._losses[name] -= 1
                    return True
        return False

    def _come(self, failpoint: str, scopes: Iterable[object]) -> tuple[Future[None] | None, BaseException | None]:
        with self._lock:
            names = self._count(failpoint, scopes)
            checkpoint = next(
                (self._checkpoints[name].popleft() for name in names if self._checkpoints.get(name)), None
            )
            fault = next((self._faults[name].popleft() for name in names if self._faults.get(name)), None)
        held = None if checkpoint is None else checkpoint._hold()
        return held, None if fault is None else fault()

    def _count(self, failpoint: str, scopes: Iterable[object]) -> list[str]:
        names = [failpoint, *(f"{failpoint}:{scope}" for scope in dict.fromkeys(scopes))]
        self.passed.update(names)
        waiting = []
        for name, count, future in self._watchers:
            if self.passed[name] >= count:
                future.set_result(None)
            else:
                waiting.append((name, count, future))
        self._watchers = waiting
        return names


active: Failpoints | None = None


@contextmanager
def installed() -> Iterator[Failpoints]:
    """Have failpoints until the end of the block; whatever stands still is let go then."""
    global active  # noqa: PLW0603 - one look at a variable of the module is all that production pays
    before, active = active, Failpoints()
    own = active
    try:
        yield own
    finally:
        active = before
        own.release_all()
