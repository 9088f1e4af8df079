"""Database servers: connections that break, wait, and are shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from dwarf.errors import ConfigError, EngineClosed
from dwarf.storage.drivers.connect import open_database
from dwarf.storage.drivers.mysql import read_version
from dwarf.storage.sql.errors import Unavailable
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Script, Statement, UpdateEach
from tests.storage.support import ADD, KEEP, KEPT, RAISE, adding, counters, observed, opened, raising
from tests.support.servers import fresh_database, query, servers

pytestmark = pytest.mark.server

SLEEP = {"postgresql": "SELECT pg_sleep(0.3)", "mariadb": "SELECT SLEEP(0.3)"}
OWN_ID = {"postgresql": "SELECT pg_backend_pid()", "mariadb": "SELECT CONNECTION_ID()"}
END = {"postgresql": "SELECT pg_terminate_backend({})", "mariadb": "KILL {}"}


@pytest.fixture(params=servers())
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
async def url(kind: str) -> AsyncIterator[str]:
    with fresh_database(kind) as pattern:
        yield pattern.format(shard=1)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Any]:
    async with opened(url) as database:
        yield database


def fetching(words: str) -> Callable[[], Script[Any]]:
    """A script of one query in the server's own SQL."""
    statement = Statement("own_words", text(words))

    def script() -> Script[Any]:
        return (yield Fetch(statement, {}))

    return script


async def connections(database: Any, kind: str, count: int) -> set[int]:
    """The server's numbers of as many connections of a database."""
    both = asyncio.Barrier(count)

    async def one() -> int:
        rows = await database.read(fetching(OWN_ID[kind]))
        await both.wait()
        return int(rows[0][0])

    return set(await asyncio.gather(*(one() for _ in range(count))))


# ------------------------------------------------------------------ callers


async def test_a_cancelled_caller_stops_no_write_and_leaves_no_transaction(database: Any, kind: str) -> None:
    slow = Statement("slow", text(SLEEP[kind]))

    def script() -> Script[None]:
        yield Execute(ADD, {"of_kind": "a", "first": 1})
        yield Fetch(slow, {})
        yield Execute(ADD, {"of_kind": "b", "first": 2})

    with observed(database) as seen:
        task = asyncio.create_task(database.write(script))
        while not any(name == "add" for name, _ in seen):
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.gather(*database._running)
    assert await database.read(counters) == {"a": 1, "b": 2}
    assert all(link.usable for link in database._pool._idle)


