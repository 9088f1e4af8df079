"""The shell scripts parse, sum up correctly, and start the servers they promise."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, relative

SCRIPTS = [
    ROOT / ".ci" / "run",
    *(path for path in sorted((ROOT / "scripts").iterdir()) if path.is_file() and not path.suffix),
]
SELECT_ONE = """
import asyncio, os
from urllib.parse import urlsplit
import asyncpg, asyncmy

async def main():
    url = os.environ["DWARF_TEST_POSTGRESQL_URL"]
    connection = await asyncpg.connect(url)
    print("postgresql", await connection.fetchval("SELECT 1"), urlsplit(url).hostname)
    await connection.close()
    url = urlsplit(os.environ["DWARF_TEST_MARIADB_URL"])
    async with asyncmy.connect(
        host=url.hostname, port=url.port, user=url.username, password=url.password, db=url.path[1:]
    ) as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT 1")
        print("mariadb", (await cursor.fetchone())[0], url.hostname)

asyncio.run(main())
"""


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_scripts_parse(path: Path) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert os.access(path, os.X_OK) == (path.suffix != ".sh"), "programs are executable, the library is not"


def summary(folder: Path, *checks: str) -> tuple[int, list[str]]:
    command = [sys.executable, str(ROOT / "scripts" / "summary.py"), str(folder), *checks]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def report(folder: Path, name: str, tests: int, failures: int = 0, skipped: int = 0) -> None:
    counts = f'tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"'
    (folder / f"{name}.xml").write_text(f"<testsuites><testsuite {counts}/></testsuites>", encoding="utf-8")


def test_the_summary_adds_tests_and_checks(tmp_path: Path) -> None:
    report(tmp_path, "tests", tests=10, skipped=2)
    report(tmp_path, "notebooks", tests=1)
    status, lines = summary(tmp_path, "mypy=ok", "tests=ok", "notebooks=ok")
    assert (status, lines) == (0, ["tests: 10 passed, 0 failed, 2 skipped"])


def test_the_summary_names_what_failed(tmp_path: Path) -> None:
    report(tmp_path, "tests", tests=10, failures=3)
    status, lines = summary(tmp_path, "ruff check=failed", "tests=failed")
    assert (status, lines) == (1, ["failed: ruff check, tests", "tests: 7 passed, 4 failed, 0 skipped"])


def test_a_run_that_broke_down_is_a_failure(tmp_path: Path) -> None:
    report(tmp_path, "tests", tests=0)
    status, lines = summary(tmp_path, "tests=failed")
    assert (status, lines[-1]) == (1, "tests: 0 passed, 1 failed, 0 skipped")


@pytest.mark.server
@pytest.mark.timeout(900)
def test_private_servers_start_answer_and_stop(tmp_path: Path) -> None:
    searched = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    here = shutil.which("mariadbd", path=searched) and (
        shutil.which("postgres") or list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    )
    if not here:
        pytest.skip("PostgreSQL or MariaDB is not installed")
    with_servers = str(ROOT / "scripts" / "with-servers")
    environment = {**os.environ, "TMPDIR": "/tmp", "DWARF_PYTHON": sys.executable}
    done = subprocess.run(
        [with_servers, sys.executable, "-c", SELECT_ONE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["postgresql 1 127.0.0.1", "mariadb 1 127.0.0.1"]
    failing = subprocess.run([with_servers, "bash", "-c", "exit 7"], env=environment, check=False)
    assert failing.returncode == 7, "the command's own status comes back"
