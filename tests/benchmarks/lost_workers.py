"""How long a killed worker's step waits for another replica: ``python -m tests.benchmarks.lost_workers [TIMES]``.

The servers are those that tests use; see ``scripts/with-servers``. What it prints are seconds from the kill to the start
of the task in the other process, whose time budget is four hours: by the end of the session, and through a proxy that
keeps the session open.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.replicas.conftest import ServerSite
from tests.support.servers import fresh_database, servers
from tests.support.ways import way_to

LONG: dict[str, Any] = {"time_budget": 4 * 3600.0}


async def measure(kind: str, folder: Path, *, proxy: bool) -> float:
    """The seconds of one kill."""
    with fresh_database(kind) as template:
        site = ServerSite(kind, template.format(shard=1), folder)
        direct = site.path
        async with way_to(direct, keeping=True) as (_, url):
            site.path = url if proxy else direct
            worker = await site.start(holding=True, **LONG)
            site.path = direct
            await worker.ask("create", workflow="holding", state={})
            await worker.holding("N2")
            peer = await site.start(**LONG)
            await peer.ask("looks", leases=0.3)
            killed = time.monotonic()
            await worker.kill()
            while site.executions()["N2"] < 2:
                await asyncio.sleep(0.005)
            passed = time.monotonic() - killed
            await peer.close()
        return passed


async def main(times: int) -> None:
    """Print a line for each server and way."""
    for kind in servers():
        for proxy, count in ((False, times), (True, max(1, times // 5))):
            found: list[float] = []
            for _ in range(count):
                with tempfile.TemporaryDirectory() as folder:
                    found.append(await measure(kind, Path(folder), proxy=proxy))
            way = "through a proxy that keeps the session" if proxy else "directly"
            print(
                f"{kind}, {way}: median {statistics.median(found):.2f} s, longest {max(found):.2f} s of {count}",
                flush=True,
            )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
