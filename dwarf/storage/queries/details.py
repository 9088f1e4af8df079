"""Reading many steps of a flow at once, with inputs and changes, and their answered questions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import bindparam, literal_column, select

from dwarf.core.keys import Key, format_key
from dwarf.errors import StepNotFound
from dwarf.storage.payloads.state_refs import fetch_anchors
from dwarf.storage.queries.flows import read_root
from dwarf.storage.queries.history import moment, read_tree, steps_below
from dwarf.storage.sql.expressions import in_ids
from dwarf.storage.sql.rows import columns, read_object
from dwarf.storage.sql.script import Fetch, Row, Script, Statement
from dwarf.storage.sql.tables import flows, steps
from dwarf.workflow.jsontext import loads
from dwarf.workflow.results import NO_TIME, Answered, Step
from dwarf.workflow.values import from_json, state_from_json

AT_ONCE = 4096  # steps in one statement


class DetailsRow(NamedTuple):
    """The input and the changes of a step."""

    step_id: int
    state: str
    refs: str
    changes: str


class AnswersRow(NamedTuple):
    """A step with answers."""

    step_id: int
    flow_id: int
    token: str
    node: str
    answers: str


_DETAILS = columns(DetailsRow, steps)
_IN_TREE = flows.c.root_flow_id == bindparam("root")
DETAILS_OF_NODE = Statement(
    "details_of_node",
    select(*_DETAILS)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(_IN_TREE, steps.c.node == bindparam("node")),
)
DETAILS_OF_STEPS = Statement("details_of_steps", select(*_DETAILS).where(in_ids(steps.c.step_id, "ids")))
ANSWERS = Statement(
    "answers_of_tree",
    select(*columns(AnswersRow, steps))
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(_IN_TREE, steps.c.answers != literal_column("''"))
    .order_by(steps.c.step_id),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The wanted steps: of a ``node``, or of ``ids`` with their tokens; by default all.

    ``fields`` are the wanted fields of their states; None for all fields.
    """

    node: str = ""
    ids: Mapping[int, str] | None = None
    fields: frozenset[str] | None = None


def read_steps(key: Key, wanted: Wanted) -> Script[list[Step]]:
    """Steps of a flow and of the flows below it, with states and changes, by depth and id.

    FlowNotFound; StepNotFound for an id that is not in this tree.
    """
    root = yield from read_root(key)
    tree = yield from read_tree(key.shard, root)
    below = steps_below(key.id, tree)
    if wanted.ids is not None:
        if any(step_id not in below or tree.rows[step_id].token != token for step_id, token in wanted.ids.items()):
            raise StepNotFound("step not found: it is none of this flow's")
        chosen = [step_id for step_id in tree.rows if step_id in wanted.ids]
    else:
        chosen = [step_id for step_id in tree.rows if step_id in below and wanted.node in ("", tree.rows[step_id].node)]
    details: list[Row] = []
    if wanted.node and wanted.ids is None:
        details = yield Fetch(DETAILS_OF_NODE, {"root": root, "node": wanted.node})
    else:
        for start in range(0, len(chosen), AT_ONCE):
            details += yield Fetch(DETAILS_OF_STEPS, {"ids": chosen[start : start + AT_ONCE]})
    parts = {row.step_id: _parts(row, wanted.fields) for row in map(DetailsRow._make, details)}
    anchors = yield from fetch_anchors(anchor for _, refs, _ in parts.values() for anchor in refs.values())
    full = []
    for step_id in chosen:
        stored, refs, changes = parts.get(step_id, ({}, {}, {}))
        carried = {name: anchors[anchor][name] for name, anchor in refs.items() if name in anchors.get(anchor, ())}
        state = state_from_json({**stored, **carried})
        full.append(replace(tree.step(step_id), state=state, changes=state_from_json(changes)))
    return full


def _parts(row: DetailsRow, fields: Collection[str] | None) -> tuple[Any, dict[str, int], dict[str, Any]]:
    """From a row: the stored part of the state, the references of the other part, and the changes."""
    state, refs = read_object(row.state), read_object(row.refs)
    if fields is not None:
        state = {name: value for name, value in state.items() if name in fields}
        refs = {name: anchor for name, anchor in refs.items() if name in fields}
    return state, refs, read_object(row.changes)


def read_answers(key: Key) -> Script[list[Answered]]:
    """The answered questions of a flow and of the flows below it, in the order of the answers."""
    root = yield from read_root(key)
    rows = [AnswersRow._make(row) for row in (yield Fetch(ANSWERS, {"root": root}))]
    if key.id != root and rows:
        below = steps_below(key.id, (yield from read_tree(key.shard, root)))
        rows = [row for row in rows if row.step_id in below]
    answered = [one for row in rows for one in _answered(key.shard, row)]
    return sorted(answered, key=lambda one: one.answered_at)


def _answered(shard: int, row: AnswersRow) -> list[Answered]:
    entries: Sequence[dict[str, Any]] = loads(row.answers)
    return [
        Answered(
            step_key=format_key(shard, row.step_id, row.token),
            step_id=row.step_id,
            node=row.node,
            payload=from_json(entry.get("asked") or {}),
            value=from_json(entry.get("value")),
            timed_out=bool(entry.get("timedOut")),
            asked_at=moment(entry.get("askedAt") or 0) or NO_TIME,
            answered_at=moment(entry.get("answeredAt") or 0) or NO_TIME,
            by=entry.get("by") or "",
        )
        for entry in entries
        if entry.get("kind") == "interrupt"
    ]
