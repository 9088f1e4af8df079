"""The DDL of the tables in a dialect: the draft of a migration file.

``python -m dwarf.storage.migrations.drafting DIALECT`` prints it. A file that has been released is never changed;
a later version of the tables gets a file of its own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from sqlalchemy import Table
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
        yield _tidy(str(CreateTable(table).compile(dialect=dialect)))
        for index in sorted(table.indexes, key=lambda index: index.name or ""):
            yield _tidy(str(CreateIndex(index).compile(dialect=dialect)))


def _tidy(ddl: str) -> str:
    text = re.sub(r"[ \t]+$", "", ddl.strip().replace("\t", "    "), flags=re.MULTILINE)
    return f"{text};"


if __name__ == "__main__":
    sys.stdout.write(initial_schema(sys.argv[1]))
