"""The filters of a list of flows, and the statements that read it.

Each condition is written once, by name; a statement is a set of names. A statement begins with equalities and the order
of creation, so each one has an index, and none sorts.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, Unicode, bindparam, case, cast, exists, func, literal_column, or_, select

from dwarf.storage.sql.expressions import ZERO, contains, flag_is, starts_later, status_is, unindexed
from dwarf.storage.sql.rows import columns
from dwarf.storage.sql.script import Statement
from dwarf.storage.sql.tables import flows, steps, tags
from dwarf.workflow.status import Status

LATEST = 2**62  # later than any moment
MOST_TAGS = 8  # in one query


@dataclass(frozen=True, slots=True)
class Filters:
    """All given filters must hold for a listed flow; empty values, 0 and None do not filter.

    ``tags`` are pairs of a name and a value, None for any; the name '' is that of the flow. ``older_ms`` and
    ``newer_ms`` are ages of the last change of the flow's status. ``thread_id`` is that of the
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
    tags: tuple[tuple[str, str | None], ...] = ()

    @property
    def narrow(self) -> bool:
        """Whether any filter is given."""
        return Filters(include_subgraphs=self.include_subgraphs) != self


class ListedRow(NamedTuple):
    """The columns of a listed flow."""

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
    root_flow_id: int
    name: str
    tags: str | None
    later: int


_LATER = starts_later(flows.c.created_at, flows.c.started_at)
COLUMNS = columns(ListedRow, flows, later=case((_LATER, 1), else_=0))

# The present step of a flow: the end of its trunk. Inside a fan-out there is none, since its source has a successor.
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
    "later": _LATER,
    "begun": ~_LATER,
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
    # the columns for a search; see ``search``
    "arm_url": flows.c.workflow_url == bindparam("arm_url"),
    "arm_name": flows.c.workflow_name == bindparam("arm_name"),
    "arm_key": (flows.c.flow_id == bindparam("arm_id")) & flows.c.token.like(bindparam("arm_token")),
    "key_text": contains(_key, unicode=False),
    "failed": status_is(flows.c.status, Status.FAILED),
    "cancelled": status_is(flows.c.status, Status.CANCELLED),
    "arm_tags": flows.c.flow_id.in_(select(tags.c.flow_id).where(contains(tags.c.value, unicode=False))),
    "arm_tags_unicode": flows.c.flow_id.in_(select(tags.c.flow_id).where(contains(tags.c.value, unicode=True))),
}
for _number in range(MOST_TAGS):
    _named = tags.alias(f"tag_{_number}")
    _known = _named.c.name == bindparam(f"tag_{_number}")
    _equal = _named.c.value == bindparam(f"tag_value_{_number}")
    _of_flow = _named.c.flow_id == flows.c.root_flow_id
    _CONDITIONS[f"tag_{_number}"] = exists().where(_of_flow, _known, _equal)
    _CONDITIONS[f"tag_{_number}_any"] = exists().where(_of_flow, _known)
_FEW = select(tags.c.flow_id).where(tags.c.name == bindparam("few"))
_CONDITIONS["few_any"] = flows.c.root_flow_id.in_(_FEW)
_CONDITIONS["few"] = flows.c.root_flow_id.in_(_FEW.where(tags.c.value == bindparam("few_value")))
# Led by a tag, a list has the order of the tags' rows, which exist for root flows only.
_LED = {
    "led": (tags.c.name == bindparam("led")) & (tags.c.value == bindparam("led_value")),
    "led_any": tags.c.name == bindparam("led"),
    "roots": tags.c.flow_id == flows.c.flow_id,
    "upto": tags.c.created_at <= bindparam("upto"),
    "since": tags.c.created_at >= bindparam("since"),
    "before": or_(tags.c.created_at < bindparam("before"), tags.c.flow_id < bindparam("before_id")),
    "status": unindexed(flows.c.status) == bindparam("status"),
    "workflow_url": unindexed(flows.c.workflow_url) == bindparam("workflow_url"),
    "workflow_name": unindexed(flows.c.workflow_name) == bindparam("workflow_name"),
    "arm_url": unindexed(flows.c.workflow_url) == bindparam("arm_url"),
    "arm_name": unindexed(flows.c.workflow_name) == bindparam("arm_name"),
}
_BY_TAG: Mapping[str, ColumnElement[bool]] = ChainMap(_LED, _CONDITIONS)
for _suffix, _unicode in (("", False), ("_unicode", True)):
    _CONDITIONS |= {
        f"names_text{_suffix}": _in_names(unicode=_unicode),
        f"failed_text{_suffix}": status_is(flows.c.status, Status.FAILED) & contains(flows.c.error, unicode=_unicode),
        f"cancelled_text{_suffix}": status_is(flows.c.status, Status.CANCELLED)
        & contains(flows.c.cancel_reason, unicode=_unicode),
        f"node_text{_suffix}": _at_node(contains(steps.c.node, unicode=_unicode)),
    }


