"""Writing imported flows: under new ids and tokens, each tree in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dwarf.core.keys import format_key
from dwarf.storage.operations.fork import AT_ONCE, COPY_FLOW, COPY_STEP
from dwarf.storage.operations.output import COPY_DISPLAY, COPY_OUTPUT
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.payloads.blobs import Holder, keep_blobs
from dwarf.storage.payloads.offload import Gaps
from dwarf.storage.sql.rows import APART, INSERT_TAG, tag_rows
from dwarf.storage.sql.script import InsertMany, Script
from dwarf.storage.sql.tables import displays, flows, output, steps
from dwarf.storage.transfer.importing import PARTS, ImportedTree
from dwarf.workflow.jsontext import JSON, dumps
from dwarf.workflow.status import Status

_FLOW_NAMES = tuple(column.name for column in flows.columns)
_STEP_NAMES = tuple(column.name for column in steps.columns)
_SAID_NAMES = tuple(column.name for column in output.columns)
_SHOWN_NAMES = tuple(column.name for column in displays.columns)


@dataclass(slots=True)
class Arrived:
    """The rows of one tree, ready to be inserted, and their references."""

    key: str
    root_id: int
    graphs: dict[str, str]
    bodies: dict[str, str]  # the texts of blobs by their names in this database
    flows: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)
    blobs: set[tuple[Holder, str]] = field(default_factory=set)  # which row refers to which blob


class TransferWriter:
    """Makes the rows of a tree for this database. ``hashed`` names blobs as this database does."""

    def __init__(
        self,
        shard: int,
        engine_id: int,
        token: Callable[[], str],
        bodies: Mapping[str, str],
        hashed: Callable[[str], str],
    ) -> None:
        self._shard = shard
        self._engine_id = engine_id
        self._token = token
        self._bodies = bodies
        self._names = {name: hashed(body) for name, body in bodies.items()}

    def place(self, tree: ImportedTree, flow_ids: Sequence[int], step_ids: Sequence[int]) -> Arrived:
        """The rows of a tree. The new ids match the numbers of its flows, and of its steps and displays."""
        new_flows = dict(zip(tree.flows, flow_ids, strict=True))
        new_steps = dict(zip(tree.steps, step_ids[: len(tree.steps)], strict=True))
        tokens = {flow_id: self._token() for flow_id in tree.flows}
        keys = {str(old): format_key(self._shard, new, tokens[old]) for old, new in new_flows.items()}
        root = next(iter(tree.flows))
        bodies = {self._names[name]: self._bodies[name] for name in tree.blobs}
        graphs = {graph_hash: body for graph_hash, body, _ in tree.plans.values()}
        arrived = Arrived(keys[str(root)], new_flows[root], graphs=graphs, bodies=bodies)
        for old, flow in tree.flows.items():
            graph_hash, _, plan = tree.plans[old]
            row = {
                **flow,
                "flow_id": new_flows[old],
                "token": tokens[old],
                "workflow_name": plan.name,
                "graph_hash": graph_hash,
                "parent_flow_id": new_flows.get(flow["parent_flow_id"], 0),
                "parent_step_id": new_steps.get(flow["parent_step_id"], 0),
                "root_flow_id": new_flows[root],
                "thread_id": new_flows[old],
                "thread_token": tokens[old],
                "engine_id": self._engine_id,
                "idempotency_key": None,
            }
            arrived.flows.append(self._row(_FLOW_NAMES, row, arrived))
            if old == root:
                arrived.tags += tag_rows(new_flows[old], flow["name"], flow["tags"], flow["created_at"])
        for old, step in tree.steps.items():
            links = {name: new_steps.get(step[name], 0) for name in ("predecessor_id", "successor_id", "lineage_id")}
            labels = tree.plans[step["flow_id"]][2].nodes[step["node"]].labels
            leased = step["status"] == Status.RUNNING and not step["parked"]
            row = {
                **step,
                **links,
                "step_id": new_steps[old],
                "flow_id": new_flows[step["flow_id"]],
                "token": self._token(),
                "task_url": tree.plans[step["flow_id"]][2].nodes[step["node"]].need,
                "labels": labels,
                "asleep": APART
                if labels
                else int(step["status"] == Status.PENDING),  # the search for work sees when it is due
                # nobody here runs it
                "status": Status.PENDING.value if leased else step["status"],
                "refs": {name: new_steps[anchor] for name, anchor in step["refs"].items()},
                "answers": [_answer(answer, keys) for answer in step["answers"]],
                "engine_id": self._engine_id,
            }
            arrived.steps.append(self._row(_STEP_NAMES, row, arrived))
        for told in (*tree.said, *tree.shown):
            old = told["step_id"]
            told.update(step_id=new_steps[old], flow_id=new_flows[tree.steps[old]["flow_id"]])
        arrived.said = [self._row(_SAID_NAMES, row, arrived) for row in tree.said]
        for row, display_id in zip(tree.shown, step_ids[len(tree.steps) :], strict=True):
            arrived.shown.append(self._row(_SHOWN_NAMES, {**row, "display_id": display_id}, arrived))
        return arrived

    def _row(self, names: Sequence[str], given: Mapping[str, Any], arrived: Arrived) -> dict[str, Any]:
        """A complete row, with its JSON as text and this database's names of blobs. Missing columns are empty or 0."""
        row: dict[str, Any] = {}
        holder = Holder(given["flow_id"], given.get("display_id") or given.get("step_id", 0))
        for name in names:
            value = given.get(name, "" if name in _TEXTS else 0)
            if name in PARTS and value:
                gaps = Gaps(value, PARTS[name])
                value = gaps.renamed(self._names)
                arrived.blobs.update((holder, self._names[old]) for old in gaps.names)
            if isinstance(value, (dict, list)):
                value = dumps(value) if value else ""
            row[name] = value
        return row


_COLUMNS = (*flows.columns, *steps.columns, *output.columns, *displays.columns)
_TEXTS = frozenset(column.name for column in _COLUMNS if column.type.python_type is str)


def write_arrived(arrived: Arrived, work: UnitOfWork) -> Script[None]:
    """Insert a tree. Its waiting steps can be answered, and its pending steps run."""
    for graph_hash, body in arrived.graphs.items():
        work.add_graph(graph_hash, body)
    if arrived.blobs:
        yield from keep_blobs(arrived.bodies, arrived.blobs)
    for statement, rows in (
        (COPY_FLOW, arrived.flows),
        (COPY_STEP, arrived.steps),
        (COPY_OUTPUT, arrived.said),
        (COPY_DISPLAY, arrived.shown),
    ):
        for start in range(0, len(rows), AT_ONCE):
            yield InsertMany(statement, rows[start : start + AT_ONCE])
    if arrived.tags:
        yield InsertMany(INSERT_TAG, arrived.tags)
    work.work_due = True
    work.moved.add(arrived.root_id)


def _answer(answer: Mapping[str, JSON], keys: Mapping[str, str]) -> dict[str, JSON]:
    """An answer, with the new key of the child flow that gave it; without a key if that flow is gone."""
    known = {name: value for name, value in answer.items() if name != "flowKey"}
    key = keys.get(answer.get("flowKey", ""))
    return known if key is None else {**known, "flowKey": key}
