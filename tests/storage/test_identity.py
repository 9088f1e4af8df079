"""Each database has a name of its own, which it keeps."""

from __future__ import annotations

from pathlib import Path

from dwarf.storage.migrations import read_identity
from tests.storage.support import opened


async def test_a_database_keeps_its_name_and_shares_it_with_no_other(tmp_path: Path) -> None:
    names = []
    for url in (f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db", f"sqlite:///{tmp_path}/a.db", "sqlite://"):
        async with opened(url) as database:
            names.append(await database.read(read_identity))
    first, second, again, memory = names
    assert first == again
    assert len({first, second, memory}) == 3
    assert min(map(len, names)) == 32
