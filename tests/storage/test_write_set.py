"""Fenced writes, and what depends on them: what a row needs decides whether it is written, on every database."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, update

from dwarf.storage.drivers.batches import write_set_batch
from dwarf.storage.drivers.connection import ServerClock
from dwarf.storage.sql.errors import PayloadRefused
from dwarf.storage.sql.script import (
    AggregatedUpdate,
    Execute,
    Fetch,
    InsertMany,
    Now,
    Script,
    Statement,
    UpdateEach,
    WriteSet,
)
from dwarf.storage.sql.tables import ids
from tests.storage.support import ADD, KEEP, KEPT, RAISE, adding, counters, opened, url_of
from tests.support.servers import servers

CAP = Statement(
    "cap",
    update(ids)
    .where(ids.c.kind == bindparam("of_kind"), ids.c.next_id < bindparam("most"))
    .values(next_id=bindparam("most")),
)


@pytest.fixture(params=["file", "memory", *servers()])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    with url_of(request.param, tmp_path) as url:
        async with opened(url) as database:
            for kind in "abc":
                await database.write(adding(kind))
            yield database


def write_set(*, last: bool, names: str = "wxyz") -> WriteSet:
    """Two of three counters are there; a cap that holds already; rows that need one, the other, or none."""
    own = UpdateEach(RAISE, [{"of_kind": kind, "by": 1} for kind in ("a", "gone", "b")])
    capped = UpdateEach(CAP, [{"of_kind": "c", "most": most} for most in (9,)])
    kept = InsertMany(KEEP, [{"name": name, "value": f'"{name}"'} for name in names])
    return WriteSet([own], [(capped, [0]), (kept, [0, 1, 2, -1])], last)


@pytest.mark.parametrize("last", [False, True])
async def test_what_needs_a_row_that_has_not_matched_is_not_written(database: Any, last: bool) -> None:
    def script() -> Script[list[list[bool]]]:
        written: list[list[bool]] = yield write_set(last=last)
        return written

    assert await database.write(script) == [[True, False, True], [True], [True, False, True, True]]
    assert await database.read(counters) == {"a": 2, "b": 2, "c": 9}
    assert {row[0] for row in await database.read(kept)} == {"w", "y", "z"}


async def test_an_update_that_matches_nothing_says_so(database: Any) -> None:
    def script() -> Script[list[list[bool]]]:
        first = yield WriteSet([UpdateEach(CAP, [])], [(UpdateEach(CAP, [{"of_kind": "c", "most": 1}]), [-1])])
        second = yield WriteSet([UpdateEach(CAP, [{"of_kind": "gone", "most": 5}])], [(InsertMany(KEEP, []), [])])
        return [*first, *second]

    assert await database.write(script) == [[], [False], [False], []]


async def test_a_tally_adds_up_what_needs_a_row_that_has_matched(database: Any) -> None:
    clause = update(ids).where(ids.c.next_id == bindparam("id")).values(next_id=ids.c.next_id + bindparam("by"))
    add_up = Statement(
        "add_up",
        clause.returning(ids.c.next_id),
        returning_fallback=(
            clause,
            select(ids.c.next_id).where(ids.c.next_id == bindparam("id") + bindparam("by")),
        ),
    )
    for kind, value in (("d", 100), ("e", 200), ("f", 300)):
        await database.write(adding(kind, value))
    rows = [{"id": number, "by": by} for number, by in ((100, 1), (200, 10), (100, 2), (100, 50), (200, 20), (999, 1))]

    def script() -> Script[list[list[Any]]]:
        own = UpdateEach(RAISE, [{"of_kind": kind, "by": 1} for kind in ("a", "gone")])
        written: list[list[Any]] = yield WriteSet([own], [(AggregatedUpdate(add_up, rows), [0, 0, -1, 1, 1, 0])])
        return written

    own, counted = await database.write(script)
    assert own == [True, False]
    assert sorted(counted) == [(103,), (210,)]
    assert await database.read(counters) == {"a": 2, "b": 1, "c": 1, "d": 103, "e": 210, "f": 300}


@pytest.mark.parametrize("last", [False, True])
async def test_a_landing_is_written_whole_or_not_at_all(database: Any, last: bool) -> None:
    def script() -> Script[None]:
        yield write_set(last=last, names="wxww")

    with pytest.raises(PayloadRefused):
        await database.write(script)
    assert await database.read(counters) == {"a": 1, "b": 1, "c": 1}
    assert await database.write(adding("d")) == 1


async def test_a_landing_among_other_requests_is_undone_with_them(database: Any) -> None:
    def script() -> Script[None]:
        yield Now()
        yield write_set(last=False)
        yield Execute(ADD, {"of_kind": "a", "first": 1})

    with pytest.raises(PayloadRefused):
        await database.write(script)
    assert await database.read(counters) == {"a": 1, "b": 1, "c": 1}
    assert await database.read(kept) == []


async def test_a_last_landing_is_one_transaction(database: Any) -> None:
    counts: Counter[str] = Counter()
    database.observer = lambda name, rows: counts.update([name])

    def script() -> Script[None]:
        yield Now()
        yield write_set(last=True)

    await database.write(script)
    assert counts["begin"] == counts["commit"] == 1


def kept() -> Script[list[Any]]:
    rows: list[Any] = yield Fetch(KEPT, {})
    return rows


def test_one_statement_is_made_of_all_parts() -> None:
    sql = write_set_batch(write_set(last=True))
    assert sql is not None
    assert [f"${number}:" in sql for number in range(1, 11)] == [True] * 8 + [False] * 2, sql
    assert sql.startswith("WITH own AS (UPDATE dwarf_ids SET ")
    assert sql.endswith("SELECT (SELECT positions FROM landed), (SELECT array_agg(position) FROM part_0)")


def test_a_servers_clock_is_carried_on_and_does_not_go_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    clock = ServerClock()
    assert clock.now() is None
    assert clock.show(5000) == 5000
    moment += 0.25
    assert clock.now() == 5250
    assert clock.show(5240) == 5250  # that answer took longer on its way
    assert clock.show(1000) == 1000  # the clock was set
    moment += 1.5
    assert clock.now() is None
