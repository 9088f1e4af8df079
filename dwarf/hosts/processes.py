"""A pool of processes for tasks. The process of an abandoned task is killed, and replaced for the next task."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dwarf.errors import WorkerLost
from dwarf.hosts.child import CALL, OUTCOME, PATH, read_message, write_message
from dwarf.hosts.telling import Tell
from dwarf.hosts.threads import DaemonThreads, ThreadSlots

_START = "from dwarf.hosts.child import main; main()"


class ProcessPool:
    """At most ``size`` processes, started when they are needed and kept until ``close``.

    Processes are fresh interpreters, not forks: they inherit no threads, locks or connections of this process, and do
    not run the script that made the pool again. The pool may be used from several loops.
    """

    def __init__(self, size: int, on_free: Callable[[], None]) -> None:
        self.size = size
        self._on_free = on_free
        self._slots = ThreadSlots(size, on_free)
        self._threads = DaemonThreads()
        self._lock = threading.Lock()
        self._idle: list[_ChildProcess] = []
        weakref.finalize(self, _end, self._idle, self._threads)

    @property
    def free(self) -> int:
        """How many tasks could start now."""
        return self._slots.free

    async def run(self, call: bytes, tell: Tell) -> bytes:
        """Run a packed call and return its packed outcome. WorkerLost if the process dies. A cancellation kills the
        process.
        """
        await self._slots.acquire()
        work = _Work(self, call, tell)
        try:
            self._threads.run(work.run)
        except BaseException:  # no thread can be started
            self.give()
            raise
        try:
            return await work.done
        except asyncio.CancelledError:
            work.give_up()
            raise

    def take(self) -> _ChildProcess:
        """A process for one call: an idle one, or a new one."""
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.alive:
                    return child
                child.kill()
        return _ChildProcess()

    def put(self, child: _ChildProcess) -> None:
        """Keep the process of an ended call for the next call."""
        with self._lock:
            self._idle.append(child)

    def give(self) -> None:
        """Count down after a call, and report that another may start."""
        self._slots.release()
        self._on_free()

    def close(self) -> None:
        """End the idle processes."""
        with self._lock:
            idle = self._idle.copy()
            self._idle.clear()
        _end(idle, self._threads)


def _end(idle: list[_ChildProcess], threads: DaemonThreads) -> None:
    for child in idle:
        child.kill()
    threads.end_idle()


class _Work:
    """One call in one process, with one thread for the communication."""

    def __init__(self, pool: ProcessPool, call: bytes, tell: Tell) -> None:
        self._pool = pool
        self._call = call
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._child: _ChildProcess | None = None
        self._given_up = False
        self.done: asyncio.Future[bytes] = self._loop.create_future()

    def run(self) -> None:
        """Communicate with the process until the outcome arrives. Runs in a thread; never raises."""
        outcome: bytes | BaseException
        try:
            outcome = self._talk()
        except BaseException as error:  # noqa: BLE001 - the loop is told
            outcome = error
        self._pool.give()
        with suppress(RuntimeError):  # the loop is closed, and with it the caller
            self._loop.call_soon_threadsafe(self._deliver, outcome)

    def _talk(self) -> bytes:
        try:
            child = self._pool.take()
        except OSError as error:
            raise WorkerLost(f"no process can be started for the task: {error}") from error
        with self._lock:
            if self._given_up:
                self._pool.put(child)
                raise WorkerLost("the task was given up before it began")
            self._child = child
        try:
            outcome = child.call(self._call, self._tell)
        except BaseException:
            child.kill()
            raise
        with self._lock:
            self._child = None
            if self._given_up:
                child.kill()
            else:
                self._pool.put(child)
        return outcome

    def _deliver(self, outcome: bytes | BaseException) -> None:
        if self.done.done():
            return
        if isinstance(outcome, bytes):
            self.done.set_result(outcome)
        else:
            self.done.set_exception(outcome)

    def give_up(self) -> None:
        """Kill the process: the caller has stopped waiting. The communicating thread cleans up."""
        with self._lock:
            self._given_up = True
            if self._child is not None:
                self._child.stop()


class _ChildProcess:
    """One process, with both ends of the communication."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C goes to the engine, which ends its tasks in order
        )
        # the child finds modules where this process finds them, including modules beside a notebook
        self._send(PATH, pickle.dumps(list(sys.path)))

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def call(self, call: bytes, tell: Tell) -> bytes:
        """Run one call. WorkerLost if the process dies before the outcome."""
        output: Any = self._process.stdout
        self._send(CALL, call)
        while True:
            try:
                message = read_message(output)
            except (OSError, ValueError):
                message = None
            if message is None:
                raise WorkerLost(self._farewell())
            kind, content = message
            if kind == OUTCOME:
                return content
            tell(*pickle.loads(content))

    def _send(self, kind: bytes, content: bytes) -> None:
        target: Any = self._process.stdin
        try:
            write_message(target, kind, content)
        except OSError:
            raise WorkerLost(self._farewell()) from None

    def _farewell(self) -> str:
        with suppress(subprocess.TimeoutExpired):  # it closes its end of the pipe a moment before it exits
            self._process.wait(timeout=1)
        self.stop()
        status = self._process.wait()
        how = f"killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"the process {self._process.pid} that ran the task was lost ({how})"

    def stop(self) -> None:
        """Kill the process and the processes that its task has started."""
        if self._process.returncode is not None:  # its process id may have been reused
            return
        if hasattr(os, "killpg"):
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def kill(self) -> None:
        """Kill the process and reap it."""
        self.stop()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError, ValueError):
                    stream.close()