def _conditions(names: frozenset[str]) -> Mapping[str, ColumnElement[bool]]:
    return _BY_TAG if {"led", "led_any"} & names else _CONDITIONS


@cache
def list_statement(conditions: frozenset[str], *, oldest_first: bool) -> Statement:
    """The statement with these conditions. Its parameters are those of the conditions, and ``limit``."""
    known = _conditions(conditions)
    order = (tags.c.created_at, tags.c.flow_id) if known is not _CONDITIONS else (flows.c.created_at, flows.c.flow_id)
    query = (
        select(*COLUMNS)
        .where(*(known[name] for name in sorted(conditions)))
        .order_by(*(order if oldest_first else (column.desc() for column in order)))
        .limit(bindparam("limit"))
    )
    name = "_".join(["list_flows", *sorted(conditions), *(["oldest_first"] if oldest_first else [])])
    return Statement(name, query)


@cache
def count_statement(conditions: frozenset[str]) -> Statement:
    """The statement that counts, by status, the flows with these conditions."""
    known = _conditions(conditions)
    query = select(flows.c.status, func.count()).where(*(known[name] for name in sorted(conditions)))
    name = "_".join(["count_flows_by_status", *sorted(conditions)])
    return Statement(name, query.group_by(flows.c.status).order_by(flows.c.status))


def conditions_of(filters: Filters, now: int, *, few: bool = False) -> tuple[set[str], dict[str, Any]]:
    """The conditions that a list always has, with their parameters. ``now`` is the database's time.

    The first of the tags leads. ``few``: it is known that few flows have it.
    """
    values: dict[str, Any] = {"upto": LATEST}
    names = {"kept", "upto"}
    if filters.include_subgraphs:
        names.add("tree_kept")
    else:
        names.add("roots_of_thread" if filters.thread_id else "roots")
    for name in ("status", "workflow_url", "workflow_name", "thread_id", "node", "fairness_key", "priority"):
        if value := getattr(filters, name):
            # few flows are not completed, so the index by status is better than the one by workflow
            rare = filters.status not in (None, Status.COMPLETED) and name in ("workflow_url", "workflow_name")
            names.add(f"rare_{name}" if rare else name)
            values[name] = str(value) if name == "status" else value
    if filters.status in (Status.PENDING, Status.RUNNING):
        values["status"] = Status.RUNNING.value
        names.add("later" if filters.status is Status.PENDING else "begun")
    _add_tags(filters, names, values, few)
    if filters.older_ms:
        names.add("older")
        values["older"] = now - filters.older_ms
        values["upto"] = values["older"]  # no flow is changed before it is created
    if filters.newer_ms:
        names.add("newer")
        values["newer"] = now - filters.newer_ms
    return names, values


def _add_tags(filters: Filters, names: set[str], values: dict[str, Any], few: bool) -> None:
    """The conditions about tags. The first has the order of root flows, or leads to the few flows with the tag."""
    rest = list(filters.tags)
    if rest and (few or "roots" in names):
        name, value = rest.pop(0)
        kind = "led" if "roots" in names else "few"
        names.add(f"{kind}_any" if value is None else kind)
        values |= {kind: name} if value is None else {kind: name, f"{kind}_value": value}
    for number, (name, value) in enumerate(rest):
        names.add(f"tag_{number}_any" if value is None else f"tag_{number}")
        values[f"tag_{number}"] = name
        if value is not None:
            values[f"tag_value_{number}"] = value


_SAMPLED_ELSEWHERE = {"kept", "tree_kept", "upto"} | {
    f"tag_{n}{any_}" for n in range(1, MOST_TAGS) for any_ in ("", "_any")
}
# One of each kind, for the tests of the SQL.
SAMPLES: Collection[Statement] = [
    *(
        list_statement(frozenset({"kept", "upto", scope, *more}), oldest_first=False)
        for scope in ("roots", "roots_of_thread")
        for more in ((), ("before",), *((name,) for name in _CONDITIONS if name not in _SAMPLED_ELSEWHERE))
        if not {"roots", "roots_of_thread"} & {*more}
    ),
    list_statement(frozenset({"kept", "tree_kept", "upto", "before"}), oldest_first=False),
    *(
        list_statement(frozenset({"kept", "roots", "upto", *led}), oldest_first=False)
        for led in (("led",), ("led", "before", "status", "tag_0"), ("led_any", "workflow_url"))
    ),
    count_statement(frozenset({"kept", "upto", "roots", "led"})),
    list_statement(frozenset({"kept", "upto", "roots", "status", "not_running", "older"}), oldest_first=True),
    *(count_statement(frozenset({"kept", "upto", "roots", *more})) for more in ((), ("workflow_name",), ("node",))),
]
