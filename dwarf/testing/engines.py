"""Engines for tests: isolated, in memory, gone at the end."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

from dwarf.engine import Engine, Shard
from dwarf.errors import ConfigError
from dwarf.testing.clock import VirtualClock
from dwarf.testing.lost_writes import LostWriteLog
from dwarf.workflow.host import Host

REDIRECT = "DWARF_TEST_URL"


def engine_for_test(
    name: str,
    host: Host,
    *,
    shards: int = 1,
    clock: VirtualClock | None = None,
    strict: bool = False,
    **settings: Any,
) -> Engine:
    """An engine on a database of its own in memory, dropped with the last engine that uses it.

    Engines made with the same name in one process share one database, as replicas do. ``clock`` moves the database's
    time. ``settings`` are those of Engine. Where the variable DWARF_TEST_URL is set, the database is there instead;
    ``{name}`` and ``{shard}`` in it are filled in. A task that changes a value it has read, and does not assign it
    back, is reported by a LostWriteWarning. With ``strict`` a graph with findings (see ``Graph.check``) is a GraphError
    where a flow of it is created, in place of a GraphWarning.

    Example::

        async def test_the_price() -> None:
            async with engine_for_test("prices", LocalHost(), strict=True) as engine:
                outcome = await engine.run(graph, {"amount": 3})
            assert outcome.state["price"] == 36
    """
    if not name:
        raise ConfigError("a test engine needs a name: engines of one name share their database")
    redirect = os.environ.get(REDIRECT, "")
    if redirect and clock is not None and not redirect.startswith("sqlite"):
        raise ConfigError("a virtual clock needs SQLite: it moves the database's own time")
    pattern = redirect or "sqlite:///file:dwarf-{name}-{shard}?mode=memory"
    urls = [pattern.format(name=quote(name, safe=""), shard=index) for index in range(1, shards + 1)]
    engine = Engine(host, shards=[Shard(index, url) for index, url in enumerate(urls, 1)], clock=clock, **settings)
    engine._for_test(LostWriteLog(), strict)
    return engine