async def test_a_write_that_fails_after_its_caller_has_gone_is_logged(
    database: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script[None]:
        yield Execute(ADD, {"of_kind": "a", "first": 1})
        yield Fetch(Statement("slow", text(SLEEP[kind])), {})
        raise ZeroDivisionError

    with observed(database) as seen:
        task = asyncio.create_task(database.write(script))
        while not seen:
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(*database._running)
    await asyncio.sleep(0)
    assert "failed after its caller had gone" in caplog.text


async def test_closing_finishes_what_was_handed_in(url: str, kind: str) -> None:
    async with opened(url) as database:

        def script() -> Script[None]:
            yield Execute(ADD, {"of_kind": "a", "first": 1})
            yield Fetch(Statement("slow", text(SLEEP[kind])), {})

        with observed(database) as seen:
            task = asyncio.create_task(database.write(script))
            while not seen:
                await asyncio.sleep(0.005)
        await database.aclose()
        await task
        with pytest.raises(EngineClosed):
            await database.write(script)
    async with opened(url) as database:
        assert await database.read(counters) == {"a": 1}


# ------------------------------------------------------------------ transactions that meet


async def test_transactions_that_lock_each_other_out_are_run_again(database: Any) -> None:
    await database.write(adding("a", 0))
    await database.write(adding("b", 0))

    def crossing(first: str, second: str) -> Callable[[], Script[None]]:
        def script() -> Script[None]:
            yield Execute(RAISE, {"of_kind": first, "by": 1})
            yield Execute(RAISE, {"of_kind": second, "by": 1})

        return script

    both = [crossing("a", "b"), crossing("b", "a")]
    await asyncio.gather(*(database.write(script) for _ in range(6) for script in both))
    assert await database.read(counters) == {"a": 12, "b": 12}


async def test_a_read_is_one_snapshot(database: Any) -> None:
    await database.write(adding("a", 0))
    with observed(database) as seen:

        def twice() -> Script[Any]:
            first = yield from counters()
            yield from counters()
            again = yield from counters()
            return first, again

        raised: list[asyncio.Task[int]] = []
        note = database.observer

        def raise_between(name: str, rows: int) -> None:
            note(name, rows)
            if name == "counters" and not raised:
                raised.append(asyncio.ensure_future(database.write(raising("a"))))

        database.observer = raise_between
        first, again = await database.read(twice)
        await raised[0]
    assert seen
    assert first == again == {"a": 0}
    assert await database.read(counters) == {"a": 1}


async def test_a_taken_key_is_looked_for_again(database: Any, kind: str) -> None:
    """Two that look, find nothing, and insert: the second looks again and finds what the first has made."""
    look = Statement("look", text("SELECT next_id FROM dwarf_ids WHERE kind = 'a'"))
    runs = 0

    def find_or_add(first: int) -> Callable[[], Script[int]]:
        def script() -> Script[int]:
            nonlocal runs
            runs += 1
            rows = yield Fetch(look, {})
            if rows:
                return int(rows[0][0])
            yield Fetch(Statement("slow", text(SLEEP[kind])), {})
            yield InsertMany(ADD, [{"of_kind": "a", "first": first}])
            return first

        return script

    results = await asyncio.gather(*(database.write(find_or_add(number)) for number in range(1, 9)))
    assert len(set(results)) == 1
    assert runs > 8


# ------------------------------------------------------------------ connections


async def test_connections_that_the_server_has_dropped_are_replaced(database: Any, kind: str) -> None:
    await database.write(adding("a", 0))
    for number in await connections(database, kind, 3):
        query(kind, END[kind].format(number))
    await asyncio.gather(
        *(database.write(raising("a")) for _ in range(5)), *(database.read(counters) for _ in range(5))
    )
    assert await database.read(counters) == {"a": 5}


async def test_a_connection_lost_in_a_transaction_is_no_fault_of_the_data(database: Any, kind: str) -> None:
    own = Statement("own", text(OWN_ID[kind]))
    runs = 0

    def script() -> Script[None]:
        nonlocal runs
        runs += 1
        yield Execute(ADD, {"of_kind": "a", "first": 1})
        rows = yield Fetch(own, {})
        query(kind, END[kind].format(rows[0][0]))
        yield Execute(ADD, {"of_kind": "b", "first": 1})

    with pytest.raises(Unavailable, match="not available"):
        await database.write(script)
    assert runs == 1
    assert await database.read(counters) == {}
    await database.write(adding("a"))
    assert await database.read(counters) == {"a": 1}


async def test_a_server_that_is_not_there_is_unavailable(kind: str, url: str) -> None:
    nowhere = make_url(url).set(port=1).render_as_string(hide_password=False)
    with pytest.raises(Unavailable, match="connect"):
        await open_database(nowhere).open()


@pytest.mark.parametrize(("part", "value"), [("password", "wr0ng"), ("username", "nobody"), ("database", "nowhere")])
async def test_a_refused_user_and_a_missing_database_are_said(kind: str, url: str, part: str, value: str) -> None:
    parsed = make_url(url)
    wrong = parsed.set(**{part: value}).render_as_string(hide_password=False)
    with pytest.raises(ConfigError, match="cannot be used") as caught:
        await open_database(wrong).open()
    assert str(parsed.password) not in str(caught.value)
    assert "wr0ng" not in str(caught.value)


async def test_no_more_connections_than_allowed_and_nobody_is_refused(url: str, kind: str) -> None:
    async with opened(url, max_connections=2) as database:
        await database.write(adding("a", 0))
        opened_at_once: set[int] = set()  # one that the server ends is replaced, so that numbers of sessions tell less

        def note() -> Script[None]:
            opened_at_once.add(database._pool._open)
            yield Execute(RAISE, {"of_kind": "a", "by": 1})

        await asyncio.gather(*(database.write(note) for _ in range(40)), *(database.read(counters) for _ in range(40)))
        assert max(opened_at_once) == 2
        database.resize(4)
        assert len(await connections(database, kind, 2)) == 2
        database.resize(1)
        opened_at_once.clear()
        await asyncio.gather(*(database.write(note) for _ in range(10)))
        assert opened_at_once == {1}
        assert await database.read(counters) == {"a": 50}


async def test_a_write_does_not_wait_behind_reads(url: str, kind: str) -> None:
    async with opened(url, max_connections=3) as database:
        reads = [asyncio.create_task(database.read(fetching(SLEEP[kind]))) for _ in range(6)]
        await asyncio.sleep(0.02)
        await database.write(adding("a"))
        assert not reads[-1].done()
        await asyncio.gather(*reads)


async def test_a_reader_that_gave_up_waiting_takes_no_place(url: str, kind: str) -> None:
    async with opened(url, max_connections=1) as database:
        first = asyncio.create_task(database.read(fetching(SLEEP[kind])))
        await asyncio.sleep(0.02)
        waiting = [asyncio.create_task(database.read(counters)) for _ in range(3)]
        await asyncio.sleep(0.02)
        for task in waiting:
            task.cancel()
        await first
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.gather(*database._running)
        assert database._pool._busy == 0
        assert await database.read(counters) == {}


# ------------------------------------------------------------------ values


async def test_texts_that_no_text_of_postgresql_holds_come_back(database: Any) -> None:
    values = {"nul": "\0", "mark": "\U0010ffff", "both": "\U0010ffff0\0\U0010ffff1", "looks": "\U0010ffff\U0010ffff0"}

    def keep() -> Script[None]:
        yield InsertMany(KEEP, [{"name": name, "value": value} for name, value in values.items()])

    await database.write(keep)
    assert dict(await database.read(lambda: (yield Fetch(KEPT, {})))) == values


async def test_many_rows_are_one_statement_or_few(database: Any) -> None:
    def fill() -> Script[None]:
        yield InsertMany(KEEP, [{"name": f"k{n:05}", "value": "x" * 500} for n in range(5000)])

    await database.write(fill)
    rows = await database.read(lambda: (yield Fetch(KEPT, {})))
    assert len(rows) == 5000


async def test_updates_of_one_row_are_made_one_after_the_other(database: Any) -> None:
    await database.write(adding("a", 0))
    by_id = Statement("by_id", text("UPDATE dwarf_ids SET next_id = next_id + 1 WHERE kind = :id").bindparams(id="a"))

    def script() -> Script[Any]:
        return (yield UpdateEach(by_id, [{"id": "a"}, {"id": "b"}, {"id": "a"}]))

    assert await database.write(script) == [True, False, True]
    assert await database.read(counters) == {"a": 2}


@pytest.mark.parametrize(
    ("greeting", "version"),
    [
        ("8.0.36", ((8, 0), False)),
        ("8.4.2-commercial", ((8, 4), False)),
        ("10.11.6-MariaDB-0+deb12u1", ((10, 11), True)),
        ("5.5.5-10.5.23-MariaDB-log", ((10, 5), True)),
        ("11.4.2-MariaDB-ubu2404", ((11, 4), True)),
        ("5.7.44", ((5, 7), False)),
        ("unknown", ((0, 0), False)),
    ],
)
def test_versions_are_read(greeting: str, version: tuple[tuple[int, int], bool]) -> None:
    assert read_version(greeting) == version
