"""The fenced write of a step's own row, one statement for each kind of decision.

Each matches only while this replica holds the lease. A decision whose row is not matched has been fenced out: the step
was cancelled, or another replica owns it now. It then writes nothing more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Update, bindparam, literal_column, update

from dwarf.core.decision import Advance, Ask, Call, Complete, Decision, Fail, StartOver, TryAgain
from dwarf.storage.sql.expressions import flag_is, of_row, status_is
from dwarf.storage.sql.rows import APART, object_text
from dwarf.storage.sql.script import Statement, UpdateEach
from dwarf.storage.sql.tables import steps
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.status import Status

_TIMES = ("ran_us", "waited_us")


def _fenced(name: str, *columns: str, status: Status | None, **fixed: Any) -> Statement:
    values: dict[str, Any] = {column: bindparam(f"new_{column}") for column in ("updated_at", *columns)}
    values.update(fixed)
    for column in _TIMES:
        values[column] = steps.c[column] + bindparam(f"new_{column}")
    values["code"] = bindparam("new_code")
    if status is not None:
        values["status"] = literal_column(f"'{status.value}'")
    return Statement(
        name,
        update(steps)
        .where(
            steps.c.step_id == bindparam("id"),
            status_is(of_row(steps.c.status), Status.RUNNING),
            flag_is(of_row(steps.c.parked), 0),
            steps.c.lease_seq == bindparam("seq"),
        )
        .values(values),
        shared=("new_updated_at",),
    )


def _warning(statement: Statement) -> Statement:
    """The same write with the step's warnings. Few steps have warnings; the others do not send the column."""
    clause = statement.clause
    assert isinstance(clause, Update)
    values = clause.values(warnings=bindparam("new_warnings"))
    return Statement(f"{statement.name}_warning", values, shared=statement.shared)


def _cached(statement: Statement) -> Statement:
    """The same write for a step that reuses the outcome of another one."""
    clause = statement.clause
    assert isinstance(clause, Update)
    values = clause.values(cached_from=bindparam("new_cached_from"))
    return Statement(f"{statement.name}_cached", values, shared=statement.shared)


_NONE: ColumnElement[Any] = literal_column("''")
_ZERO: ColumnElement[Any] = literal_column("0")
_PAYLOADS = ("changes", "interrupt")

FINISH = _fenced(
    "finish_step_whole", "changes", "successor_id", "cohort_size", "cohort_arrivals", "route", status=Status.COMPLETED
)
# a step that opens no cohort and was left by its edges, without a goto or an error
FINISH_PLAIN = _fenced(
    "finish_step",
    "changes",
    "successor_id",
    status=Status.COMPLETED,
    cohort_size=_ZERO,
    cohort_arrivals=_ZERO,
    route=_NONE,
)
FAIL = _fenced("fail_step", "error", "traceback", status=Status.FAILED)
FAIL_KEEPING = _fenced("fail_step_keeping", "error", "traceback", "changes", status=Status.FAILED)
RETRY = _fenced(
    "retry_step",
    "changes",
    "attempt",
    "not_before",
    "asleep",
    status=Status.PENDING,
    answers=_NONE,
    progress=_NONE,
    lease_expires=_ZERO,
)
TRY_AGAIN = _fenced(
    "try_step_again",
    "attempt",
    "not_before",
    "asleep",
    "error",
    "traceback",
    status=Status.PENDING,
    progress=_NONE,
    lease_expires=_ZERO,
)
# a run that got as far as a question or a call was no crash: they are counted anew
ASK = _fenced("ask_step", "changes", "interrupt", "interrupt_deadline", status=Status.INTERRUPTED, crashes=_ZERO)
CALL = _fenced("call_step", "changes", "called", status=None, parked=literal_column("1"), crashes=_ZERO)
WITH_WARNINGS = {
    statement: _warning(statement) for statement in (FINISH, FAIL, FAIL_KEEPING, RETRY, TRY_AGAIN, ASK, CALL)
}
CACHED = {statement: _cached(statement) for statement in (FINISH, WITH_WARNINGS[FINISH])}


def own_rows(decisions: Sequence[Decision], now: int) -> tuple[list[int], list[UpdateEach]]:
    """The writes of the steps' own rows, one for each kind, and the decisions' positions in the order of the rows."""
    kinds: dict[Statement, tuple[list[int], list[dict[str, Any]]]] = {} if decisions else {FINISH: ([], [])}
    # every transaction locks steps in this order
    for position in sorted(range(len(decisions)), key=lambda position: decisions[position].step.step_id):
        statement, row = own_row(decisions[position], now)
        if statement not in kinds:
            kinds[statement] = [], []
        positions, rows = kinds[statement]
        positions.append(position)
        rows.append(row)
    order = [position for positions, _ in kinds.values() for position in positions]
    return order, [_write(statement, rows) for statement, (_, rows) in kinds.items()]


