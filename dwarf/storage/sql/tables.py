"""The tables. Times are epoch milliseconds by the database's clock; payloads are JSON text, never a JSON type.

The engine assigns ids from blocks that it reserves in ``ids``, so a decision is complete before it is written. Partial
indexes contain only live rows: finished rows leave them, so a growing history does not slow the work. Long columns come
last, so that a scan of the short ones does not read them.

Additions of a later schema version are marked with ``since``: a column comes at the end of its table, where ``ALTER
TABLE`` puts it. A text column is nullable, since MySQL has no default for it, and old rows have none.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Unicode,
    UnicodeText,
    text,
)
from sqlalchemy.dialects import mssql, mysql
from sqlalchemy.types import TypeEngine

metadata = MetaData()


class Payload(UnicodeText):
    """The type of columns with texts of any length, which a codec may transform.

    ``parts``: which parts of its JSON text may be stored as blobs if they are large; see ``offload``.
    """

    def __init__(self, parts: str = "") -> None:
        super().__init__()
        self.parts = parts


# Names and keys compare by code points everywhere: two servers' defaults ignore case and accents.
_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
# Live rows of these tables change quickly: vacuum and analyse must not wait until a share of the long history has
# changed.
_BUSY = {"postgresql_with": "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02"}
_MSSQL_COLLATION = "Latin1_General_100_BIN2"


def _unicode(length: int) -> TypeEngine[Any]:
    return Unicode(length).with_variant(mssql.NVARCHAR(length, collation=_MSSQL_COLLATION), "mssql")


def _id(name: str, **options: Any) -> Column[Any]:
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), nullable=False, **options)


def _big(name: str, default: str = "0", *, since: int = 1) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, server_default=text(default), info={"since": since})


def _int(name: str, default: str = "0", *, since: int = 1) -> Column[Any]:
    return Column(name, Integer, nullable=False, server_default=text(default), info={"since": since})


def _flag(name: str, *, since: int = 1) -> Column[Any]:
    return Column(name, SmallInteger, nullable=False, server_default=text("0"), info={"since": since})


def _string(name: str, length: int, default: str | None = "''", *, since: int = 1) -> Column[Any]:
    given = None if default is None else text(default)
    return Column(name, _unicode(length), nullable=False, server_default=given, info={"since": since})


def _payload(name: str, parts: str = "", *, since: int = 1) -> Column[Any]:
    long = Payload(parts).with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
    kept = long.with_variant(mssql.NVARCHAR(None), "mssql")
    return Column(name, kept, nullable=since > 1, info={"since": since})


def _partial(condition: str, *instead: str, since: int = 1, mysql: bool = True) -> dict[str, Any]:
    """An index of some rows. ``instead`` are columns that lead it where there are none of that kind: on MySQL.

    ``mysql``: whether there is one on MySQL, where it would hold all rows.
    """
    where = text(condition)
    return {
        "sqlite_where": where,
        "postgresql_where": where,
        "mssql_where": where,
        "info": {"mysql_leading": instead, "since": since, "mysql": mysql},
    }


ids = Table(
    "dwarf_ids",
    metadata,
    Column("kind", _unicode(16), primary_key=True),
    _big("next_id", "1"),
    **_MYSQL,
)

facts = Table(
    "dwarf_facts",
    metadata,
    Column("name", _unicode(32), primary_key=True),  # "database": a random text that names this database
    _string("value", 64, None),
    **_MYSQL,
)

secrets = Table(
    "dwarf_secrets",
    metadata,
    Column("name", _unicode(32), primary_key=True),  # "blobs": the key of the hashes that name blobs
    _payload("value"),
    **_MYSQL,
)

graphs = Table(
    "dwarf_graphs",
    metadata,
    Column("graph_hash", _unicode(64), primary_key=True),
    _payload("body"),
    **_MYSQL,
)

flows = Table(
    "dwarf_flows",
    metadata,
    _id("flow_id", primary_key=True, autoincrement=False),
    _string("token", 16, None),
    _string("workflow_url", 512, None),
    _string("workflow_name", 512, None),
    _string("graph_hash", 64, None),
    _string("status", 16, None),
    _big("parent_flow_id"),
    _big("parent_step_id"),
    _big("root_flow_id"),
    _big("forked_from_step"),
    _big("thread_id"),
    _string("thread_token", 16),
    _string("trace_parent", 128),
    _flag("delete_on_completion"),
    _int("delete_after_ms"),  # doomed: removed this long after the last change of the status
    _int("priority", "100"),
    _string("fairness_key", 256),
    Column("fairness_weight", Float(53), nullable=False, server_default=text("1")),
    _int("time_budget_ms"),
    _big("engine_id"),
    Column("idempotency_key", _unicode(256), nullable=True),
    _string("request_hash", 64),
    _big("created_at"),
    _big("started_at"),
    _big("updated_at"),
    _payload("error"),
    _payload("cancel_reason"),
    _payload("baggage", "members"),
    _payload("final_state", "members"),
    _big("scheduled_at", since=2),  # the tick of the schedule that made the root flow, 0 for none
    _string("name", 256, since=2),  # for people
    _payload("tags", since=2),  # an object of texts; in the row of a child as they were when it was called
    _payload("breakpoints", since=2),  # of a root flow
    _string("hook", 16, since=2),  # the event by which a hook has made the root flow
    Index("dwarf_flows_root", "root_flow_id"),
    Index("dwarf_flows_parent", "parent_step_id", **_partial("parent_step_id > 0")),
    # newest first: of the roots or of one parent, of all, by status, by workflow
    Index("dwarf_flows_newest", "parent_flow_id", "created_at", "flow_id"),
    Index("dwarf_flows_all", "created_at", "flow_id"),
    Index("dwarf_flows_status", "status", "parent_flow_id", "created_at", "flow_id"),
    Index("dwarf_flows_url", "workflow_url", "parent_flow_id", "created_at", "flow_id"),
    Index("dwarf_flows_name", "workflow_name", "parent_flow_id", "created_at", "flow_id"),
    Index("dwarf_flows_thread", "thread_id", "flow_id"),
    Index("dwarf_flows_doomed", "delete_after_ms", "updated_at", **_partial("delete_after_ms > 0")),
    Index("dwarf_flows_key", "idempotency_key", unique=True, **_partial("idempotency_key IS NOT NULL")),
    info=_BUSY,
    **_MYSQL,
)

steps = Table(
    "dwarf_steps",
    metadata,
    _id("step_id", primary_key=True, autoincrement=False),
    _big("flow_id"),
    _string("token", 16, None),
    _int("depth"),
    _string("node", 512, None),
    _string("task_url", 512, None),
    _string("status", 16, None),
    _int("time_budget_ms"),
    _int("attempt"),
    _big("lineage_id"),  # the spawn of the innermost cohort; 0 on the trunk
    _int("cohort_size"),
    _int("cohort_arrivals"),
    _int("cohort_failures"),
    _int("ordinal"),
    _string("route", 520),  # how it was left: '' by its edges, "error", or "goto:" and the node
    _big("predecessor_id"),
    _big("successor_id"),
    _int("priority", "100"),
    _string("fairness_key", 256),
    Column("fairness_weight", Float(53), nullable=False, server_default=text("1")),
    _big("interrupt_deadline"),
    _flag("parked"),
    _big("not_before"),
    _flag("asleep"),  # a pending step that is not due yet; the search for work wakes it when its time has come
    _big("lease_expires"),
    _big("lease_seq"),
    _string("limit_name", 64),  # what the step shares its limit under; empty without one
    _string("limit_rule", 64),
    _int("crashes"),  # claims that ended without an outcome
    _big("engine_id"),
    _big("created_at"),
    _big("started_at"),
    _big("updated_at"),
    _payload("progress"),
    _payload("error"),
    _payload("traceback"),
    _payload("answers", "answers"),  # the parks of this execution that are over, in order
    _payload("interrupt", "interrupt"),  # the park that waits for an answer: payload and default
    _payload("refs"),  # {field: id of the step that holds its value}
    _payload("changes", "members"),  # the output, tombstones included
    _payload("state", "members"),  # the input, less the fields named in refs
    _payload("warnings", since=2),  # what its outcome has to say beside itself: a list of texts
    _payload("called", since=2),  # the child flow that is waited for: workflow, and digest of the input
    _payload("answered_by", since=2),  # a list of the names that came with the answers
    _big("ran_us", since=2),  # the time in the task itself, over its attempts, in microseconds; 0 where not known
    _big("waited_us", since=2),  # the time in which it was due and did not run
    _string("labels", 256, since=2),  # those that an engine must have to run it; then it is set aside: asleep is 2
    _string("code", 32, since=2),  # the digest of the function that ran last; '' where not known
    _string("cached_from", 64, since=2),  # the key of the step whose outcome this one took over
    # with the status: which steps of a wide flow wait, and how many there are of each, without reading rows
    Index("dwarf_steps_flow", "flow_id", "status", "lineage_id", "step_id"),
    Index("dwarf_steps_cohort", "lineage_id", **_partial("lineage_id > 0")),
    Index(
        "dwarf_steps_due",
        "priority",
        "fairness_key",
        "created_at",
        "step_id",
        **_partial("status = 'pending' AND parked = 0 AND asleep = 0", "status", "parked", "asleep"),
    ),
    Index(
        "dwarf_steps_apart",  # MySQL finds these by the index of those that sleep
        "labels",
        "not_before",
        **_partial("status = 'pending' AND parked = 0 AND asleep = 2", since=2, mysql=False),
    ),
    Index(
        "dwarf_steps_limited",
        "limit_name",
        **_partial("limit_name <> '' AND status = 'running' AND parked = 0", "status", "parked"),
    ),
    Index(
        "dwarf_steps_asleep",
        "not_before",
        **_partial("status = 'pending' AND parked = 0 AND asleep = 1", "status", "parked", "asleep"),
    ),
    Index("dwarf_steps_leased", "lease_expires", **_partial("status = 'running' AND parked = 0", "status", "parked")),
    Index(
        "dwarf_steps_deadline",
        "interrupt_deadline",
        **_partial("status = 'interrupted' AND interrupt_deadline > 0", "status"),
    ),
    info=_BUSY,
    **_MYSQL,
)

tags = Table(
    "dwarf_tags",
    metadata,
    _id("flow_id", primary_key=True, autoincrement=False),  # a root flow
    Column("name", _unicode(128), primary_key=True),  # '' is the name of the flow
    _string("value", 256, None),
    _big("created_at"),  # that of the flow, so that lists need no sorting
    Index("dwarf_tags_value", "name", "value", "created_at", "flow_id", info={"since": 2}),
    Index("dwarf_tags_name", "name", "created_at", "flow_id", info={"since": 2}),
    info={"since": 2},
    **_MYSQL,
)

breakpoints = Table(
    "dwarf_breakpoints",
    metadata,
    _id("flow_id", primary_key=True, autoincrement=False),
    _big("changed_at"),  # lately: engines that run the flow look here
    _payload("body", since=2),
    info={"since": 2},
    **_MYSQL,
)

hooks = Table(
    "dwarf_hooks",
    metadata,
    Column("event", _unicode(16), primary_key=True),
    _string("workflow_url", 512, None),
    _string("graph_hash", 64, None),
    _int("priority", "100"),
    _int("time_budget_ms"),
    info={"since": 2},
    **_MYSQL,
)

deadlines = Table(
    "dwarf_deadlines",
    metadata,
    _id("flow_id", primary_key=True, autoincrement=False),  # a root flow, which may have ended already
    _big("due_at"),
    Index("dwarf_deadlines_due", "due_at", info={"since": 2}),
    info={"since": 2},
    **_MYSQL,
)

blobs = Table(
    "dwarf_blobs",
    metadata,
    Column("blob_hash", _unicode(64), primary_key=True),
    _payload("body"),  # the JSON text of one value
    **_MYSQL,
)

blob_refs = Table(
    "dwarf_blob_refs",
    metadata,
    _id("holder_id", primary_key=True, autoincrement=False),  # a step, or a flow's own row: minus the flow's id
    Column("blob_hash", _unicode(64), primary_key=True),
    _id("flow_id"),
    Index("dwarf_blob_refs_flow", "flow_id"),
    Index("dwarf_blob_refs_hash", "blob_hash"),
    **_MYSQL,
)

# Outcomes that other steps may take over: those of steps of this database, as long as these are there. Two steps that
# have computed the same stand side by side.
cache = Table(
    "dwarf_cache",
    metadata,
    Column("cache_key", _unicode(64), primary_key=True),
    _id("step_id", primary_key=True, autoincrement=False),
    _string("task_url", 512, None),
    _int("delay_ms"),
    _big("made_at"),
    _big("expires_at"),  # 0: never
    Index("dwarf_cache_expires", "expires_at", **_partial("expires_at > 0", since=2)),
    info={"since": 2},
    **_MYSQL,
)

schedules = Table(
    "dwarf_schedules",
    metadata,
    Column("name", _unicode(256), primary_key=True),
    _string("definition_hash", 64, None),
    _string("workflow_url", 512, None),
    _string("graph_hash", 64),
    _string("cron", 256),
    _big("every_ms"),
    _string("timezone", 64, None),
    _payload("state"),
    _payload("options"),
    _flag("catch_up"),
    _flag("paused"),
    _big("next_at"),
    _string("overlap", 8, since=2),  # '' is "skip"
    _big("last_flow_id", since=2),  # the flow of the latest tick
    Index("dwarf_schedules_next", "next_at"),
    **_MYSQL,
)

limit_gates = Table(
    "dwarf_limit_gates",
    metadata,
    Column("limit_name", _unicode(64), primary_key=True),
    _flag("turn"),
    **_MYSQL,
)

limit_starts = Table(
    "dwarf_limit_starts",
    metadata,
    _string("limit_name", 64, None),
    _big("step_id"),
    _big("started_at"),
    Index("dwarf_limit_starts_name", "limit_name", "started_at"),
    **_MYSQL,
)

replicas = Table(
    "dwarf_replicas",
    metadata,
    _id("engine_id", primary_key=True, autoincrement=False),
    _string("nonce", 16, None),  # tells two engines of one id apart
    _int("workers"),
    _big("started_at"),
    _big("seen_at"),
    _big("beats", since=2),  # raised by the heartbeat; 0 in the row of a version that has none
    _int("dead", since=2),  # 0; 1: it was not heard for too long; 2: its session had ended
    _big("lock_key", since=2),  # of the lock that its session on the server holds; 0: there is none to go by
    _string("server", 64, since=2),  # which run of the server has that lock
    _flag("direct", since=2),  # the session ends with the process, since nothing stands in between
    **_MYSQL,
)

knowledge = Table(
    "dwarf_knowledge",
    metadata,
    _id("engine_id", primary_key=True, autoincrement=False),
    _big("told_at"),
    _payload("tasks", since=2),  # the URLs of the tasks that the engine knows, as a JSON array; null: it cannot tell
    info={"since": 2},
    **_MYSQL,
)

output = Table(
    "dwarf_output",
    metadata,
    _id("step_id", primary_key=True, autoincrement=False),
    Column("run", Integer, primary_key=True, autoincrement=False),  # the number of the lease under which the task ran
    Column("part", Integer, primary_key=True, autoincrement=False),  # counts within the run
    _big("flow_id", since=2),
    _int("attempt", since=2),
    _flag("is_stream", since=2),
    _int("first_line", since=2),  # the number of its first line within the run: where it leaps, lines were left out
    _int("line_count", since=2),  # 0 for a stream
    _big("began_at", since=2),  # the time of its first line
    _big("written_at", since=2),
    _string("name", 200, since=2),  # of a stream
    _payload("body", since=2),  # lines: milliseconds after the first one, source, text, level, logger
    Index("dwarf_output_flow", "flow_id", "written_at", info={"since": 2}),
    info={"since": 2},
    **_MYSQL,
)

displays = Table(
    "dwarf_displays",
    metadata,
    _id("display_id", primary_key=True, autoincrement=False),  # from the ids of steps, so that it can hold blobs
    _big("step_id", since=2),
    _big("flow_id", since=2),
    _string("slot", 208, since=2),  # "=" and the name, or "#" and which one it is of those without a name
    _int("attempt", since=2),
    _int("run", since=2),
    _int("number", since=2),  # which display of its run
    _big("shown_at", since=2),
    _big("written_at", since=2),
    _string("name", 200, since=2),
    _payload("data", "members", since=2),  # a text for each type
    Index("dwarf_displays_step", "step_id", info={"since": 2}),
    Index("dwarf_displays_flow", "flow_id", "written_at", info={"since": 2}),
    info={"since": 2},
    **_MYSQL,
)

migrations = Table(
    "dwarf_migrations",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    _big("applied_at"),
    **_MYSQL,
)
