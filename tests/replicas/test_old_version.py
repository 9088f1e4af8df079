"""A replica of the first schema runs on while a new one migrates the database under it and takes its share."""

from __future__ import annotations

import asyncio
import subprocess
import tarfile
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT
from tests.crash.conftest import Process
from tests.replicas.conftest import ServerSite

OLD = "3401a1b"  # the last commit whose databases have the first schema
SHORT = {"time_budget": 5.0, "lease_margin": 1.0, "recovery": 0.1}

pytestmark = [pytest.mark.server, pytest.mark.bare, pytest.mark.soak, pytest.mark.timeout(900)]


@pytest.fixture
def old_code(tmp_path: Path) -> Path:
    """The package as it was then, in a folder."""
    done = subprocess.run(["git", "archive", OLD, "dwarf", "tests"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"the history of this repository does not reach back to {OLD}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(tmp_path / "old", filter="data")
    return tmp_path / "old"


async def start_old(site: ServerSite, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    """A process of the old package."""
    with monkeypatch.context() as patch:
        patch.setattr("tests.crash.conftest.ROOT", folder)
        return await site.start(**SHORT)


@pytest.mark.parametrize("killed", ["neither", "old", "new"])
async def test_an_old_replica_beside_a_new_one(
    site: ServerSite, old_code: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    old = await start_old(site, old_code, monkeypatch)
    before = await old.ask("create_many", workflow="steps", states=[{}] * 200)
    fans = await old.ask("create_many", workflow="fan", states=[{"items": list(range(20))}] * 10)
    new = await site.start(**SHORT)  # migrates, while the old one works
    assert site.rows("SELECT MAX(version) FROM dwarf_migrations") == [(2,)]
    after = await new.ask("create_many", workflow="steps", states=[{}] * 200)
    more = await old.ask("create_many", workflow="steps", states=[{}] * 200)
    left = {"old": new, "new": old, "neither": new}[killed]
    if killed != "neither":
        await left.until(lambda: len(site.ledger()) > 400)
        await {"old": old, "new": new}[killed].kill()
    outcomes = await asyncio.wait_for(left.ask("outcomes", keys=[*before, *fans, *after, *more]), 300)
    assert Counter(outcome["status"] for outcome in outcomes) == {"completed": 610}
    ran = Counter(execution.step_key for execution in site.ledger())
    assert len(ran) == 600 * 3 + 10 * 22
    again = {key for key, count in ran.items() if count > 1}
    dead = {"old": old.id, "new": new.id}.get(killed)
    assert {min(e.process != dead for e in site.ledger() if e.step_key == key) for key in again} <= {False}
    assert len({execution.process for execution in site.ledger()}) == 2
    print(f"{killed} killed: {len(again)} of {len(ran)} steps ran twice")
    if killed != "new":
        await new.ask("check")
