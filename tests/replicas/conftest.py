"""Several engines, in one process and in several, on one database server."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.conftest import Process, Site
from tests.replicas.standstill import watched
from tests.support.servers import fresh_database, query, servers

# these tests are about servers: without one there is nothing to collect
collect_ignore_glob = [] if servers() else ["test_*.py"]


class ServerSite(Site):
    """One database on a server, with its processes and their ledger."""

    def __init__(self, kind: str, url: str, folder: Path) -> None:
        super().__init__(folder)
        self._kind = kind
        self.path: Any = url  # what a process opens

    def rows(self, words: str) -> list[tuple[Any, ...]]:
        """What a query reads."""
        return query(self._kind, words, url=self.path)

    def stand_still(self, process: Process) -> None:
        """Stop a process."""
        process.signal(signal.SIGSTOP)

    async def end(self) -> None:
        """Kill what still runs. Nobody has written an error."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
        assert "Traceback" not in self.errors(), self.errors()


@pytest.fixture(params=servers())
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The kind of server of a test."""
    kind: str = request.param
    with fresh_database(kind) as url:
        monkeypatch.setenv("DWARF_TEST_URL", watched(kind, url))
        yield kind


@pytest.fixture(params=servers())
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerSite]:
    """An empty database on a server, for processes. ``@pytest.mark.bare``: without tables."""
    with fresh_database(request.param, bare=request.node.get_closest_marker("bare") is not None) as url:
        site = ServerSite(request.param, url.format(shard=1), tmp_path)
        try:
            yield site
        finally:
            await site.end()
