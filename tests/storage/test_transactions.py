"""What every database promises: a script is one transaction, whole or not at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, text, update

from dwarf.errors import EngineClosed, StateConflict, StorageError
from dwarf.storage.sql.errors import PayloadRefused
from dwarf.storage.sql.expressions import in_ids
from dwarf.storage.sql.script import Execute, Fetch, Guarded, InsertMany, Now, Script, Statement, UpdateEach, WriteSet
from dwarf.storage.sql.tables import graphs, ids
from tests.storage.support import ADD, KEEP, KEPT, RAISE, adding, counters, observed, opened, raising, url_of
from tests.support.servers import servers

KINDS = ["file", "memory", *servers()]


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    with url_of(request.param, tmp_path) as url:
        async with opened(url) as database:
            yield database


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Any]:
    async with opened(f"sqlite:///{tmp_path}/flows.db") as database:
        yield database


async def test_a_script_is_committed_and_answers_its_result(database: Any) -> None:
    assert await database.write(adding("a", 5)) == 1
    assert await database.read(counters) == {"a": 5}


@pytest.mark.parametrize("error", [StateConflict("no"), ZeroDivisionError("bug"), KeyboardInterrupt()])
async def test_an_error_of_the_script_undoes_everything_and_comes_out_as_it_is(
    database: Any, error: BaseException
) -> None:
    def script() -> Script[None]:
        yield Execute(ADD, {"of_kind": "a", "first": 1})
        raise error

    caught: list[BaseException] = []
    try:
        await database.write(script)
    except BaseException as raised:
        caught.append(raised)
    assert caught == [error]
    await database.write(adding("b"))
    assert await database.read(counters) == {"b": 1}


async def test_an_error_of_the_database_undoes_everything(database: Any) -> None:
    await database.write(adding("a"))

    def script() -> Script[None]:
        yield Execute(ADD, {"of_kind": "b", "first": 1})
        yield Execute(ADD, {"of_kind": "a", "first": 1})

    with pytest.raises(PayloadRefused) as caught:
        await database.write(script)
    assert caught.value.duplicate
    assert caught.value.__cause__ is not None
    assert await database.read(counters) == {"a": 1}


async def test_a_script_that_catches_nothing_is_closed(database: Any) -> None:
    ended: list[str] = []

    def script() -> Script[None]:
        try:
            yield Execute(ADD, {"of_kind": None, "first": 1})
        finally:
            ended.append("closed")

    with pytest.raises(PayloadRefused):
        await database.write(script)
    assert ended == ["closed"]


async def test_a_script_with_a_wrong_request_leaves_the_connection_usable(database: Any) -> None:
    def nonsense() -> Script[None]:
        yield Execute(ADD, {"of_kind": "a", "first": 1})
        yield "what?"  # type: ignore[misc]

    def incomplete() -> Script[None]:
        yield Execute(ADD, {"of_kind": "a"})

    with pytest.raises(TypeError):
        await database.write(nonsense)
    with pytest.raises(KeyError):
        await database.write(incomplete)
    await database.write(adding("b"))
    assert await database.read(counters) == {"b": 1}


async def test_guarded_undoes_only_its_own_part(database: Any) -> None:
    def refused() -> Script[None]:
        yield Execute(ADD, {"of_kind": "c", "first": 1})
        raise StateConflict("lost")

    def duplicate() -> Script[None]:
        yield Execute(ADD, {"of_kind": "d", "first": 1})
        yield Execute(ADD, {"of_kind": "a", "first": 1})

    def nested() -> Script[Any]:
        yield Execute(ADD, {"of_kind": "e", "first": 1})
        inner = yield Guarded(refused)
        return inner

    def script() -> Script[list[Any]]:
        yield Execute(ADD, {"of_kind": "a", "first": 1})
        answers = []
        for part in (refused, duplicate, nested, adding("b")):
            answers.append((yield Guarded(part)))
        return answers

    lost, twice, deep, fine = await database.write(script)
    assert (lost[0], type(lost[1])) == (None, StateConflict)
    assert (twice[0], type(twice[1])) == (None, PayloadRefused)
    assert (type(deep[0][1]), deep[1]) == (StateConflict, None)
    assert fine == (1, None)
    assert await database.read(counters) == {"a": 1, "b": 1, "e": 1}


async def test_guarded_lets_a_bug_pass(database: Any) -> None:
    def bug() -> Script[None]:
        yield Execute(ADD, {"of_kind": "b", "first": 1})
        raise ZeroDivisionError

    def script() -> Script[None]:
        yield Execute(ADD, {"of_kind": "a", "first": 1})
        yield Guarded(bug)

    with pytest.raises(ZeroDivisionError):
        await database.write(script)
    assert await database.read(counters) == {}


async def test_update_each_tells_which_rows_matched(database: Any) -> None:
    def script() -> Script[list[bool]]:
        yield InsertMany(ADD, [{"of_kind": kind, "first": 1} for kind in "ac"])
        flags: list[bool] = yield UpdateEach(RAISE, [{"of_kind": kind, "by": 1} for kind in "abca"])
        return flags

    assert await database.write(script) == [True, False, True, True]
    assert await database.read(counters) == {"a": 3, "c": 2}


async def test_many_of_nothing_is_nothing(database: Any) -> None:
    def script() -> Script[Any]:
        inserted = yield InsertMany(ADD, [])
        updated = yield UpdateEach(RAISE, [])
        return inserted, updated

    assert await database.write(script) == (None, [])


@pytest.mark.parametrize("database", [kind for kind in KINDS if kind != "mariadb"], indirect=True)  # it has none
async def test_rows_are_counted_also_behind_a_with(database: Any) -> None:
    statement = Statement(
        "with_update",
        text(
            "WITH found AS (SELECT 'a' AS kind) UPDATE dwarf_ids SET next_id = 9 WHERE kind IN (SELECT kind FROM found)"
        ),
    )

    def script() -> Script[Any]:
        yield Execute(ADD, {"of_kind": "a", "first": 1})
        return (yield Execute(statement, {})), (yield UpdateEach(statement, [{}]))

    assert await database.write(script) == (1, [True])


async def test_the_clock_is_the_databases(database: Any) -> None:
    def script() -> Script[int]:
        now: int = yield Now()
        return now

    before = time.time() * 1000
    written, read = await database.write(script), await database.read(script)
    assert before - 2 <= written <= read <= time.time() * 1000 + 2
    assert isinstance(written, int)


async def test_any_number_of_ids_is_one_parameter(database: Any) -> None:
    chosen = Statement("chosen", select(ids.c.kind).where(in_ids(ids.c.next_id, "wanted")).order_by(ids.c.kind))

    def fill() -> Script[None]:
        yield InsertMany(ADD, [{"of_kind": f"k{n}", "first": 2**62 + n} for n in range(5)])

    def script(wanted: list[int]) -> Script[Any]:
        return (yield Fetch(chosen, {"wanted": wanted}))

    await database.write(fill)
    assert await database.read(partial(script, [])) == []
    wanted = [2**62 + 3, *range(3, 100_000), 2**62 + 1]
    assert await database.read(partial(script, wanted)) == [("k1",), ("k3",)]


VALUES = {
    "astral": "𝔘𝔫𝔦 🦀 \u200d é e\u0301",
    "empty": "",
    "json": '{"n": 123456789012345678901234567890, "nul": "\\u0000"}',
    "large": "x" * 3_000_000,
    "lines": "a\r\nb\tc",
    "nul": "a\0b\0",
    "quotes": 'it\'s "so" -- ; ?',
}


async def test_texts_come_back_as_they_were(database: Any) -> None:
    def keep() -> Script[None]:
        yield InsertMany(KEEP, [{"name": name, "value": value} for name, value in VALUES.items()])

    def kept() -> Script[Any]:
        return (yield Fetch(KEPT, {}))

    await database.write(keep)
    assert dict(await database.read(kept)) == VALUES


@pytest.mark.parametrize("value", ["\ud800", 2**63, object()], ids=["surrogate", "integer", "object"])
async def test_a_value_the_database_cannot_hold_is_the_datas_fault(database: Any, value: object) -> None:
    def script() -> Script[None]:
        yield Execute(KEEP, {"name": "a", "value": "fine"})
        yield Execute(KEEP, {"name": "b", "value": value})

    with pytest.raises(PayloadRefused, match=r"refused the data \(keep\)") as caught:
        await database.write(script)
    assert len(str(caught.value)) < 300
    assert await database.read(lambda: (yield Fetch(KEPT, {}))) == []


async def test_a_value_that_is_too_long_is_the_datas_fault(file: Any) -> None:
    too_long = Statement("too_long", text("INSERT INTO dwarf_graphs VALUES ('a', zeroblob(1000000001))"))
    with pytest.raises(PayloadRefused, match="TOOBIG"):
        await file.write(lambda: (yield Execute(too_long, {})))


async def test_integers_of_64_bits_are_exact(database: Any) -> None:
    await database.write(adding("high", 2**63 - 1))
    await database.write(adding("low", -(2**63)))
    assert await database.read(counters) == {"high": 2**63 - 1, "low": -(2**63)}


async def test_a_read_may_not_write(database: Any) -> None:
    with pytest.raises((StorageError, TypeError)):
        await database.read(adding("a"))
    returning = Statement("sneaky", text("INSERT INTO dwarf_ids (kind, next_id) VALUES ('a', 1) RETURNING kind"))
    with pytest.raises(StorageError):
        await database.read(lambda: (yield Fetch(returning, {})))
    await database.write(adding("b"))
    assert await database.read(counters) == {"b": 1}


async def test_a_read_without_a_transaction_may_not_write_either(database: Any) -> None:
    await database.write(adding("a"))
    returning = Statement("returning", update(ids).values(next_id=5).returning(ids.c.next_id))

    def fetching() -> Script[None]:
        yield Fetch(returning, {}, autocommit=True)

    def write_set() -> Script[None]:
        yield WriteSet([UpdateEach(RAISE, [{"of_kind": "a", "by": 1}])], [], last=True)

    for script in (fetching, write_set):
        with pytest.raises((StorageError, TypeError)):
            await database.read(script)
    assert await database.read(counters) == {"a": 1}


async def test_a_read_fails_like_a_write(database: Any) -> None:
    def script() -> Script[None]:
        yield Fetch(KEPT, {})
        raise StateConflict("no")

    with pytest.raises(StateConflict):
        await database.read(script)
    missing = Statement("missing", text("SELECT * FROM nowhere"))
    with pytest.raises(StorageError, match="missing"):
        await database.read(lambda: (yield Fetch(missing, {})))
    too_much = Statement("too_much", select(graphs.c.body).where(graphs.c.graph_hash == bindparam("name")))
    with pytest.raises(PayloadRefused):
        await database.read(lambda: (yield Fetch(too_much, {"name": 2**64})))
    assert await database.read(counters) == {}


async def test_a_read_sees_every_write_that_was_answered(database: Any) -> None:
    await database.write(adding("a", 0))
    for expected in range(1, 101):
        await database.write(raising("a"))
        assert await database.read(counters) == {"a": expected}


async def test_many_tasks_write_and_read_together(database: Any) -> None:
    await database.write(adding("a", 0))

    async def work() -> None:
        for _ in range(10):
            await database.write(raising("a"))
            await database.read(counters)

    await asyncio.gather(*(work() for _ in range(20)))
    assert await database.read(counters) == {"a": 200}


async def test_several_loops_share_one_database(database: Any) -> None:
    await database.write(adding("a", 0))

    async def work() -> dict[str, int]:
        for _ in range(20):
            await database.write(raising("a"))
        return await database.read(counters)  # type: ignore[no-any-return]

    results = await asyncio.gather(*(asyncio.to_thread(lambda: asyncio.run(work())) for _ in range(3)), work())
    assert max(result["a"] for result in results) == 80
    assert await database.read(counters) == {"a": 80}


async def test_the_observer_counts_statements_and_transactions(database: Any) -> None:
    def script() -> Script[None]:
        yield InsertMany(ADD, [{"of_kind": kind, "first": 1} for kind in "abc"])
        yield UpdateEach(RAISE, [{"of_kind": kind, "by": 1} for kind in "ab"])

    with observed(database) as seen:
        await database.write(script)
        written = list(seen)
        await database.read(counters)
    assert written == [("begin", 0), ("add", 3), ("raise", 2), ("commit", 0)]
    assert ("counters", 3) in seen[4:]


async def test_a_closed_database_says_so(database: Any) -> None:
    await database.aclose()
    await database.aclose()
    for call in (database.write(counters), database.read(counters), database.changed(), database.claim_engine_id()):
        with pytest.raises(EngineClosed):
            await call


async def test_opening_twice_is_opening_once(database: Any) -> None:
    await database.write(adding("a"))
    await database.open()
    assert await database.read(counters) == {"a": 1}
