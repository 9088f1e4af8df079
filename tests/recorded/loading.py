"""From a recorded database to one that can be opened, two hours after it was recorded."""

from __future__ import annotations

import gzip
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from dwarf.storage import migrations
from tests.support.servers import fresh_database, query

DATA = Path(__file__).parent / "data"
AGO_MS = 2 * 3600 * 1000
_TIMES = frozenset(
    "created_at started_at updated_at interrupt_deadline not_before lease_expires next_at seen_at applied_at".split()
)
Row = dict[str, Any]


@cache
def read(kind: str) -> tuple[int, dict[str, str], list[tuple[str, Row]]]:
    """When a database was recorded, the keys of its flows by name, and its rows with their tables."""
    first, *lines = gzip.decompress((DATA / f"{kind}.jsonl.gz").read_bytes()).decode().splitlines()
    head = json.loads(first)
    rows = [item for line in lines for item in json.loads(line).items()]
    return head["recorded_at"], head["keys"], rows


def _commands(kind: str) -> list[str]:
    """The statements that make the database of then: the files of migrations never change."""
    recorded_at, _, rows = read(kind)
    version = max(row["version"] for table, row in rows if table == "dwarf_migrations")
    folder = files(migrations) / {"mariadb": "mysql"}.get(kind, kind)
    scripts = sorted(
        file.name for file in folder.iterdir() if file.name.endswith(".sql") and int(file.name[:4]) <= version
    )
    commands = [part for name in scripts for part in _parts((folder / name).read_text())]
    commands += (f"DELETE FROM {table}" for table in ("dwarf_ids", "dwarf_migrations"))  # what the files put in
    shift = round(time.time() * 1000) - AGO_MS - recorded_at
    for table, row in rows:
        moved = {name: value + shift if name in _TIMES and value else value for name, value in row.items()}
        values = ", ".join(_literal(value, kind) for value in moved.values())
        commands.append(f"INSERT INTO {table} ({', '.join(moved)}) VALUES ({values})")
    return commands


def _parts(script: str) -> Iterator[str]:
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    yield from (part.strip().removesuffix(";") for part in "\n".join(lines).split(";\n") if part.strip())


def _literal(value: Any, kind: str) -> str:
    if value is None:
        return "NULL"
    if not isinstance(value, str):
        return str(value)
    text = value.replace("'", "''")
    return f"'{text.replace(chr(92), chr(92) * 2) if kind == 'mariadb' else text}'"


@contextmanager
def loaded(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database with the rows that were recorded on one of this kind."""
    if kind == "sqlite":
        path = folder / "recorded.db"
        connection = sqlite3.connect(path)
        for command in _commands(kind):
            connection.execute(command)
        connection.commit()
        connection.close()
        yield f"sqlite:///{path}"
        return
    with fresh_database(kind, bare=True) as pattern:
        url = pattern.format(shard=1)
        query(kind, *_commands(kind), "SELECT 1", url=url)
        yield url
