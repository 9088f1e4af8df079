"""From rows to records and back: rows read by name, insert parameters, and the columns of a claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, FromClause, Integer, bindparam, insert, literal_column, select

from dwarf.core.breakpoints import Breakpoints
from dwarf.core.fairness import DEFAULT_PRIORITY, DEFAULT_WEIGHT
from dwarf.core.plan import Plan
from dwarf.core.records import FlowRecord, NewFlow, NewStep, State
from dwarf.errors import StorageError
from dwarf.storage.sql.expressions import locked
from dwarf.storage.sql.script import InsertMany, Statement
from dwarf.storage.sql.tables import deadlines, flows, graphs, steps, tags
from dwarf.workflow.jsontext import JSON, dumps, loads
from dwarf.workflow.status import Status

Columns = tuple[ColumnElement[Any], ...]

APART = 2  # value of ``asleep`` for a step with labels, which only some engines look for
_EMPTY: ColumnElement[Any] = literal_column("''")
_STEP_BINDS = (
    "step_id flow_id token depth node task_url state refs status time_budget_ms lineage_id ordinal predecessor_id "
    "limit_name limit_rule "
    "priority fairness_key fairness_weight not_before asleep lease_expires lease_seq engine_id created_at started_at "
    "updated_at"
).split()
_FLOW_BINDS = (
    "flow_id token workflow_url workflow_name graph_hash baggage status parent_flow_id parent_step_id root_flow_id "
    "forked_from_step thread_id thread_token trace_parent delete_on_completion priority fairness_key fairness_weight "
    "time_budget_ms engine_id idempotency_key request_hash created_at started_at updated_at"
).split()

INSERT_STEP = Statement(
    "insert_step",
    insert(steps).values(
        {
            **{name: bindparam(name) for name in _STEP_BINDS},
            **dict.fromkeys(("changes", "error", "traceback", "answers", "interrupt", "progress"), _EMPTY),
        }
    ),
)
INSERT_LABELLED_STEP = Statement(
    "insert_labelled_step",
    insert(steps).values(
        {
            **{name: bindparam(name) for name in (*_STEP_BINDS, "labels")},
            **dict.fromkeys(("changes", "error", "traceback", "answers", "interrupt", "progress"), _EMPTY),
        }
    ),
)
# The insertion of most steps: leased immediately, with the flow's default priority and key. Shared values are in the
# text, and all times are one parameter.
_READY_BINDS = (
    "step_id flow_id token depth node task_url state refs lineage_id ordinal predecessor_id engine_id"
).split()
_AT = bindparam("now", type_=BigInteger)
_BUDGET = bindparam("budget_ms", type_=Integer)
_READY_TIMES = ("not_before", "created_at", "started_at", "updated_at")
_READY_FIXED: dict[str, ColumnElement[Any]] = {
    "status": literal_column(f"'{Status.RUNNING.value}'"),
    "priority": literal_column(str(DEFAULT_PRIORITY)),
    "fairness_weight": literal_column(str(DEFAULT_WEIGHT)),
    "asleep": literal_column("0"),
    "lease_seq": literal_column("1"),
    **dict.fromkeys(("limit_name", "limit_rule", "fairness_key"), _EMPTY),
}
INSERT_READY_STEP = Statement(
    "insert_ready_step",
    insert(steps).values(
        {
            **{name: bindparam(name) for name in _READY_BINDS},
            **dict.fromkeys(_READY_TIMES, _AT),
            "time_budget_ms": _BUDGET,
            "lease_expires": _AT + _BUDGET + bindparam("margin_ms", type_=BigInteger),
            **_READY_FIXED,
            **dict.fromkeys(("changes", "error", "traceback", "answers", "interrupt", "progress"), _EMPTY),
        }
    ),
    shared=("now", "margin_ms", "engine_id"),
)
INSERT_FLOW = Statement(
    "insert_flow",
    insert(flows).values(
        {
            **{name: bindparam(name) for name in _FLOW_BINDS},
            **dict.fromkeys(("final_state", "error", "cancel_reason"), _EMPTY),
        }
    ),
)
_SELDOM = ("scheduled_at", "name", "tags", "breakpoints", "hook")
INSERT_WHOLE_FLOW = Statement(
    "insert_whole_flow",
    insert(flows).values(
        {
            **{name: bindparam(name) for name in (*_FLOW_BINDS, *_SELDOM)},
            **dict.fromkeys(("final_state", "error", "cancel_reason"), _EMPTY),
        }
    ),
)
INSERT_DEADLINE = Statement(
    "insert_deadline", insert(deadlines).values(flow_id=bindparam("flow_id"), due_at=bindparam("due_at"))
)
INSERT_TAG = Statement("insert_tag", insert(tags).values({column: bindparam(column.name) for column in tags.columns}))
INSERT_GRAPH = Statement(
    "insert_graph", insert(graphs).values(graph_hash=bindparam("graph_hash"), body=bindparam("body"))
)
LOCK_FLOW = Statement("lock_flow", locked(select(flows.c.flow_id).where(flows.c.flow_id == bindparam("id")), flows))
GRAPH_KNOWN = Statement(
    "graph_known", select(graphs.c.graph_hash).where(graphs.c.graph_hash == bindparam("graph_hash"))
)

LARGE: Final = 256 * 1024
"""The longest JSON text of a value, in characters, that is stored inline."""


def columns(kind: type[tuple[Any, ...]], *tables: FromClause, **given: ColumnElement[Any]) -> Columns:
    """The select list of a kind of row: a column for each of its fields, in their order.

    A field is the column of that name in the first of the tables that has one, or what is ``given`` under its name.
    """
    chosen: list[ColumnElement[Any]] = []
    for name in kind._fields:  # type: ignore[attr-defined] # every NamedTuple has it, but there is no type for "any of them"
        owner = next((table for table in tables if name in table.c), None)
        if name not in given and owner is None:
            raise LookupError(f"{kind.__name__}.{name} is no column of {', '.join(map(str, tables))}")
        chosen.append(given[name] if name in given or owner is None else owner.c[name])
    return tuple(chosen)


def object_text(value: Mapping[str, Any]) -> str:
    """The stored form of a JSON object: NULL for the empty one."""
    return with_source(dumps(value), lambda: value) if value else ""


def read_status(text: str) -> Status:
    """A stored status. StorageError for an unknown one."""
    try:
        return Status(text)
    except ValueError:
        raise StorageError(f"a row of the database has the status {text!r:.40}, which there is not") from None


def read_object(text: str | None) -> dict[str, Any]:
    """A stored JSON object."""
    return loads(text) if text else {}


def insert_steps(new: Sequence[NewStep], now: int, engine_id: int, margin_ms: int) -> InsertMany:
    """The insertion of new steps."""
    if any(step.labels for step in new):
        rows = [{**step_row(step, now, engine_id, margin_ms), "labels": step.labels} for step in new]
        return InsertMany(INSERT_LABELLED_STEP, rows)
    if all(map(_is_ready, new)):
        return InsertMany(INSERT_READY_STEP, [_ready_row(step, now, engine_id, margin_ms) for step in new])
    return InsertMany(INSERT_STEP, [step_row(step, now, engine_id, margin_ms) for step in new])


def _is_ready(step: NewStep) -> bool:
    flow = step.flow
    return (
        step.leased
        and not step.delay_ms
        and not step.limit_name
        and not flow.fairness_key
        and flow.priority == DEFAULT_PRIORITY
        and flow.fairness_weight == DEFAULT_WEIGHT
    )


def _ready_row(step: NewStep, now: int, engine_id: int, margin_ms: int) -> dict[str, Any]:
    """The parameters of INSERT_READY_STEP."""
    flow = step.flow
    return {
        "step_id": step.step_id,
        "flow_id": flow.flow_id,
        "token": step.token,
        "depth": step.depth,
        "node": step.node,
        "task_url": step.need,
        "state": with_source(step.stored, partial(_stored, step)),
        "refs": object_text(step.refs),
        "budget_ms": step.time_budget_ms,
        "lineage_id": step.lineage_id,
        "ordinal": step.ordinal,
        "predecessor_id": step.predecessor_id,
        "engine_id": engine_id,
        "now": now,
        "margin_ms": margin_ms,
    }


def step_row(step: NewStep, now: int, engine_id: int, margin_ms: int) -> dict[str, Any]:
    """The parameters of INSERT_STEP, and those of INSERT_READY_STEP."""
    flow = step.flow
    leased = step.leased
    return {
        **_ready_row(step, now, engine_id, margin_ms),
        "status": Status.RUNNING.value if leased else Status.PENDING.value,
        "time_budget_ms": step.time_budget_ms,
        "priority": flow.priority,
        "fairness_key": flow.fairness_key,
        "fairness_weight": flow.fairness_weight,
        "not_before": max(now, step.not_before) + step.delay_ms,
        "asleep": APART if step.labels else int(step.delay_ms > 0 or step.not_before > now),
        "lease_expires": now + step.time_budget_ms + margin_ms if leased else 0,
        "lease_seq": 1 if leased else 0,
        "limit_name": step.limit_name,
        "limit_rule": step.limit_rule,
        "created_at": now,
        "started_at": now if leased else 0,
        "updated_at": now,
    }


def _stored(step: NewStep) -> dict[str, Any]:
    """The stored part of a new step's state."""
    return {name: value for name, value in step.state.items() if name not in step.refs}


