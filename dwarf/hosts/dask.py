"""Tasks on a Dask cluster: ``dask:local`` starts one on this machine, ``dask://host:8786`` uses a running one."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dwarf.errors import ConfigError, WorkerLost
from dwarf.hosts.carry import run_call
from dwarf.hosts.remote import HostUnavailable
from dwarf.hosts.telling import Message, OutputListener

_CONNECT_S = 5
_SIZE_S = 2.0  # how long the known size of the cluster is used
_QUEUED = 2  # calls for each thread of the cluster: one runs, the next is ready when it ends
_LOCAL_THREADS = 1


class DaskPlace:
    """A client of a cluster, connected with the first task. ConfigError if the extra "dask" is missing."""

    def __init__(self, address: str, on_free: Callable[[], None]) -> None:
        try:
            import distributed
        except ImportError:
            raise ConfigError(f"the executor {address!r} needs Dask: pip install 'dwarf[dask]'") from None
        self._distributed: Any = distributed
        self._address = address
        self._on_free = on_free
        self._lock = threading.Lock()
        self._client: Any = None
        self._counting = threading.Lock()
        self._running = 0
        self._threads = _LOCAL_THREADS
        self._asked = -_SIZE_S

    @property
    def free(self) -> int:
        """How many more calls the cluster can take now. Calls queued there would use up their time budgets."""
        return max(0, _QUEUED * self._threads - self._running)

    async def run(self, call: bytes, listener: OutputListener) -> bytes:
        """Run a packed call on the cluster and return its packed outcome. WorkerLost if its worker is gone."""
        with self._counting:
            self._running += 1
        try:
            return await self._run(call, listener)
        finally:
            with self._counting:
                self._running -= 1
            self._on_free()

    async def _run(self, call: bytes, listener: OutputListener) -> bytes:
        loop = asyncio.get_running_loop()
        try:
            client = await asyncio.to_thread(self._connected)
        except (OSError, TimeoutError) as error:
            raise HostUnavailable(f"the Dask scheduler at {self._address} cannot be reached: {error}") from error
        except asyncio.CancelledError:
            away = HostUnavailable(f"the Dask scheduler at {self._address} does not answer")
            raise asyncio.CancelledError from away  # the reason, if the cancellation is the end of the time budget
        topic = f"dwarf-{secrets.token_hex(8)}"
        done: asyncio.Future[None] = loop.create_future()

        def show(event: Any) -> None:
            listener(*event[1])

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        def ended(_: Any) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(finish)

        def submit() -> Any:
            client.subscribe_topic(topic, show)
            return client.submit(run_on_worker, call, topic, key=f"dwarf-task-{secrets.token_hex(8)}", pure=False)

        try:
            future = await asyncio.to_thread(submit)
        except Exception as error:  # the client was closed meanwhile, as happens after a long absence of the scheduler
            raise HostUnavailable(f"the Dask cluster at {self._address} takes no task: {error}") from error
        future.add_done_callback(ended)
        try:
            await done
            outcome = await asyncio.to_thread(self._result, future)
            await listener.heard(outcome)
            return outcome
        except asyncio.CancelledError:
            threading.Thread(target=_quietly, args=(future.cancel,), name="dwarf-dask", daemon=True).start()
            raise
        finally:
            _quietly(lambda: client.unsubscribe_topic(topic))
            future.release()

    def _result(self, future: Any) -> bytes:
        try:
            result: bytes = future.result(timeout=_CONNECT_S)
        except (ImportError, AttributeError) as error:  # raised while our own function was unpacked
            raise ConfigError(
                f"a worker of the Dask cluster at {self._address} cannot run tasks of dwarf ({error}): install the "
                "same version of dwarf there as here"
            ) from error
        except Exception as error:
            raise WorkerLost(f"the Dask cluster has lost the task: {type(error).__name__}: {error}") from error
        return result

    def _connected(self) -> Any:
        with self._lock:
            client = self._client
            if client is None or client.status not in ("running", "connecting"):
                client = self._client = self._connect()
            if client.status != "running":
                raise TimeoutError("the connection was lost and is being made again")
            if time.monotonic() - self._asked > _SIZE_S:
                self._asked = time.monotonic()
                self._threads = max(_LOCAL_THREADS, sum(client.nthreads().values()))
            return client

    def _connect(self) -> Any:
        if self._address == "dask:local":
            # without an address even a scheduler without a dashboard requests port 8787, and warns
            cluster = self._distributed.LocalCluster(
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                threads_per_worker=_LOCAL_THREADS,
            )
            return self._distributed.Client(cluster, set_as_default=False)
        scheme = "tls" if self._address.startswith("dask+tls://") else "tcp"
        place = self._address.partition("://")[2]
        return self._distributed.Client(f"{scheme}://{place}", timeout=_CONNECT_S, set_as_default=False, name="dwarf")

    def close(self) -> None:
        """Disconnect from the cluster. A cluster that was started here ends."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            cluster = client.cluster
            client.close()
            if cluster is not None:
                cluster.close()


def _quietly(action: Callable[[], Any]) -> None:
    with suppress(Exception):  # the cluster may be gone
        action()


def run_on_worker(call: bytes, topic: str) -> bytes:
    """Run a packed call on a worker of the cluster. Output of the task is sent as events of the scheduler."""
    from distributed import get_worker

    worker = get_worker()

    def tell(number: int, messages: list[Message]) -> None:
        worker.log_event(topic, [number, messages])

    return run_call(call, tell)
