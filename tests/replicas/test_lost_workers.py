"""Processes that die, stand still, or lose the server: what they ran is run by others, and only then.

Nothing here is timed. Where a takeover must come from one sign alone, the other signs are put out of reach: a lease of
an hour leaves only the end of the session, a budget of four hours rules out the lease of the step.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from dwarf.storage.operations.replicas import ENDED, SILENT
from tests.crash.conftest import Process
from tests.replicas.conftest import ServerSite
from tests.support.servers import servers
from tests.support.ways import way_to

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]  # up to four processes, on two cores

LONG = {"time_budget": 4 * 3600.0}
BY_SESSION = {**LONG, "lease": 3600.0}  # nobody is dead for being silent
BRIEF = {**LONG, "lease": 2.0}  # 8 s while the session is there
HELD = "SELECT COUNT(*) FROM dwarf_steps WHERE task_url = 'Hold' AND status = 'running' AND parked = 0"
POOLED = [kind for kind in servers() if kind == "postgresql" and shutil.which("pgbouncer")]
HOLD = "SELECT lease_seq, crashes, status FROM dwarf_steps WHERE task_url = 'Hold'"


@asynccontextmanager
async def through(site: ServerSite, **kind: bool) -> AsyncIterator[Any]:
    """A way to the server of a site, with a function that starts processes which take it."""
    direct = site.path
    async with way_to(direct, **kind) as (way, url):

        async def start(**settings: Any) -> Process:
            site.path = url
            try:
                return await site.start(**settings)
            finally:
                site.path = direct

        way.start = start  # type: ignore[attr-defined]
        yield way


async def held(site: ServerSite, process: Process, count: int = 1) -> list[str]:
    """Flows of which this process runs the second step, which does not end by itself there."""
    keys: list[str] = await process.ask("create_many", workflow="holding", states=[{}] * count)
    await process.until(lambda: site.rows(HELD)[0][0] == count and site.executions().get("N2") == count)
    return keys


async def completed(process: Process, keys: list[str]) -> None:
    outcomes = await process.ask("outcomes", keys=keys)
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": len(keys)}
    assert all(outcome["state"]["count"] == 3 for outcome in outcomes)


async def test_the_end_of_a_session_is_enough(site: ServerSite) -> None:
    peer = await site.start(workers=4, holding=False, **BY_SESSION)
    worker = await site.start(holding=True, **BY_SESSION)
    peer.signal(signal.SIGSTOP)  # it is to leave the steps to the other
    keys = await held(site, worker, 3)
    peer.signal(signal.SIGCONT)
    await worker.kill()
    await completed(peer, keys)
    assert site.executions() == {"N1": 3, "N2": 6, "N3": 3}
    assert Counter(site.rows(HOLD)) == {(2, 1, "completed"): 3}  # it is a proof, so it counts
    assert sorted(site.rows("SELECT dead FROM dwarf_replicas")) == [(0,), (ENDED,)]
    await peer.ask("check")
    await peer.close()


async def test_one_that_starts_later_takes_over_at_once(site: ServerSite) -> None:
    worker = await site.start(holding=True, **BY_SESSION)
    keys = await held(site, worker)
    await worker.kill()
    successor = await site.start(**BY_SESSION)
    await completed(successor, keys)
    assert site.rows(HOLD) == [(2, 1, "completed")]
    await successor.ask("alone")
    await successor.close()


async def test_a_thousand_steps_are_taken_over_together(site: ServerSite) -> None:
    await many_at_once(site, 1100)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_ten_thousand_steps_are_taken_over_together(site: ServerSite) -> None:
    await many_at_once(site, 10_000)


async def many_at_once(site: ServerSite, count: int) -> None:
    worker = await site.start(holding=True, workers=count + 100, **BY_SESSION)
    keys = await held(site, worker, count)
    await worker.kill()
    successor = await site.start(**BY_SESSION)
    await completed(successor, keys)
    assert site.executions() == {"N1": count, "N2": 2 * count, "N3": count}
    await successor.ask("check")
    await successor.close()


async def test_where_a_proxy_keeps_the_session_the_silence_decides(site: ServerSite) -> None:
    async with through(site, keeping=True) as way:
        worker = await way.start(holding=True, **BRIEF)
        keys = await held(site, worker)
        assert site.rows("SELECT direct FROM dwarf_replicas WHERE lock_key > 0") == [(0,)]
        await worker.kill()
        successor = await site.start(**BRIEF)
        await completed(successor, keys)
        assert site.rows(HOLD) == [(2, 0, "completed")]  # no proof, so it does not count as a crash
        assert sorted(site.rows("SELECT dead FROM dwarf_replicas")) == [(0,), (SILENT,)]
        await successor.close()


async def test_behind_a_pooler_the_counter_serves_alone(site: ServerSite) -> None:
    async with through(site, keeping=True, pooling=True) as way:
        await counter_alone(site, await way.start(holding=True, **BRIEF))


@pytest.mark.parametrize("site", POOLED, indirect=True)
async def test_behind_pgbouncer_the_counter_serves_alone(site: ServerSite, tmp_path: Path) -> None:
    async with pgbouncer(site.path, tmp_path) as url:
        direct, site.path = site.path, url
        worker = await site.start(holding=True, **BRIEF)
        site.path = direct
        await counter_alone(site, worker)


async def counter_alone(site: ServerSite, worker: Process) -> None:
    keys = await held(site, worker)
    assert site.rows("SELECT lock_key, direct FROM dwarf_replicas") == [(0, 0)]
    await worker.kill()
    successor = await site.start(**BRIEF)
    await completed(successor, keys)
    assert site.rows(HOLD) == [(2, 0, "completed")]
    await successor.close()


@asynccontextmanager
async def pgbouncer(url: str, folder: Path) -> AsyncIterator[str]:
    """A pooler that gives each transaction another connection, and the URL that leads through it."""
    target = make_url(url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "users.txt").write_text(f'"{target.username}" "{target.password}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{target.database} = host={target.host} port={target.port} "
        f"connect_query='SET search_path = {target.query['search_path']}'\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = plain\nauth_file = {folder}/users.txt\npool_mode = transaction\n"
        "ignore_startup_parameters = extra_float_digits\nunix_socket_dir =\n"
    )
    user = ("-u", "nobody") if os.geteuid() == 0 else ()  # it refuses to run as root
    process = await asyncio.create_subprocess_exec("pgbouncer", "-q", *user, str(folder / "pgbouncer.ini"))
    try:
        pooled = target.set(port=port, query={"statement_cache_size": "0"})
        yield pooled.render_as_string(hide_password=False)
    finally:
        process.terminate()
        await process.wait()


async def test_a_process_that_stands_still_for_a_while_loses_nothing(site: ServerSite) -> None:
    await stood_still(site, BRIEF, leases=2)


@pytest.mark.soak
async def test_a_process_that_stands_still_for_ten_seconds_loses_nothing(site: ServerSite) -> None:
    await stood_still(site, LONG, leases=10 / 15)


async def stood_still(site: ServerSite, settings: dict[str, Any], leases: float) -> None:
    worker = await site.start(holding=True, **settings)
    keys = await held(site, worker)
    peer = await site.start(**settings)
    site.stand_still(worker)
    await peer.ask("looks", leases=leases)
    assert site.rows(HOLD) == [(1, 0, "running")]
    worker.signal(signal.SIGCONT)
    await worker.ask("release")
    await completed(peer, keys)
    assert site.executions() == {"N1": 1, "N2": 1, "N3": 1}
    await asyncio.gather(worker.close(), peer.close())


async def test_a_process_that_stands_still_for_long_is_taken_for_dead_and_joins_anew(site: ServerSite) -> None:
    await declared_dead(site, {**LONG, "lease": 1.0})


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_process_that_stands_still_for_minutes_is_taken_for_dead_and_joins_anew(site: ServerSite) -> None:
    await declared_dead(site, LONG, leases=20, marks=())  # 20 leases of 15 s: its marked row has been removed


async def declared_dead(
    site: ServerSite, settings: dict[str, Any], leases: float = 0, marks: tuple[int, ...] = (SILENT,)
) -> None:
    worker = await site.start(holding=True, **settings)
    engine_id = await worker.ask("engine_id")
    keys = await held(site, worker, 2)
    peer = await site.start(**settings)
    site.stand_still(worker)
    await completed(peer, keys)
    await peer.ask("looks", leases=leases)
    worker.signal(signal.SIGCONT)
    assert await worker.ask("rejoined", engine_id=engine_id) != engine_id
    assert sorted(site.rows("SELECT dead FROM dwarf_replicas")) == [(0,), (0,), *((mark,) for mark in marks)]
    # what it ran is cancelled: it holds no place and no lease any more, and what it does now counts
    await worker.ask("release")
    await completed(worker, await worker.ask("create_many", workflow="holding", states=[{}] * 4))
    assert site.executions() == {"N1": 6, "N2": 8, "N3": 6}
    assert Counter(site.rows(HOLD)) == {(2, 0, "completed"): 2, (1, 0, "completed"): 4}
    await worker.ask("check")
    await asyncio.gather(worker.close(), peer.close())


async def test_an_interpreter_that_is_held_loses_nothing(site: ServerSite) -> None:
    await interpreter_held(site, BRIEF, 2)


@pytest.mark.soak
async def test_an_interpreter_that_is_held_for_fifty_seconds_loses_nothing(site: ServerSite) -> None:
    await interpreter_held(site, LONG, 50 / 15)


async def interpreter_held(site: ServerSite, settings: dict[str, Any], leases: float) -> None:
    worker = await site.start(holding=True, **settings)
    keys = await held(site, worker)
    peer = await site.start(**settings)
    standing = worker.ask("hold_interpreter", seconds=leases * settings.get("lease", 15))
    await peer.ask("looks", leases=leases)
    await standing
    assert site.rows(HOLD) == [(1, 0, "running")]
    await worker.ask("release")
    await completed(peer, keys)
    assert site.executions() == {"N1": 1, "N2": 1, "N3": 1}
    await asyncio.gather(worker.close(), peer.close())


async def test_a_loop_that_is_blocked_loses_nothing(site: ServerSite) -> None:
    await loop_blocked(site, {}, 6)


@pytest.mark.soak
async def test_a_loop_that_is_blocked_for_a_minute_loses_nothing(site: ServerSite) -> None:
    await loop_blocked(site, {}, 60)


async def loop_blocked(site: ServerSite, settings: dict[str, Any], seconds: float) -> None:
    """Also where the lease of the step has run out meanwhile: its owner is heard all the while."""
    worker = await site.start(freeze="afterTask", time_budget=1, lease_margin=0.1, **settings)
    (key,) = await worker.ask("create_many", workflow="steps", states=[{}])
    await worker.frozen("afterTask")
    peer = await site.start(time_budget=1, lease_margin=0.1, **settings)
    standing = worker.ask("block", seconds=seconds)
    await peer.ask("looks", leases=seconds / settings.get("lease", 15))
    await standing
    assert site.rows("SELECT lease_seq, crashes, status FROM dwarf_steps") == [(1, 0, "running")]
    await worker.ask("thaw", failpoint="afterTask")
    await completed(peer, [key])
    assert site.executions() == {"N1": 1, "N2": 1, "N3": 1}
    await asyncio.gather(worker.close(), peer.close())


async def test_a_server_that_is_away_loses_nothing_and_kills_nobody(site: ServerSite) -> None:
    # the lease is also how long a busy machine may keep a replica from its first heartbeat after the outage
    await server_away(site, {**LONG, "lease": 8.0}, 10)


@pytest.mark.soak
async def test_a_server_that_is_away_for_a_minute_loses_nothing_and_kills_nobody(site: ServerSite) -> None:
    await server_away(site, LONG, 60)


async def server_away(site: ServerSite, settings: dict[str, Any], seconds: float) -> None:
    async with through(site) as way:
        workers = [await way.start(holding=True, workers=4, **settings) for _ in range(3)]
        keys = [(await worker.ask("create_many", workflow="holding", states=[{}] * 4)) for worker in workers]
        await workers[0].until(lambda: site.executions().get("N2") == 12)
        await way.close()
        await asyncio.sleep(seconds)  # nothing else tells that it was away
        way.open()
        await asyncio.gather(*(worker.ask("looks", leases=1) for worker in workers))
        await asyncio.gather(*(worker.ask("release") for worker in workers))
        for worker, own in zip(workers, keys, strict=True):
            await completed(worker, own)
        assert site.executions() == {"N1": 12, "N2": 12, "N3": 12}
        assert Counter(site.rows(HOLD)) == {(1, 0, "completed"): 12}
        await asyncio.gather(*(worker.close() for worker in workers))


async def test_one_whose_connections_are_cut_is_not_taken_for_dead(site: ServerSite) -> None:
    """It has other ones before the end of its session is confirmed."""
    async with through(site) as way:
        worker = await way.start(holding=True, **BY_SESSION)
        keys = await held(site, worker)
        peer = await site.start(**BY_SESSION)
        for _ in range(3):
            await way.close()
            way.open()
            await worker.ask("looks", leases=0.0005)
            await peer.ask("looks", leases=0.0005)
        assert site.rows(HOLD) == [(1, 0, "running")]
        await worker.ask("release")
        await completed(peer, keys)
        assert site.executions() == {"N1": 1, "N2": 1, "N3": 1}
        await asyncio.gather(worker.close(), peer.close())


@pytest.mark.parametrize("step", [-86400.0, 86400.0])
async def test_a_clock_that_steps_on_one_replica_means_nothing(site: ServerSite, step: float) -> None:
    worker = await site.start(holding=True, **BRIEF)
    keys = await held(site, worker)
    peer = await site.start(**BRIEF)
    await asyncio.gather(*(process.ask("step_clock", seconds=step) for process in (worker, peer)))
    await peer.ask("looks", leases=1.5)
    await worker.ask("step_clock", seconds=-2 * step)
    await peer.ask("looks", leases=1.5)
    assert site.rows(HOLD) == [(1, 0, "running")]
    assert await peer.ask("living") == 2
    await worker.ask("release")
    await completed(peer, keys)
    assert site.executions() == {"N1": 1, "N2": 1, "N3": 1}
    await asyncio.gather(worker.close(), peer.close())


async def test_one_of_the_version_before_is_left_its_leases(site: ServerSite) -> None:
    """It raises no counter, so nothing can be told from that; when its leases have run out they are taken back."""
    worker = await site.start(holding=True, **BRIEF)
    engine_id = await worker.ask("engine_id")
    keys = await held(site, worker)
    await worker.kill()
    returning = " RETURNING 1" if site.path.startswith("postgresql") else ""
    site.rows(
        f"UPDATE dwarf_replicas SET beats = 0, lock_key = 0, server = '' WHERE engine_id = {engine_id}{returning}"
    )
    peer = await site.start(**BRIEF)
    await peer.ask("looks", leases=3)
    assert site.rows(HOLD) == [(1, 0, "running")]
    site.rows(f"UPDATE dwarf_steps SET lease_expires = 1 WHERE status = 'running'{returning}")
    await completed(peer, keys)
    await peer.close()