def insert_flows(new: Sequence[NewFlow], now: int, engine_id: int) -> list[InsertMany]:
    """The insertion of new flows. Only flows with a tick, a name, tags or a deadline need the longer statement."""
    rows = [flow_row(flow, now, engine_id) for flow in new]
    due = [
        {"flow_id": flow.record.flow_id, "due_at": flow.deadline_at or now + flow.deadline_ms}
        for flow in new
        if flow.deadline_at or flow.deadline_ms
    ]
    limited = [InsertMany(INSERT_DEADLINE, due)] if due else []
    records = [flow.record for flow in new]
    if not any(_has_more(record) for record in records):
        return [InsertMany(INSERT_FLOW, rows), *limited]
    for row, record in zip(rows, records, strict=True):
        has_rows = bool(record.name or record.tags)  # the column tells it when the flow is removed
        told_tags = object_text(record.tags) if has_rows else None
        row.update(scheduled_at=record.scheduled_at, name=record.name, tags=told_tags)
        row["hook"] = record.hook
        row["breakpoints"] = object_text(record.breakpoints.to_json()) if record.breakpoints else None
    told = [
        row
        for record in records
        if not record.parent_flow_id
        for row in tag_rows(record.flow_id, record.name, record.tags, now)
    ]
    return [InsertMany(INSERT_WHOLE_FLOW, rows), *([InsertMany(INSERT_TAG, told)] if told else []), *limited]


