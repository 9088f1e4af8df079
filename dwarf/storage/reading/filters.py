"""What a list of flows is narrowed by, and the statements that read it.

Each condition is written once, by name; a statement is a set of names. Led by equalities and by the order of creation,
each finds its index, and none sorts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, Unicode, bindparam, cast, exists, func, literal_column, or_, select

from dwarf.storage.expressions import ZERO, contains, flag_is, status_is, unindexed
from dwarf.storage.named import columns
from dwarf.storage.script import Statement
from dwarf.storage.tables import flows, steps
from dwarf.workflow.status import Status

LATEST = 2**62  # later than any moment


@dataclass(frozen=True, slots=True)
class Filters:
    """All of these hold for a listed flow; what is empty, 0 or None is no filter.

    ``older_ms`` and ``newer_ms`` are ages of the last change of the flow's status. ``thread_id`` is that of the
    thread's first flow.
    """

    status: Status | None = None
    workflow_url: str = ""
    workflow_name: str = ""
    thread_id: int = 0
    node: str = ""
    fairness_key: str = ""
    priority: int = 0
    older_ms: int = 0
    newer_ms: int = 0
    search: str = ""
    include_subgraphs: bool = False

    @property
    def narrow(self) -> bool:
        """Whether there is a filter at all."""
        return Filters(include_subgraphs=self.include_subgraphs) != self


class ListedRow(NamedTuple):
    """What a list tells of a flow."""

    flow_id: int
    created_at: int
    token: str
    status: str
    thread_id: int
    thread_token: str
    workflow_url: str
    workflow_name: str
    error: str
    cancel_reason: str
    priority: int
    fairness_key: str
    trace_parent: str
    parent_flow_id: int
    started_at: int
    updated_at: int
    forked_from_step: int


COLUMNS = columns(ListedRow, flows)

# The step that a flow is at: the end of its trunk. Inside a fan-out there is none, since its source has a successor.
AT_TRUNK_END = (flag_is(steps.c.lineage_id, 0), flag_is(steps.c.successor_id, 0))

_root = flows.alias("root")
_key = (
    bindparam("key_prefix", type_=Unicode()) + cast(flows.c.flow_id, String(20)) + literal_column("'-'") + flows.c.token
)


def _at_node(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(steps.c.flow_id == flows.c.flow_id, *AT_TRUNK_END, condition)


def _in_names(*, unicode: bool) -> ColumnElement[bool]:
    return or_(
        contains(flows.c.workflow_url, unicode=unicode),
        contains(flows.c.workflow_name, unicode=unicode),
        _at_node(contains(steps.c.node, unicode=unicode)),
    )


_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "kept": flag_is(flows.c.delete_after_ms, 0),
    "tree_kept": ~exists().where(_root.c.flow_id == flows.c.root_flow_id, _root.c.delete_after_ms > ZERO),
    "roots": flag_is(flows.c.parent_flow_id, 0),
    "roots_of_thread": flag_is(unindexed(flows.c.parent_flow_id), 0),
    "upto": flows.c.created_at <= bindparam("upto"),
    "since": flows.c.created_at >= bindparam("since"),
    "before": or_(flows.c.created_at < bindparam("before"), flows.c.flow_id < bindparam("before_id")),
    "status": flows.c.status == bindparam("status"),
    "not_running": flows.c.status != literal_column(f"'{Status.RUNNING.value}'"),
    "workflow_url": flows.c.workflow_url == bindparam("workflow_url"),
    "workflow_name": flows.c.workflow_name == bindparam("workflow_name"),
    "rare_workflow_url": unindexed(flows.c.workflow_url) == bindparam("workflow_url"),
    "rare_workflow_name": unindexed(flows.c.workflow_name) == bindparam("workflow_name"),
    "thread_id": flows.c.thread_id == bindparam("thread_id"),
    "node": _at_node(steps.c.node == bindparam("node")),
    "fairness_key": flows.c.fairness_key == bindparam("fairness_key"),
    "priority": flows.c.priority == bindparam("priority"),
    "older": flows.c.updated_at < bindparam("older"),
    "newer": flows.c.updated_at >= bindparam("newer"),
    # what a search looks at; see ``searching``
    "arm_url": flows.c.workflow_url == bindparam("arm_url"),
    "arm_name": flows.c.workflow_name == bindparam("arm_name"),
    "arm_key": (flows.c.flow_id == bindparam("arm_id")) & flows.c.token.like(bindparam("arm_token")),
    "key_text": contains(_key, unicode=False),
    "failed": status_is(flows.c.status, Status.FAILED),
    "cancelled": status_is(flows.c.status, Status.CANCELLED),
}
for _suffix, _unicode in (("", False), ("_unicode", True)):
    _CONDITIONS |= {
        f"names_text{_suffix}": _in_names(unicode=_unicode),
        f"failed_text{_suffix}": status_is(flows.c.status, Status.FAILED) & contains(flows.c.error, unicode=_unicode),
        f"cancelled_text{_suffix}": status_is(flows.c.status, Status.CANCELLED)
        & contains(flows.c.cancel_reason, unicode=_unicode),
        f"node_text{_suffix}": _at_node(contains(steps.c.node, unicode=_unicode)),
    }


@cache
def list_statement(conditions: frozenset[str], *, oldest_first: bool) -> Statement:
    """The statement with these conditions. Its parameters are those they name, and ``limit``."""
    order = (flows.c.created_at, flows.c.flow_id)
    query = (
        select(*COLUMNS)
        .where(*(_CONDITIONS[name] for name in sorted(conditions)))
        .order_by(*(order if oldest_first else (column.desc() for column in order)))
        .limit(bindparam("limit"))
    )
    name = "_".join(["list_flows", *sorted(conditions), *(["oldest_first"] if oldest_first else [])])
    return Statement(name, query)


@cache
def count_statement(conditions: frozenset[str]) -> Statement:
    """The statement that counts, by status, the flows with these conditions."""
    query = select(flows.c.status, func.count()).where(*(_CONDITIONS[name] for name in sorted(conditions)))
    name = "_".join(["count_flows_by_status", *sorted(conditions)])
    return Statement(name, query.group_by(flows.c.status).order_by(flows.c.status))


def conditions_of(filters: Filters, now: int) -> tuple[set[str], dict[str, Any]]:
    """The conditions that a list always has, with their parameters. ``now`` is the database's time."""
    values: dict[str, Any] = {"upto": LATEST}
    names = {"kept", "upto"}
    if filters.include_subgraphs:
        names.add("tree_kept")
    else:
        names.add("roots_of_thread" if filters.thread_id else "roots")
    for name in ("status", "workflow_url", "workflow_name", "thread_id", "node", "fairness_key", "priority"):
        if value := getattr(filters, name):
            # few flows are not completed: then the index by status is better than the one by workflow
            rare = filters.status not in (None, Status.COMPLETED) and name in ("workflow_url", "workflow_name")
            names.add(f"rare_{name}" if rare else name)
            values[name] = str(value) if name == "status" else value
    if filters.older_ms:
        names.add("older")
        values["older"] = now - filters.older_ms
        values["upto"] = values["older"]  # no flow is changed before it is created
    if filters.newer_ms:
        names.add("newer")
        values["newer"] = now - filters.newer_ms
    return names, values


# One of each kind, for the tests of what is sent to a database.
SAMPLES: Collection[Statement] = [
    *(
        list_statement(frozenset({"kept", "upto", scope, *more}), oldest_first=False)
        for scope in ("roots", "roots_of_thread")
        for more in ((), ("before",), *((name,) for name in _CONDITIONS if name not in ("kept", "tree_kept", "upto")))
        if not {"roots", "roots_of_thread"} & {*more}
    ),
    list_statement(frozenset({"kept", "tree_kept", "upto", "before"}), oldest_first=False),
    list_statement(frozenset({"kept", "upto", "roots", "status", "not_running", "older"}), oldest_first=True),
    *(count_statement(frozenset({"kept", "upto", "roots", *more})) for more in ((), ("workflow_name",), ("node",))),
]
