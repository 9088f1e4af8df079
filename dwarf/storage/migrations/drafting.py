"""The DDL of the tables in a dialect: the draft of a migration file.

``python -m dwarf.storage.migrations.drafting DIALECT`` prints it. A file that has been released is never changed;
a later version of the tables gets a file of its own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from sqlalchemy import Index, Table
from sqlalchemy.schema import CreateIndex, CreateTable

from dwarf.storage.compiling import dialect_of
from dwarf.storage.tables import metadata, migrations

_FIRST_IDS = "INSERT INTO dwarf_ids (kind, next_id) VALUES ('flow', 1), ('step', 1);"


def initial_schema(dialect: str) -> str:
    """Every table and index but ``dwarf_migrations``, which the runner makes, and the first rows."""
    return "\n\n".join([*_statements(dialect), _FIRST_IDS]) + "\n"


def _statements(name: str) -> Iterator[str]:
    dialect = dialect_of(name)
    tables: list[Table] = [table for table in metadata.sorted_tables if table is not migrations]
    for table in tables:
        indexes = sorted(table.indexes, key=lambda index: index.name or "")
        created = str(CreateTable(table).compile(dialect=dialect))
        if name == "mysql":  # no transaction there undoes half a migration: a table comes with its indexes, or not
            head, end, options = created.rpartition("\n)")
            created = ",\n    ".join([head.rstrip(), *map(_key, indexes)]) + end + options
            indexes = []
        elif name == "postgresql" and table.info:
            created = f"{created.rstrip()} WITH ({table.info['postgresql_with']})"
        yield _tidy(created)
        for index in indexes:
            yield _tidy(str(CreateIndex(index).compile(dialect=dialect)))


def mysql_columns(index: Index) -> list[str]:
    """The columns of an index on MySQL, which has no partial ones."""
    return [*index.info.get("mysql_leading", ()), *(column.name for column in index.columns)]


def _key(index: Index) -> str:
    return f"{'UNIQUE ' if index.unique else ''}KEY {index.name} ({', '.join(mysql_columns(index))})"


def _tidy(ddl: str) -> str:
    text = re.sub(r"[ \t]+$", "", ddl.strip().replace("\t", "    "), flags=re.MULTILINE)
    return f"{text};"


if __name__ == "__main__":
    sys.stdout.write(initial_schema(sys.argv[1]))
