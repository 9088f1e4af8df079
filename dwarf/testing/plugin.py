"""Pytest fixtures, found by pytest wherever dwarf is installed.

They need no asynchronous plugin of a certain kind: the engine comes not yet started, for ``async with``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dwarf.engine import Engine
    from dwarf.hosts import LocalHost
    from dwarf.testing.clock import VirtualClock


@pytest.fixture
def dwarf_host() -> LocalHost:
    """A host of the test's own, for its tasks and graphs."""
    from dwarf.hosts import LocalHost

    return LocalHost()


@pytest.fixture
def dwarf_clock() -> VirtualClock:
    """A clock for the test's engine: delays and retries pass at once, ``advance`` moves deadlines on."""
    from dwarf.testing.clock import VirtualClock

    return VirtualClock()


@pytest.fixture
def dwarf_engine(request: pytest.FixtureRequest) -> Callable[..., Engine]:
    """Makes engines that share one database in memory, the test's own: ``async with dwarf_engine(host) as engine``.

    Takes what ``engine_for_test`` takes, less the name.
    """
    from dwarf.testing.engines import engine_for_test

    name = request.node.nodeid

    def make(host: Any, **settings: Any) -> Engine:
        return engine_for_test(name, host, **settings)

    return make