def _write(statement: Statement, rows: Sequence[dict[str, Any]]) -> UpdateEach:
    if statement is FINISH and not any(
        row["new_cohort_size"] or row["new_cohort_arrivals"] or row["new_route"] for row in rows
    ):
        statement = FINISH_PLAIN
    return UpdateEach(statement, rows)


def count_payloads(decision: Decision, row: Mapping[str, Any], written: Counter[tuple[str, str]] | None) -> None:
    """Add the payload sizes of a step's own row, if they are wanted."""
    if written is not None:
        for column in _PAYLOADS:
            written[decision.step.flow.workflow_url, column] += len(row.get(f"new_{column}", ""))


def own_columns(decision: Decision) -> dict[str, Any]:
    """The columns that a decision writes on its ended step, except for the time."""
    _, values = own_row(decision, 0)
    status = Status.FAILED if isinstance(decision, Fail) else Status.COMPLETED
    written = {name.removeprefix("new_"): value for name, value in values.items() if name.startswith("new_")}
    for column in ("updated_at", "code", *_TIMES):
        written.pop(column)
    return {**written, "status": status.value}


def own_row(decision: Decision, now: int) -> tuple[Statement, dict[str, Any]]:
    """The statement that writes a step's own row, and its parameters."""
    statement, row = _own_row(decision, now)
    if decision.warnings:
        row["new_warnings"] = dumps(list(decision.warnings))
        statement = WITH_WARNINGS[statement]
    if decision.step.cached_from and statement in CACHED:
        row["new_cached_from"] = decision.step.cached_from
        statement = CACHED[statement]
    return statement, row


def _own_row(decision: Decision, now: int) -> tuple[Statement, dict[str, Any]]:
    step = decision.step
    row: dict[str, Any] = {"id": step.step_id, "seq": step.lease_seq, "new_updated_at": now}
    row["new_ran_us"], row["new_waited_us"], row["new_code"] = step.ran_us, step.waited_us, step.code
    match decision:
        case Advance():
            row["new_changes"] = object_text(decision.changes)
            row["new_successor_id"] = decision.successors[0].step_id if decision.successors else 0
            row["new_cohort_size"] = decision.cohort_size
            own = decision.arrivals if decision.cohort_id == step.step_id else 0
            row["new_cohort_arrivals"] = own
            row["new_route"] = decision.route
            return FINISH, row
        case Complete():
            row["new_changes"] = object_text(decision.changes)
            row["new_successor_id"] = row["new_cohort_size"] = row["new_cohort_arrivals"] = 0
            row["new_route"] = decision.route
            return FINISH, row
        case Fail():
            row["new_error"] = decision.error
            row["new_traceback"] = decision.traceback
            if decision.changes is None:
                return FAIL, row
            row["new_changes"] = object_text(decision.changes)
            return FAIL_KEEPING, row
        case StartOver():
            row["new_changes"] = object_text(decision.changes)
            row["new_attempt"] = step.attempt + 1
            row["new_not_before"] = now + decision.delay_ms
            row["new_asleep"] = _delayed(decision)
            return RETRY, row
        case TryAgain():
            row["new_attempt"] = step.attempt + 1
            row["new_not_before"] = now + decision.delay_ms
            row["new_asleep"] = _delayed(decision)
            row["new_error"] = decision.error
            row["new_traceback"] = decision.traceback
            return TRY_AGAIN, row
        case Ask():
            row["new_changes"] = object_text(decision.changes)
            row["new_interrupt"] = dumps(_interrupt(decision))
            row["new_interrupt_deadline"] = 0 if decision.timeout_ms is None else now + decision.timeout_ms
            return ASK, row
        case Call():
            row["new_changes"] = object_text(decision.changes)
            row["new_called"] = dumps(_called(decision))
            return CALL, row


def _delayed(decision: StartOver | TryAgain) -> int:
    labelled = decision.step.flow.plan.nodes[decision.step.node].labels
    return APART if labelled else int(decision.delay_ms > 0)


def _interrupt(decision: Ask) -> dict[str, Any]:
    stored: dict[str, Any] = {"payload": decision.payload}
    if decision.has_default:
        stored["default"] = decision.default
    if decision.key:
        stored["key"] = decision.key
    if decision.misses:
        stored["misses"] = decision.misses
    return stored


def _called(decision: Call) -> dict[str, Any]:
    stored: dict[str, Any] = {"workflow": decision.workflow, "input": decision.input}
    if decision.misses:
        stored["misses"] = decision.misses
    return stored
