"""The DDL of the tables in a dialect: the draft of a migration file.

``python -m dwarf.storage.migrations.drafting DIALECT VERSION`` prints it. A file that has been released is never
changed; what a later version adds is marked with ``since`` in ``tables``, and gets a file of its own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Index, MetaData, Table
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from dwarf.storage.sql.compiler import dialect_of
from dwarf.storage.sql.tables import metadata, migrations

_FIRST_IDS = "INSERT INTO dwarf_ids (kind, next_id) VALUES ('flow', 1), ('step', 1);"


def draft(dialect: str, version: int) -> str:
    """The additions of one schema version: tables, columns and indexes; the first version also adds the first rows.

    ``dwarf_migrations`` is made by the runner.
    """
    first = [_FIRST_IDS] if version == 1 else []
    return "\n\n".join([*_statements(dialect, version), *first]) + "\n"


def whole_schema(dialect: str) -> str:
    """Every version in turn: the DDL of a new database, without ``dwarf_migrations``."""
    parts = [part for table in metadata.sorted_tables for part in (table, *table.columns, *table.indexes)]
    return "\n".join(draft(dialect, version) for version in sorted(set(map(_since, parts))))


def _statements(name: str, version: int) -> Iterator[str]:
    tables: list[Table] = [table for table in metadata.sorted_tables if table is not migrations]
    for table in tables:
        indexes = [
            index
            for index in sorted(table.indexes, key=lambda index: index.name or "")
            if _since(index) == version and (name != "mysql" or index.info.get("mysql", True))
        ]
        if _since(table) == version:
            yield from _create(name, table, indexes)
        elif _since(table) < version:
            columns = [column for column in table.columns if _since(column) == version]
            yield from _alter(name, table, columns, indexes)


def _create(name: str, table: Table, indexes: list[Index]) -> Iterator[str]:
    dialect = dialect_of(name)
    table = _as_of(table, _since(table))
    created = str(CreateTable(table).compile(dialect=dialect))
    if name == "mysql":  # MySQL's DDL has no transactions: a table must come with its indexes in one statement
        head, end, options = created.rpartition("\n)")
        created = ",\n    ".join([head.rstrip(), *map(_key, indexes)]) + end + options
        indexes = []
    elif name == "postgresql" and "postgresql_with" in table.info:
        created = f"{created.rstrip()} WITH ({table.info['postgresql_with']})"
    yield _tidy(created)
    for index in indexes:
        yield _tidy(str(CreateIndex(index).compile(dialect=dialect)))


def _alter(name: str, table: Table, columns: Iterable[Column[Any]], indexes: Iterable[Index]) -> Iterator[str]:
    dialect = dialect_of(name)
    added = [str(CreateColumn(column).compile(dialect=dialect)) for column in columns]
    if name == "mysql":  # one statement, for the same reason
        parts = [f"ADD COLUMN {column}" for column in added] + [f"ADD {_key(index)}" for index in indexes]
        if parts:
            yield _tidy(f"ALTER TABLE {table.name}\n    " + ",\n    ".join(parts))
        return
    word = "ADD" if name == "mssql" else "ADD COLUMN"
    for column in added:
        yield _tidy(f"ALTER TABLE {table.name} {word} {column}")
    for index in indexes:
        yield _tidy(str(CreateIndex(index).compile(dialect=dialect)))


def _since(part: Any) -> int:
    return int(part.info.get("since", 1))


def _as_of(table: Table, version: int) -> Table:
    """The table as a version of the schema made it."""
    if all(_since(column) <= version for column in table.columns):
        return table
    columns = [column._copy() for column in table.columns if _since(column) <= version]
    older = Table(table.name, MetaData(), *columns, info=table.info)
    for key, value in table.dialect_kwargs.items():
        older.dialect_kwargs[key] = value
    return older


def mysql_columns(index: Index) -> list[str]:
    """The columns of an index on MySQL, which has no partial ones."""
    return [*index.info.get("mysql_leading", ()), *(column.name for column in index.columns)]


def _key(index: Index) -> str:
    return f"{'UNIQUE ' if index.unique else ''}KEY {index.name} ({', '.join(mysql_columns(index))})"


def _tidy(ddl: str) -> str:
    text = re.sub(r"[ \t]+$", "", ddl.strip().replace("\t", "    "), flags=re.MULTILINE)
    return f"{text};"


if __name__ == "__main__":
    sys.stdout.write(draft(sys.argv[1], int(sys.argv[2])))
