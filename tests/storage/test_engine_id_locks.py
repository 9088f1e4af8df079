"""Engine ids on a file: who holds one lives, whose slot is free is dead."""

from __future__ import annotations

from pathlib import Path

import pytest

from dwarf.errors import ConfigError
from tests.storage.support import child, opened


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/flows.db"


async def test_each_engine_takes_the_lowest_free_slot(url: str) -> None:
    async with opened(url) as one, child("engine", url) as other, opened(url) as three:
        assert await one.claim_engine_id() == (1, True)
        assert await other.hear() == "2"
        assert await three.claim_engine_id() == (3, True)
        await one.aclose()
        async with opened(url) as again:
            assert await again.claim_engine_id() == (1, True)
        other.tell()
        assert await other.done() == 0
        async with opened(url) as again:
            assert await again.claim_engine_id() == (1, True)
            assert await again.claim_engine_id() == (2, True)


async def test_a_killed_process_is_dead_at_once(url: str) -> None:
    async with opened(url) as mine, child("engine", url) as other:
        other_id = int(await other.hear())
        own_id, _ = await mine.claim_engine_id()
        assert await mine.dead_engine_ids({own_id, other_id}) == set()
        await other.kill()
        assert await mine.dead_engine_ids({own_id, other_id}) == {other_id}
        assert await mine.dead_engine_ids({own_id, other_id}) == {other_id}


async def test_a_restarted_process_takes_its_slot_again(url: str) -> None:
    async with child("engine", url) as first:
        assert await first.hear() == "1"
        await first.kill()
    async with child("engine", url) as second:
        assert await second.hear() == "1"


async def test_a_dead_engines_slot_is_not_given_out_while_its_leases_are_taken_back(url: str) -> None:
    async with opened(url) as mine, opened(url) as newcomer:
        async with opened(url) as former:
            assert (await former.claim_engine_id())[0] == 1
        assert await mine.dead_engine_ids({1}) == {1}
        assert await newcomer.dead_engine_ids({1}) == set()
        assert (await newcomer.claim_engine_id())[0] == 2
        assert await mine.dead_engine_ids(set()) == set()
        assert (await newcomer.claim_engine_id())[0] == 1
        assert await mine.dead_engine_ids({1, 2}) == set()


async def test_an_id_that_never_had_a_slot_is_not_known_to_be_dead(url: str, tmp_path: Path) -> None:
    async with opened(url) as database:
        assert await database.dead_engine_ids({5, 2**62}) == set()
    assert list(tmp_path.glob("*.lock")) == []


async def test_an_id_can_be_chosen(url: str) -> None:
    async with opened(url) as one, opened(url) as two:
        assert await one.claim_engine_id(42) == (42, True)
        with pytest.raises(ConfigError, match="42"):
            await two.claim_engine_id(42)
        assert await two.claim_engine_id() == (1, True)


async def test_one_file_has_one_set_of_slots_by_any_name(url: str, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "flows.db")
    async with opened(url) as one, opened(f"sqlite:///{tmp_path}/link.db") as two:
        assert await one.claim_engine_id() == (1, True)
        assert await two.claim_engine_id() == (2, True)
