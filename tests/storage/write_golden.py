"""Every statement of storage as it is sent to each kind of database: ``python -m tests.storage.write_golden``.

A reviewer sees in the files what a change sends. SQL Server is compiled, and not run.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import dwarf.storage
from dwarf.storage.sql.compiler import DIALECTS, golden
from dwarf.storage.sql.script import Statement

FOLDER = Path(__file__).parent / "golden"
_HEAD = "-- {}: every statement as it is sent. Written by: python -m tests.storage.write_golden\n"


def statements() -> list[Statement]:
    """Every statement at the top of a module of storage, by name."""
    found = {id(statement): statement for statement in _statements()}.values()
    return sorted(found, key=lambda statement: statement.name)


def _statements() -> Iterator[Statement]:
    for module in pkgutil.walk_packages(dwarf.storage.__path__, "dwarf.storage."):
        for value in vars(import_module(module.name)).values():
            values = (
                value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
            )
            yield from (item for item in values if isinstance(item, Statement))


def texts() -> dict[str, str]:
    """The text of each file, by dialect."""
    parts = {dialect: [_HEAD.format(dialect)] for dialect in DIALECTS}
    for statement in statements():
        for dialect, sql in golden(statement).items():
            tidy = "\n".join(line.rstrip() for line in sql.splitlines())
            parts[dialect].append(f"-- {statement.name}\n{tidy};\n")
    return {dialect: "\n".join(part) for dialect, part in parts.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for dialect, text in texts().items():
        (FOLDER / f"{dialect}.sql").write_text(text, "utf-8")
