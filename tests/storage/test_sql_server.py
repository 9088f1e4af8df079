"""SQL Server, of which there is none to run on: the shape of the statements, and what its errors mean."""

from __future__ import annotations

import re

import pytest

from dwarf.errors import StorageError
from dwarf.storage.migrations.drafting import whole_schema
from dwarf.storage.sql.compiler import compiled
from dwarf.storage.sql.errors import Contention, PayloadRefused, Unavailable, classify
from dwarf.storage.sql.script import Statement
from tests.storage.write_golden import statements

MOST_PARAMETERS = 2_100
MOST_ROWS = 1_000  # of one VALUES
FOREIGN = ("LIMIT", "RETURNING", "FOR UPDATE", "SKIP LOCKED", "ON CONFLICT", "json_each", "ANY(", "::", "TRUE", "FALSE")
STATEMENTS = statements()

DRIVER = "[Microsoft][ODBC Driver 18 for SQL Server]"
SERVER = f"{DRIVER}[SQL Server]"
# As pyodbc raises them: the SQLSTATE, then the messages with the numbers of the server.
KNOWN: list[tuple[str, str, type[StorageError]]] = [
    (
        "40001",
        (
            f"[40001] {SERVER}Transaction (Process ID 61) was deadlocked on lock resources with another process and has been "
            "chosen as the deadlock victim. Rerun the transaction. (1205) (SQLExecDirectW)"
        ),
        Contention,
    ),
    ("42000", f"[42000] {SERVER}Lock request time out period exceeded. (1222) (SQLExecDirectW)", Contention),
    (
        "42000",
        (
            f"[42000] {SERVER}Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation "
            "to access table 'dbo.dwarf_steps' directly or indirectly in database 'flows'. (3960) (SQLExecDirectW)"
        ),
        Contention,
    ),
    (
        "23000",
        (
            f"[23000] {SERVER}Cannot insert duplicate key row in object 'dbo.dwarf_flows' with unique index 'dwarf_flows_key'. "
            "The duplicate key value is (1205). (2601) (SQLExecDirectW); "
            f"[23000] {SERVER}The statement has been terminated. (3621)"
        ),
        PayloadRefused,
    ),
    (
        "23000",
        (
            f"[23000] {SERVER}Violation of PRIMARY KEY constraint 'PK_dwarf_steps'. Cannot insert duplicate key in object "
            "'dbo.dwarf_steps'. The duplicate key value is (10054). (2627) (SQLExecDirectW)"
        ),
        PayloadRefused,
    ),
    (
        "42000",
        (
            f"[42000] {SERVER}String or binary data would be truncated in table 'flows.dbo.dwarf_steps', column 'node'. "
            "Truncated value: 'x'. (2628) (SQLExecDirectW)"
        ),
        PayloadRefused,
    ),
    (
        "23000",
        (
            f"[23000] {SERVER}Cannot insert the value NULL into column 'node', table 'flows.dbo.dwarf_steps'; column does not "
            "allow nulls. INSERT fails. (515) (SQLExecDirectW)"
        ),
        PayloadRefused,
    ),
    (
        "22003",
        f"[22003] {SERVER}Arithmetic overflow error converting expression to data type bigint. (8115) (SQLExecDirectW)",
        PayloadRefused,
    ),
    ("08S01", f"[08S01] {DRIVER}TCP Provider: Error code 0x68 (104) (SQLExecDirectW)", Unavailable),
    ("08001", f"[08001] {DRIVER}TCP Provider: Error code 0x2749 (10057) (SQLDriverConnect)", Unavailable),
    ("HYT00", f"[HYT00] {DRIVER}Login timeout expired (0) (SQLDriverConnect)", Unavailable),
    ("HYT00", f"[HYT00] {DRIVER}Query timeout expired (0) (SQLExecDirectW)", Unavailable),
    (
        "42000",
        f"[42000] {SERVER}The transaction log for database 'flows' is full due to 'LOG_BACKUP'. (9002) (SQLExecDirectW)",
        Unavailable,
    ),
    (
        "HY000",
        (
            f"[HY000] {SERVER}Database 'flows' on server 'example' is not currently available. Please retry the connection "
            "later. (40613) (SQLDriverConnect)"
        ),
        Unavailable,
    ),
    ("42S02", f"[42S02] {SERVER}Invalid object name 'dwarf_steps'. (208) (SQLExecDirectW)", StorageError),
    ("42000", f"[42000] {SERVER}Incorrect syntax near '1205'. (102) (SQLExecDirectW)", StorageError),
]


@pytest.mark.parametrize(("state", "text", "kind"), KNOWN, ids=lambda value: re.sub(r"\W+", "-", str(value))[-40:])
def test_the_class_of_a_known_error(state: str, text: str, kind: type[StorageError]) -> None:
    error = classify(Exception(state, text), "mssql", "insert_step")
    assert type(error) is kind
    assert "'x'" not in str(error)
    if isinstance(error, PayloadRefused):
        assert error.duplicate == ("duplicate key" in text)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_the_shape_of_a_statement(statement: Statement) -> None:
    sql = re.sub(r"'[^']*'", "''", compiled(statement, "mssql").sql)
    for word in FOREIGN:
        assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", sql), word
    if "OUTPUT" in sql:
        clauses = ["WHERE", "FROM"] if sql.startswith("UPDATE") else ["WHERE"]
        assert all(sql.index("OUTPUT") < sql.index(clause) for clause in clauses if clause in sql)
    if " OFFSET " in sql:
        assert " ORDER BY " in sql
        assert " FETCH " in sql
    assert sql.count("?") <= MOST_PARAMETERS


def test_a_row_leaves_room_for_many_in_one_insert() -> None:
    counts = {
        statement.name: sql.count("?")
        for statement in STATEMENTS
        if (sql := compiled(statement, "mssql").sql).startswith("INSERT")
    }
    assert counts
    assert min(MOST_PARAMETERS // max(1, count) for count in counts.values()) >= 40
    assert min(MOST_ROWS, MOST_PARAMETERS // max(counts.values())) * max(counts.values()) <= MOST_PARAMETERS


def test_a_list_is_one_parameter_whatever_its_length() -> None:
    seen = 0
    for statement in STATEMENTS:
        sql = compiled(statement, "mssql")
        if "OPENJSON" in sql.sql:
            seen += 1
            assert "IN (?" not in sql.sql
    assert seen > 20


def test_the_conditions_of_partial_indexes_are_constants() -> None:
    """SQL Server uses a filtered index only where the statement has the same constants in its text."""
    filtered = re.findall(r"CREATE (?:UNIQUE )?INDEX (\w+) .*? WHERE (.*?);", whole_schema("mssql"), re.DOTALL)
    assert len(filtered) >= 8
    assert not [name for name, condition in filtered if "?" in condition or " OR " in condition]
    for statement in STATEMENTS:
        sql = compiled(statement, "mssql").sql
        if "dwarf_steps" in sql and sql.startswith("SELECT"):
            assert "dwarf_steps.status = ?" not in sql, statement.name
            assert "dwarf_steps.parked = ?" not in sql, statement.name
