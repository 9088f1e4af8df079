"""Payloads by way of a codec, at the border of the database."""

from __future__ import annotations

import sqlite3
import traceback
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, update

from dwarf.errors import ConfigError, StorageError
from dwarf.storage.sql.errors import PayloadRefused
from dwarf.storage.sql.script import Execute, Fetch, Guarded, InsertMany, Row, Script, Statement, UpdateEach
from dwarf.storage.sql.tables import graphs
from tests.storage.support import KEEP, KEPT, opened, url_of
from tests.support.codecs import Broken, Plain, Xor
from tests.support.servers import fresh_database, servers

CHANGE = Statement(
    "change_graph",
    update(graphs).where(graphs.c.graph_hash == bindparam("id")).values(body=bindparam("new_body")),
)
RETURNED = Statement(
    "kept_and_named",
    select(graphs.c.body, graphs.c.graph_hash, graphs.c.body.label("again")).order_by(graphs.c.graph_hash),
)
SECRET = "-".join(["not", "for", "everybody"])  # noqa: FLY002 - no line of this file has it, so no traceback shows one


@pytest.fixture(params=["file", "memory", *servers()])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    # one that has served would have its own key, which was stored without a codec
    where = fresh_database(request.param, bare=True) if request.param in servers() else url_of(request.param, tmp_path)
    with where as url:
        yield url.format(shard=1)


def keeping(*bodies: str) -> Any:
    def script() -> Script[None]:
        yield InsertMany(KEEP, [{"name": f"g{number}", "value": body} for number, body in enumerate(bodies)])

    return script


def kept(statement: Statement = KEPT) -> Script[list[Row]]:
    rows: list[Row] = yield Fetch(statement, {})
    return rows