def _has_more(record: FlowRecord) -> bool:
    return bool(record.scheduled_at or record.name or record.tags or record.breakpoints or record.hook)


def tag_rows(flow_id: int, name: str, given: Mapping[str, str], created_at: int) -> list[dict[str, Any]]:
    """The rows that make a root flow searchable: one for its name, under '', and one for each tag."""
    pairs = {**({"": name} if name else {}), **given}
    return [{"flow_id": flow_id, "name": tag, "value": pairs[tag], "created_at": created_at} for tag in pairs]


def flow_row(flow: NewFlow, now: int, engine_id: int) -> dict[str, Any]:
    """The parameters of INSERT_FLOW."""
    record = flow.record
    return {
        "flow_id": record.flow_id,
        "token": record.token,
        "workflow_url": record.workflow_url,
        "workflow_name": record.plan.name,
        "graph_hash": record.graph_hash,
        "baggage": object_text(record.baggage),
        "status": Status.RUNNING.value,
        "parent_flow_id": record.parent_flow_id,
        "parent_step_id": record.parent_step_id,
        "root_flow_id": record.root_flow_id,
        "forked_from_step": flow.forked_from_step,
        "thread_id": record.thread_id,
        "thread_token": record.thread_token,
        "trace_parent": record.trace_parent,
        "delete_on_completion": int(record.delete_on_completion),
        "priority": record.priority,
        "fairness_key": record.fairness_key,
        "fairness_weight": record.fairness_weight,
        "time_budget_ms": record.time_budget_ms,
        "engine_id": engine_id,
        "idempotency_key": flow.idempotency_key,
        "request_hash": flow.request_hash,
        "created_at": now,
        "started_at": max(now, flow.entry.not_before),
        "updated_at": now,
    }


class FlowRow(NamedTuple):
    """The columns of a running flow, or of one that may run again."""

    flow_id: int
    token: str
    workflow_url: str
    graph_hash: str
    baggage: str
    parent_flow_id: int
    parent_step_id: int
    root_flow_id: int
    priority: int
    fairness_key: str
    fairness_weight: float
    time_budget_ms: int
    created_at: int
    updated_at: int
    thread_id: int
    thread_token: str
    trace_parent: str
    delete_on_completion: int
    status: str
    scheduled_at: int
    name: str
    tags: str | None
    breakpoints: str | None
    hook: str

    def record(self, shard: int, plan: Plan) -> FlowRecord:
        """The flow, with its graph."""
        return FlowRecord(
            shard=shard,
            flow_id=self.flow_id,
            token=self.token,
            workflow_url=self.workflow_url,
            plan=plan,
            graph_hash=self.graph_hash,
            baggage=read_object(self.baggage),
            parent_flow_id=self.parent_flow_id,
            parent_step_id=self.parent_step_id,
            root_flow_id=self.root_flow_id,
            priority=self.priority,
            fairness_key=self.fairness_key,
            fairness_weight=self.fairness_weight,
            time_budget_ms=self.time_budget_ms,
            created_at=self.created_at,
            updated_at=self.updated_at,
            thread_id=self.thread_id,
            thread_token=self.thread_token,
            trace_parent=self.trace_parent,
            delete_on_completion=bool(self.delete_on_completion),
            scheduled_at=self.scheduled_at,
            name=self.name,
            tags=read_object(self.tags),
            hook=self.hook,
            breakpoints=Breakpoints.from_json(read_object(self.breakpoints)) if self.breakpoints else None,
        )


FLOW_COLUMNS = columns(FlowRow, flows)


def restore(stored: str, refs: Mapping[str, int], anchors: Mapping[int, State]) -> dict[str, Any]:
    """A step's whole input: the stored part and the fields its anchors hold."""
    state: dict[str, Any] = loads(stored) if stored else {}
    for name, anchor in refs.items():
        state[name] = anchors[anchor][name]
    return state


class Whole(str):
    """The text of an object with the object itself, so that a long text need not be parsed again."""

    __slots__ = ("source",)

    source: Mapping[str, JSON]


def with_source(text: str, source: Callable[[], Mapping[str, JSON]]) -> str:
    """A text that may be cut, with the object it was made from; a short text alone."""
    if len(text) <= LARGE:
        return text
    whole = Whole(text)
    whole.source = source()
    return whole
