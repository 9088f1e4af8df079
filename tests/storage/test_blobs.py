"""Blobs: kept once, for as long as a flow refers to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dwarf.errors import StateConflict
from dwarf.storage.payloads.blobs import AT_ONCE, Holder, keep_blobs, read_blobs, release_blobs
from dwarf.storage.sql.script import Fetch, Row, Script, Statement
from dwarf.storage.sql.tables import blob_refs, blobs
from tests.storage.support import observed, opened, url_of
from tests.support.codecs import Xor
from tests.support.servers import servers

NAMES = Statement("names", select(blobs.c.blob_hash).order_by(blobs.c.blob_hash))
REFS = Statement(
    "refs", select(blob_refs.c.flow_id, blob_refs.c.blob_hash).order_by(blob_refs.c.flow_id, blob_refs.c.blob_hash)
)
A, B, C = ("a" * 64, "b" * 64, "c" * 64)
ONE, TWO = Holder(1, 0), Holder(2, 5)


@pytest.fixture(params=["file", "memory", *servers()])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    with url_of(request.param, tmp_path) as url:
        async with opened(url) as database:
            yield database


def everything() -> Script[tuple[list[str], list[Row]]]:
    names = yield Fetch(NAMES, {})
    refs = yield Fetch(REFS, {})
    return [row[0] for row in names], [tuple(row) for row in refs]


async def test_a_blob_is_freed_with_its_last_reference(database: Any) -> None:
    await database.write(lambda: keep_blobs({A: "[1]", B: "[2]"}, {(ONE, A), (ONE, B)}))
    await database.write(lambda: keep_blobs({A: "[1]"}, {(TWO, A), (ONE, A)}))
    assert await database.read(everything) == ([A, B], [(1, A), (1, B), (2, A)])
    assert await database.read(lambda: read_blobs([B, A, A, C])) == {A: "[1]", B: "[2]"}
    await database.write(lambda: release_blobs([1], [A, B]))
    assert await database.read(everything) == ([A], [(2, A)])
    await database.write(lambda: release_blobs([1, 2, 3], [A]))
    assert await database.read(everything) == ([], [])


async def test_a_blob_that_is_there_needs_no_text(database: Any) -> None:
    await database.write(lambda: keep_blobs({A: "[1]"}, {(ONE, A)}))
    await database.write(lambda: keep_blobs({}, {(TWO, A)}))
    with pytest.raises(StateConflict, match="is being deleted"):
        await database.write(lambda: keep_blobs({}, {(TWO, B)}))
    assert await database.read(everything) == ([A], [(1, A), (2, A)])


async def test_one_statement_does_not_carry_too_much(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/flows.db", codec=Xor()) as database:
        text = f'"{"x" * (AT_ONCE // 2)}"'
        with observed(database) as seen:
            await database.write(lambda: keep_blobs({A: text, B: text, C: "[1]"}, {(ONE, A), (ONE, B), (ONE, C)}))
        assert [rows for name, rows in seen if name == "insert_blob"] == [1, 2]
        assert await database.read(lambda: read_blobs([A, B, C])) == {A: text, B: text, C: "[1]"}


async def test_a_key_belongs_to_a_database(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/two.db"]
    hashes = []
    for url in (*urls, urls[0]):
        async with opened(url) as database:
            hashes.append(database.payloads.hashed("text"))
    assert hashes[0] == hashes[2] != hashes[1]
    assert all(len(known) == 64 for known in hashes)


async def test_nothing_is_lost_while_many_come_and_go(database: Any) -> None:
    async def come_and_go(flow: int) -> None:
        for _ in range(10):
            await database.write(
                lambda: keep_blobs({A: "[1]", B: "[2]"}, {(Holder(flow, 0), A), (Holder(flow, 100 + flow), B)})
            )
            assert await database.read(lambda: read_blobs([A, B])) == {A: "[1]", B: "[2]"}
            await database.write(lambda: release_blobs([flow], [A, B]))

    await asyncio.gather(*(come_and_go(flow) for flow in range(1, 7)))
    assert await database.read(everything) == ([], [])
