"""From a URL to a database, or to an error that helps."""

from __future__ import annotations

import gc
import sqlite3
import sys
from pathlib import Path

import pytest

from dwarf.errors import ConfigError
from dwarf.storage.drivers.connect import open_database
from dwarf.storage.drivers.memory import MemoryDatabase
from dwarf.storage.drivers.server import ServerDatabase
from dwarf.storage.drivers.sqlite import SqliteDatabase
from dwarf.testing import VirtualClock
from tests.storage.support import adding, child, counters, opened


@pytest.mark.parametrize("form", ["sqlite:///{}", "sqlite+aiosqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_file(form: str, tmp_path: Path) -> None:
    database = open_database(form.format(tmp_path / "flows.db"))
    assert isinstance(database, SqliteDatabase)
    assert database.path == tmp_path / "flows.db"


def test_a_relative_file_stays_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = open_database("sqlite:///flows.db")
    monkeypatch.chdir("/")
    assert isinstance(database, SqliteDatabase)
    assert database.path == tmp_path / "flows.db"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (None, None),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite+aiosqlite://", None),
        ("sqlite:///file:lab?mode=memory", "lab"),
        ("sqlite:///file:lab?mode=memory&cache=shared&uri=true", "lab"),
    ],
)
def test_memory(url: str | None, name: str | None) -> None:
    database = open_database(url)
    assert isinstance(database, MemoryDatabase)
    assert database.name == name


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@host:1/flows", "postgresql://me:***@host:1/flows"),
        ("postgresql+asyncpg://me:s3cret@host/flows?sslmode=require", "postgresql+asyncpg://me:***@host/flows"),
        ("postgres://me@host/flows?password=s3cret", "postgres://me@host/flows"),
        ("mysql://me:s3cret@host/flows", "mysql://me:***@host/flows"),
        ("mariadb://me:s3cret@host/flows", "mariadb://me:***@host/flows"),
        ("mysql+asyncmy://me:s3cret@host/flows?ssl=true", "mysql+asyncmy://me:***@host/flows"),
        ("mariadb+asyncmy://me:s3cret@host/flows", "mariadb+asyncmy://me:***@host/flows"),
    ],
)
def test_a_server_is_named_without_its_password(url: str, shown: str) -> None:
    database = open_database(url, max_connections=3)
    assert isinstance(database, ServerDatabase)
    assert shown in repr(database)
    assert "s3cret" not in repr(database)


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("postgresql+psycopg://me:s3cret@host/flows", r"asyncpg.*postgresql\+asyncpg://"),
        ("mysql+aiomysql://me:s3cret@host/flows", r"asyncmy.*mysql\+asyncmy://"),
        ("mssql+aioodbc://me:s3cret@host/flows?driver=x", "SQL Server.*compiled but not run"),
        ("mysql://me:s3cret@host", "names no database"),
        ("mysql://me:s3cret@host/flows?colour=red", "no option colour"),
        ("mysql://me:s3cret@host/flows?ssl_colour=red", "no option ssl_colour"),
        ("mysql://me:s3cret@host/flows?connect_timeout=s3cret", "connect_timeout.*whole number"),
        ("postgresql://me:s3cret@host/flows?command_timeout=s3cret", "command_timeout.*whole number"),
    ],
)
def test_a_server_that_cannot_be_used_so_is_refused(url: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong) as caught:
        open_database(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://host/flows", "mysql://host/flows"])
def test_a_server_keeps_its_own_time(url: str) -> None:
    with pytest.raises(ConfigError, match="virtual clock needs SQLite"):
        open_database(url, clock=VirtualClock())


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [("postgresql://host/flows", "asyncpg", "postgresql"), ("mariadb://host/flows", "asyncmy", "mysql")],
)
def test_a_missing_driver_is_named_with_its_extra(
    url: str, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    for module in ("postgresql", "mysql", "listening"):
        monkeypatch.delitem(sys.modules, f"dwarf.storage.drivers.{module}", raising=False)
    with pytest.raises(ConfigError, match=rf'{driver}.*pip install "dwarf\[{extra}\]"'):
        open_database(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "flows.db",
        "oracle://me:s3cret@host/flows",
        "sqlite+magic:///flows.db",
        "sqlite://me:s3cret@host/flows.db",
        "sqlite://s3cret.db",
        "sqlite:///flows.db?password=s3cret",
        "sqlite:///flows.db?timeout=s3cret",
        "sqlite:///file:flows.db?mode=ro",
        "me:s3cret@host",
        "postgresql://me:s3cret@host:port/flows",
        b"sqlite://",
        7,
    ],
)
def test_anything_else_is_refused_with_the_forms_that_are_not(url: str) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:///file\.db") as caught:
        open_database(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"directory '{tmp_path}/missing'.*does not exist"):
        open_database(f"sqlite:///{tmp_path}/missing/flows.db")
    with pytest.raises(ConfigError, match="is a directory"):
        open_database(f"sqlite:///{tmp_path}")


def test_durability_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="durability"):
        open_database(f"sqlite:///{tmp_path}/flows.db", durability="none")  # type: ignore[arg-type]


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database " * 100)
    with pytest.raises(ConfigError, match="not an SQLite database"):
        async with opened(f"sqlite:///{tmp_path}/notes.txt"):
            pass


async def test_a_place_without_a_write_ahead_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # `unix-none` has no shared memory, as a network file system has none.
    real = sqlite3.connect
    monkeypatch.setattr(
        "dwarf.storage.drivers.sqlite.sqlite3.connect",
        lambda database, **options: real(f"file:{database}?vfs=unix-none", uri=True, **options),
    )
    with pytest.raises(ConfigError, match=r"write-ahead log.*network file systems"):
        async with opened(f"sqlite:///{tmp_path}/flows.db"):
            pass
    gc.collect()


async def test_odd_file_names_work(tmp_path: Path) -> None:
    path = tmp_path / "flöws #1 ü?.db"
    async with opened(f"sqlite:///{tmp_path}/flöws %231 ü%3F.db") as database:
        await database.write(adding("a"))
        assert await database.read(counters) == {"a": 1}
        await database.claim_engine_id()
    assert path.exists()


async def test_a_program_that_forgets_to_close_ends(tmp_path: Path) -> None:
    async with child("forget", f"sqlite:///{tmp_path}/flows.db") as process:
        assert await process.hear() == "read"
        assert await process.done() == 0
    async with opened(f"sqlite:///{tmp_path}/flows.db") as database:
        assert await database.read(counters) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["flows.db"]
