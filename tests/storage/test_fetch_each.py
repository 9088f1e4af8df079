"""One query for each row of parameters: the same answers in the same order on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from dwarf.storage.drivers.batches import fetch_batch
from dwarf.storage.operations.due_queue import OF_KEY
from dwarf.storage.sql.errors import PayloadRefused
from dwarf.storage.sql.expressions import in_names
from dwarf.storage.sql.script import FetchEach, Script, Statement
from dwarf.storage.sql.tables import ids
from tests.storage.support import adding, opened, url_of
from tests.support.servers import servers

ABOVE = Statement(
    "above",
    select(ids.c.kind, ids.c.next_id)
    .where(ids.c.next_id > bindparam("least"), ~in_names(ids.c.kind, "without"), ids.c.kind != bindparam("but"))
    .order_by(ids.c.next_id.desc())
    .limit(bindparam("limit")),
)
COMMON = {"without": ["flow", "step", "c"], "but": "d"}


@pytest.fixture(params=["file", "memory", *servers()])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    with url_of(request.param, tmp_path) as url:
        async with opened(url) as database:
            for number, kind in enumerate(("a", "b", "c", "d", "e", "f\0")):
                await database.write(adding(kind, 10 * number))
            yield database


async def answers(database: Any, *rows: tuple[int, int], writes: bool = False) -> Any:
    def script() -> Script[Any]:
        return (yield FetchEach(ABOVE, COMMON, [{"least": least, "limit": limit} for least, limit in rows]))

    return await (database.write if writes else database.read)(script)


@pytest.mark.parametrize("writes", [False, True])
async def test_each_row_has_its_own_answer(database: Any, writes: bool) -> None:
    found = await answers(database, (0, 5), (100, 5), (-1, 2), (0, 5), writes=writes)
    assert found == [
        [("f\0", 50), ("e", 40), ("b", 10)],
        [],
        [("f\0", 50), ("e", 40)],
        [("f\0", 50), ("e", 40), ("b", 10)],
    ]
    assert await answers(database, (-1, 5), writes=writes) == [[("f\0", 50), ("e", 40), ("b", 10), ("a", 0)]]
    assert await answers(database, writes=writes) == []


async def test_texts_come_back_as_they_were(database: Any) -> None:
    def script() -> Script[Any]:
        return (yield FetchEach(ABOVE, {"without": [], "limit": 1, "least": 15}, [{"but": "e"}, {"but": "f\0"}]))

    assert await database.read(script) == [[("f\0", 50)], [("e", 40)]]


async def test_what_does_not_fit_is_refused(database: Any) -> None:
    with pytest.raises(PayloadRefused):
        await answers(database, (0, 2**70))


def test_the_shared_parameters_come_first() -> None:
    batch = fetch_batch(OF_KEY, ("limit", "of_key"))
    assert batch.sql.startswith(
        "SELECT given.position, found.* FROM unnest($6::VARCHAR[], $7::BIGINT[]) "
        "WITH ORDINALITY AS given(p1, p2, position) CROSS JOIN LATERAL (SELECT dwarf_steps.step_id,"
    )
    assert "dwarf_steps.fairness_key = given.p1 ORDER BY" in batch.sql
    assert batch.sql.endswith("LIMIT given.p2 FOR UPDATE OF dwarf_steps SKIP LOCKED) AS found")
    common = {"now": 1, "full": [], "shut": ["u"], "crashes_below": 3, "band": 4}
    assert batch.shared(common) == (1, [], ["u"], 3, 4)
    assert batch.columns([{"of_key": "k", "limit": 1}, {"of_key": "l", "limit": 2}]) == [("k", "l"), (1, 2)]
    assert fetch_batch(OF_KEY, ("of_key", "limit")) is batch
