"""What every test shares."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.servers import fresh_database, servers

if TYPE_CHECKING:
    from dwarf.engine import Engine
    from dwarf.hosts import LocalHost
    from dwarf.testing import VirtualClock
    from tests.support.workflows import Running

STRICT = os.environ.get("DWARF_CI", "0") == "1"
# What a test with the fixture `engine` or `running` is run on: SQLite, and the servers there are.
DATABASES = ("memory", "file", *servers())

# How long an example takes says something about the machine, and nothing about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Variables that change what programs print or what a lab answers.
UNWANTED = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "DWARF_ANSWERS", "DWARF_URL")


def _settle_in() -> None:
    """Make the place alike, wherever the tests are run from: a script that starts a job by `&` has SIGINT ignored.

    Programs that tests start inherit all of this.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    os.umask(0o022)
    for name in UNWANTED:
        os.environ.pop(name, None)


def pytest_configure(config: pytest.Config) -> None:
    """Use the fixtures of `dwarf.testing` also where the package is not installed and so has no entry point."""
    _settle_in()
    if not config.pluginmanager.has_plugin("dwarf"):
        config.pluginmanager.register(import_module("dwarf.testing.plugin"), "dwarf")


def _refuse_skip(report: Any) -> None:
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which DWARF_CI=1 forbids: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """With DWARF_CI=1 nothing may be left out: a skipped test fails.

    No garbage is collected meanwhile: reports parse the failed code, and so does a traceback that a finalizer logs
    in the middle of it. Before Python 3.11.8 the parser cannot be entered twice and answers with a SystemError,
    which ends the whole run.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        report = yield
    finally:
        if collects:
            gc.enable()
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[Any]:
    """The same for a whole module that skips itself."""
    report = yield
    _refuse_skip(report)
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests about servers have nothing to run on without one; a virtual clock moves the time of SQLite only.

    With DWARF_SHUFFLE=seed the tests of every file, and the files, come in a random order, the same in every worker.
    """
    if seed := os.environ.get("DWARF_SHUFFLE"):
        order = random.Random(seed)
        files: dict[Path, list[pytest.Item]] = {}
        for item in items:
            files.setdefault(item.path, []).append(item)
        groups = list(files.values())
        order.shuffle(groups)
        for group in groups:
            order.shuffle(group)
        items[:] = [item for group in groups for item in group]
    left_out = [item for item in items if _needs_sqlite(item) or _needs_server(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def _needs_server(item: pytest.Item) -> bool:
    """A test on a server, or with a parameter for each, where there is none."""
    if servers() or item.path.name == "test_scripts.py":  # that one starts its own
        return False
    reasons = [str(mark.kwargs.get("reason", "")) for mark in item.iter_markers("skip")]
    asks = item.get_closest_marker("server") is not None
    return asks or any(reason.startswith("got empty parameter set") for reason in reasons)


def _needs_sqlite(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    on_server = callspec is not None and callspec.params.get("database") in servers()
    return on_server and "clock" in getattr(item, "fixturenames", ())


# ---------------------------------------------------------------- engines


@pytest.fixture
def host() -> Iterator[LocalHost]:
    """An empty host."""
    from dwarf.hosts import LocalHost

    host = LocalHost()
    yield host
    host.close()


@pytest.fixture
def clock() -> VirtualClock:
    """A virtual clock. A test that asks for it gets engines that run by it."""
    from dwarf.testing import VirtualClock

    return VirtualClock()


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The kind of database of a test; `engine_for_test` makes its databases there."""
    kind: str = request.param
    if kind in servers():
        with fresh_database(kind) as url:
            monkeypatch.setenv("DWARF_TEST_URL", url)
            yield kind
        return
    if kind == "file":
        # two slashes more than the three of a URL would be a host
        monkeypatch.setenv("DWARF_TEST_URL", f"sqlite:///{tmp_path}/{{name}}-{{shard}}.db")
    else:
        monkeypatch.delenv("DWARF_TEST_URL", raising=False)
    yield kind


@pytest.fixture
def running(request: pytest.FixtureRequest, database: str, host: LocalHost) -> Running:
    """Start an engine: `async with running(workers=2) as engine`. All of one test share one database.

    When the block ends, the database must keep every invariant, and the engine must leave nothing behind.
    """
    from dwarf.testing import engine_for_test
    from tests.support.invariants import check_invariants

    test = re.sub(r"\W+", "-", request.node.name)[:100]
    clock = request.getfixturevalue("clock") if "clock" in request.fixturenames else None

    @asynccontextmanager
    async def run(**settings: Any) -> AsyncIterator[Engine]:
        before = asyncio.all_tasks()
        engine = engine_for_test(test, settings.pop("host", host), clock=settings.pop("clock", clock), **settings)
        await engine.start()
        shared = engine._context
        assert shared is not None
        try:
            yield engine
            if engine._started:
                await check_invariants(engine)
        finally:
            await engine.aclose(grace=10)  # a test that failed may have left its tasks waiting
        assert shared.slots.taken == 0, "a place for a task was not given back"
        left = {task for task in asyncio.all_tasks() - before if task.get_name().startswith("dwarf-")}
        assert not left, f"the engine left tasks behind: {left}"

    return run


@pytest.fixture
async def engine(running: Running) -> AsyncIterator[Engine]:
    """A running engine on a database of the test's own, closed and checked at the end."""
    async with running() as engine:
        yield engine


@pytest.fixture
def quiet() -> Iterator[None]:
    """Engines look for nothing by themselves, if they have the timing QUIET, too."""
    from tests.support.quiet import quietness

    with quietness():
        yield
