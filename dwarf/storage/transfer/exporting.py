"""Reading a flow with its whole tree, for another database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from dwarf.core.keys import Key, parse_key
from dwarf.errors import InvalidRequest, StateConflict
from dwarf.storage.operations.fork import FLOW_NAMES, ORIGIN_FLOWS, find_flow, read_said
from dwarf.storage.payloads.blobs import read_blobs
from dwarf.storage.payloads.offload import names_in
from dwarf.storage.sql.graphs import GRAPH
from dwarf.storage.sql.script import Fetch, Script, Statement
from dwarf.storage.sql.tables import Payload, displays, flows, steps
from dwarf.storage.transfer.format import FLOW_COLUMNS, SAID_COLUMNS, SHOWN_COLUMNS, STEP_COLUMNS, line_of, line_with
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.status import Status

TREE_ROWS = Statement(
    "tree_rows",
    select(*steps.columns)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(flows.c.root_flow_id == bindparam("root"))
    .order_by(steps.c.step_id),
    raw=True,
)

_STEP_NAMES = tuple(column.name for column in steps.columns)
_PARTS = {
    column.name: column.type.parts
    for column in (*flows.columns, *steps.columns, *displays.columns)
    if isinstance(column.type, Payload) and column.type.parts
}


@dataclass(slots=True)
class Exported:
    """A tree as lines, with its references: graphs by their hashes, and the names of blobs."""

    graphs: dict[str, str]
    blobs: list[str]
    lines: list[str]


def read_export(key: Key) -> Script[Exported]:
    """A stopped flow with its whole tree. FlowNotFound, InvalidRequest (a child flow), StateConflict."""
    place = yield from find_flow(key)
    if place.parent_flow_id:
        raise InvalidRequest("a child flow is exported with its root flow: use the root flow's key")
    rows = yield Fetch(ORIGIN_FLOWS, {"root": key.id})
    found = [dict(zip(FLOW_NAMES, row, strict=True)) for row in rows]
    root = next((flow for flow in found if flow["flow_id"] == key.id), None)
    if root is None or root["delete_after_ms"]:
        raise StateConflict("the flow is being deleted")
    if not Status(root["status"]).stopped:
        raise StateConflict(f"the flow is {root['status']}: only a flow that has stopped can be exported")
    rows = yield Fetch(TREE_ROWS, {"root": key.id})
    known = [dict(zip(_STEP_NAMES, row, strict=True)) for row in rows]
    graphs: dict[str, str] = {}
    for flow in found:
        graph_hash = flow["graph_hash"]
        if graph_hash not in graphs:
            ((graphs[graph_hash],),) = yield Fetch(GRAPH, {"graph_hash": graph_hash})
    said, shown = yield from read_said(sorted(row["step_id"] for row in known), found)
    told = [
        *(line_of("said", SAID_COLUMNS, row) for row in said),
        *(line_of("shown", SHOWN_COLUMNS, row) for row in shown),
    ]
    blobs = {name for row in (*found, *known, *shown) for name in _blobs_of(row)}
    return Exported(graphs, sorted(blobs), list(_lines(root, found, known, told)))


def graph_line(graph_hash: str, body: str) -> str:
    """A graph as a line."""
    return line_with({"kind": "graph", "hash": graph_hash}, {"graph": body})


def read_blob_line(name: str) -> Script[str]:
    """A large value as a line. StateConflict if no row refers to it any more."""
    bodies = yield from read_blobs([name])
    if name not in bodies:
        raise StateConflict("the flow has gone on, or is being deleted, while it was exported")
    return line_with({"kind": "blob", "hash": name}, {"value": bodies[name]})


def _blobs_of(row: Mapping[str, Any]) -> Iterator[str]:
    for name, parts in _PARTS.items():
        yield from names_in(row.get(name, ""), parts)


def _lines(
    root: Mapping[str, Any],
    found: Iterable[Mapping[str, Any]],
    known: Iterable[Mapping[str, Any]],
    told: Iterable[str],
) -> Iterator[str]:
    children: dict[int, list[Mapping[str, Any]]] = {}
    for flow in found:
        children.setdefault(flow["parent_flow_id"], []).append(flow)
    order = [root]
    for flow in order:
        order.extend(children.get(flow["flow_id"], ()))
        yield line_of("flow", FLOW_COLUMNS, flow)
    count = 0
    for step in known:
        count += 1
        answers = _without_tokens(step["answers"])
        yield line_of("step", STEP_COLUMNS, {**step, "answers": answers})
    yield from told
    yield dumps({"kind": "end", "flows": len(order), "steps": count})


def _without_tokens(text: str) -> str:
    """Answers with the ids of child flows only, since keys grant access."""
    if '"flowKey"' not in text:
        return text
    answers = loads(text)
    for answer in answers:
        if answer.get("flowKey"):
            answer["flowKey"] = str(parse_key(answer["flowKey"]).id)
    return dumps(answers)
