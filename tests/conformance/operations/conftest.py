"""Real processes on one SQLite file, or on one database of a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crash.conftest import Site
from tests.replicas.conftest import ServerSite
from tests.support.servers import fresh_database, servers


@pytest.fixture(params=("sqlite", *servers()))
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """An empty database for processes."""
    if request.param == "sqlite":
        site = Site(tmp_path)
        try:
            yield site
        finally:
            await site.end()
        return
    with fresh_database(request.param) as url:
        server_site = ServerSite(request.param, url.format(shard=1), tmp_path)
        try:
            yield server_site
        finally:
            await server_site.end()
