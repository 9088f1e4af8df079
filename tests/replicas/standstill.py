"""Seeing that a transaction waits for another one, by asking the server."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any

from sqlalchemy.engine import URL, make_url

from tests.support.servers import query

_WAITING = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = '{}' AND wait_event_type = 'Lock'"
_CONNECTIONS = "SELECT id FROM information_schema.processlist WHERE db = '{}'"
_THREAD = re.compile(r"(?:MySQL|MariaDB) thread id (\d+)")


def watched(kind: str, url: str) -> str:
    """A URL pattern whose connections can be told from those of other tests."""
    if kind != "postgresql":
        return url
    parsed = make_url(url.replace("{shard}", "SHARD"))
    named = parsed.update_query_dict({"application_name": str(parsed.query["search_path"])})
    return named.render_as_string(hide_password=False).replace("SHARD", "{shard}")


async def blocked(unless: asyncio.Future[Any] | None = None) -> None:
    """Wait until a transaction of this test waits for a lock, or what is given is done."""
    url = make_url(os.environ["DWARF_TEST_URL"].format(shard=1))
    look = _look_at_postgresql if url.get_backend_name() == "postgresql" else _look_at_mariadb
    async with asyncio.timeout(60):
        while not (unless is not None and unless.done()) and not await asyncio.to_thread(look, url):
            await asyncio.sleep(0.01)


def _look_at_postgresql(url: URL) -> bool:
    ((waiting,),) = query("postgresql", _WAITING.format(url.query["application_name"]))
    return bool(waiting)


def _look_at_mariadb(url: URL) -> bool:
    # the table INNODB_TRX is a copy that is not renewed while somebody reads it often
    own = {number for (number,) in query("mariadb", _CONNECTIONS.format(url.database))}
    ((_, _, report),) = query("mariadb", "SHOW ENGINE INNODB STATUS")
    waiting = [part for part in report.split("---TRANSACTION")[1:] if "LOCK WAIT" in part]
    return any(int(thread) in own for part in waiting for thread in _THREAD.findall(part))