def stored(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT body FROM dwarf_graphs ORDER BY graph_hash")]
    finally:
        connection.close()


async def test_whatever_is_written_comes_back(url: str) -> None:
    texts = ["", "plain", "ünï\0cödé \U0001f600", "x" * 10_000]
    async with opened(url, codec=Xor()) as database:
        await database.write(keeping(*texts))
        assert await database.read(kept) == [(f"g{number}", text) for number, text in enumerate(texts)]

        def change() -> Script[list[Any]]:
            one = yield Execute(CHANGE, {"id": "g0", "new_body": "first"})
            each = yield UpdateEach(CHANGE, [{"id": "g1", "new_body": "second"}, {"id": "none", "new_body": "x"}])
            guarded = yield Guarded(keeping_more)
            return [one, each, guarded]

        def keeping_more() -> Script[str]:
            yield InsertMany(KEEP, [{"name": "h", "value": "under a savepoint"}])
            return (yield Fetch(RETURNED, {}))[-1][0]

        assert await database.write(change) == [1, [True, False], ("under a savepoint", None)]
        assert await database.read(lambda: kept(RETURNED)) == [
            ("first", "g0", "first"),
            ("second", "g1", "second"),
            (texts[2], "g2", texts[2]),
            (texts[3], "g3", texts[3]),
            ("under a savepoint", "h", "under a savepoint"),
        ]


async def test_what_is_stored_is_unreadable_and_empty_texts_are_empty(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/flows.db", codec=Xor()) as database:
        await database.write(keeping("", SECRET))
    assert stored(tmp_path / "flows.db")[0] == ""
    assert stored(tmp_path / "flows.db")[1].startswith("dwarf+codec:")
    assert SECRET.encode() not in (tmp_path / "flows.db").read_bytes()


async def test_without_a_codec_nothing_is_changed(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/flows.db") as database:
        await database.write(keeping("", "dwarf+codec:as it is"))
        assert [row[1] for row in await database.read(kept)] == ["", "dwarf+codec:as it is"]
    assert stored(tmp_path / "flows.db") == ["", "dwarf+codec:as it is"]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (None, Xor(), "without a codec"),
        (Xor(), None, "with a codec: give it to the engine"),
        (Xor(1), Xor(2), "another codec, or with another key"),
        (Plain(), Xor(), "another codec, or with another key"),
        (Xor(), Plain(), "another codec, or with another key"),
    ],
)
async def test_a_database_is_opened_with_the_codec_it_was_made_with(
    tmp_path: Path, first: Any, second: Any, words: str
) -> None:
    url = f"sqlite:///{tmp_path}/flows.db"
    async with opened(url, codec=first) as database:
        await database.write(keeping("text"))
    with pytest.raises(ConfigError, match=words):
        async with opened(url, codec=second):
            pass
    async with opened(url, codec=first) as database:
        assert await database.read(kept) == [("g0", "text")]


class Ring:
    """A codec with several keys: the last one encodes, all decode."""

    def __init__(self, *keys: int) -> None:
        self._keys = [Xor(key) for key in keys]

    def encode(self, data: bytes) -> bytes:
        return self._keys[-1].encode(data)

    def decode(self, data: bytes) -> bytes:
        for key in self._keys:
            with suppress(zlib.error):
                return key.decode(data)
        raise ValueError("no key fits")


async def test_an_old_key_can_be_given_up(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/flows.db"
    hashes = set()
    for keys in ((1,), (1, 2), (2,), (2, 3)):
        async with opened(url, codec=Ring(*keys)) as database:
            hashes.add(database.payloads.hashed("text"))
    assert len(hashes) == 1
    with pytest.raises(ConfigError, match="another key"):
        async with opened(url, codec=Ring(2)):
            pass


async def test_engines_that_share_a_database_in_memory_share_the_codec() -> None:
    url = "sqlite:///file:codecs?mode=memory"
    async with opened(url, codec=Xor()) as database:
        await database.write(keeping("text"))
        with pytest.raises(ConfigError, match="with a codec"):
            async with opened(url):
                pass
        async with opened(url, codec=Xor()) as other:
            assert await other.read(kept) == [("g0", "text")]


def leaks(error: BaseException) -> bool:
    return SECRET in "".join(traceback.format_exception(error))


async def test_a_codec_that_cannot_decode_is_named_with_the_column_and_nothing_else(tmp_path: Path) -> None:
    codec = Broken(encodes=True)
    async with opened(f"sqlite:///{tmp_path}/flows.db", codec=codec) as database:
        await database.write(keeping(SECRET))
        codec.failing = True
        for work in (database.read, database.write):
            with pytest.raises(StorageError, match=r"could not decode the column body \(kept\): ValueError") as caught:
                await work(kept)
            assert not leaks(caught.value)
        codec.failing = False
        assert await database.read(kept) == [("g0", SECRET)]


async def test_a_codec_that_cannot_encode_stops_the_write(tmp_path: Path) -> None:
    codec = Broken()
    async with opened(f"sqlite:///{tmp_path}/flows.db", codec=codec) as database:
        codec.failing = True
        with pytest.raises(StorageError, match=r"could not encode the column value \(keep\)") as caught:
            await database.write(keeping(SECRET))
        assert not leaks(caught.value)
        codec.failing = False
        assert await database.read(kept) == []


async def test_a_text_that_was_put_there_without_the_codec_is_named(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/flows.db", codec=Xor()) as database:
        connection = sqlite3.connect(tmp_path / "flows.db")
        connection.execute("INSERT INTO dwarf_graphs VALUES ('g', ?)", (SECRET,))
        connection.commit()
        connection.close()
        with pytest.raises(StorageError, match=r"the column body \(kept\) was stored without a codec") as caught:
            await database.read(kept)
        assert not leaks(caught.value)


async def test_what_has_no_bytes_is_refused_as_without_a_codec(url: str) -> None:
    async with opened(url, codec=Xor()) as database:
        with pytest.raises(PayloadRefused, match="keep"):
            await database.write(keeping("a lone \ud800 surrogate"))
