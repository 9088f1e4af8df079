"""The database's own limits, by hand: what the engine is held against in the same run."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

PAYLOAD = "x" * 300


def single_commits(path: Path, seconds: float = 1.0) -> float:
    """Commits per second of one row each, on one connection: WAL, synchronous=FULL."""
    return _commits(path, 1, seconds)


def batched_rows(path: Path, seconds: float = 1.0) -> float:
    """Rows per second in commits of 64 rows each."""
    return _commits(path, 64, seconds) * 64


def _commits(path: Path, rows: int, seconds: float) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, body TEXT)")
        batch = [(PAYLOAD,)] * rows
        begun, commits = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO raw (body) VALUES (?)", batch)
            connection.execute("COMMIT")
            commits += 1
        return commits / (time.perf_counter() - begun)
    finally:
        connection.close()
