"""The schema's versions: one folder of numbered SQL files per dialect, applied in order and never changed.

File ``0000`` makes the table of versions where it is missing and runs each time. A statement ends with a semicolon
at the end of a line.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from secrets import token_hex

from sqlalchemy import bindparam, insert, select, text

from dwarf.errors import ConfigError
from dwarf.storage.sql import tables
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Now, Script, Statement

APPLIED = Statement("schema_versions", select(tables.migrations.c.version))
RECORD = Statement(
    "record_schema_version",
    insert(tables.migrations).values(version=bindparam("version"), applied_at=bindparam("applied_at")),
)
IDENTITY = Statement("database_identity", select(tables.facts.c.value).where(tables.facts.c.name == "database"))
NAME_IT = Statement("name_database", insert(tables.facts).values(name="database", value=bindparam("text")))


def migrate(dialect: str) -> Script[int]:
    """Migrate the schema to this code's version, in the script's transaction, and return that version.

    ConfigError if a later version of this package has migrated it already.
    """
    preparation, *versions = _statements(dialect)
    for statement in preparation[1]:
        yield Execute(statement, {})
    latest: int = versions[-1][0]
    applied = yield from _applied(latest)
    for version, statements in versions:
        if version not in applied:
            for statement in statements:
                yield Execute(statement, {})
            now = yield Now()
            yield Execute(RECORD, {"version": version, "applied_at": now})
    if not (yield Fetch(IDENTITY, {})):
        yield InsertMany(NAME_IT, [{"text": token_hex(16)}])
    return latest


def is_current(dialect: str) -> Script[bool]:
    """Whether the schema has this code's version and is complete. ConfigError as for ``migrate``."""
    latest: int = _statements(dialect)[-1][0]
    applied = yield from _applied(latest)
    identity = yield Fetch(IDENTITY, {})
    return latest in applied and bool(identity)


def _applied(latest: int) -> Script[set[int]]:
    rows = yield Fetch(APPLIED, {})
    applied = {row[0] for row in rows}
    if applied and max(applied) > latest:
        raise ConfigError(
            f"the database has schema version {max(applied)}, and this version of dwarf knows {latest}: upgrade dwarf"
        )
    return applied


def read_identity() -> Script[str]:
    """A random text that identifies this database."""
    rows = yield Fetch(IDENTITY, {})
    return str(rows[0][0])


@cache
def _statements(dialect: str) -> list[tuple[int, list[Statement]]]:
    folder = files(__name__) / dialect
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(int(name[:4]), _split(name, (folder / name).read_text("utf-8"))) for name in names]


def _split(name: str, script: str) -> list[Statement]:
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    parts = "\n".join(lines).split(";\n")
    return [Statement(name[:-4], text(part.strip().removesuffix(";"))) for part in parts if part.strip()]
