"""Reading exported flows: every line is checked, so that no imported row can make an engine fail later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dwarf.core.limits import LimitRule
from dwarf.core.plan import Plan
from dwarf.errors import ConditionError, GraphError, InvalidRequest, StateError
from dwarf.storage.payloads.offload import Gaps
from dwarf.storage.sql.tables import Payload, displays, flows, steps
from dwarf.storage.transfer.consistency import contradictions
from dwarf.storage.transfer.format import (
    FLOW_COLUMNS,
    FORMAT,
    SAID_COLUMNS,
    SHOWN_COLUMNS,
    STEP_COLUMNS,
    VERSION,
    BadLine,
    read_columns,
)
from dwarf.workflow.graph import Graph
from dwarf.workflow.jsontext import JSON, dumps, loads
from dwarf.workflow.output import SOURCES
from dwarf.workflow.signals import Answer
from dwarf.workflow.status import Status

Freeze = Callable[[Graph, Mapping[str, JSON]], tuple[str, str, Plan]]
"""Checks a graph, given with its original form, and returns its hash, its text and its plan. GraphError."""

PARTS: Mapping[str, str] = {
    column.name: column.type.parts
    for column in (*flows.columns, *steps.columns, *displays.columns)
    if isinstance(column.type, Payload) and column.type.parts
}

MAX_TAG_NAME = 128

_HASH = re.compile("[0-9a-f]{64}")
_RULE = re.compile(r"\d{1,15} \d{1,15} \d{1,15}", re.ASCII)
_LINKS = ("predecessor_id", "lineage_id", "successor_id")


@dataclass(slots=True)
class ImportedTree:
    """A flow with its whole tree, under the original ids. JSON columns are objects and arrays."""

    flows: dict[int, dict[str, Any]] = field(default_factory=dict)  # the root first, parents before their children
    steps: dict[int, dict[str, Any]] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)
    plans: dict[int, tuple[str, str, Plan]] = field(default_factory=dict)  # by flow
    blobs: set[str] = field(default_factory=set)


class Reader:
    """Accepts the lines in their order. InvalidRequest, naming the line, for an invalid one."""

    def __init__(self, freeze: Freeze) -> None:
        self.trees: list[ImportedTree] = []
        self.blobs: dict[str, str] = {}  # texts by the names they have in the lines
        self._freeze = freeze
        self._graphs: dict[str, tuple[str, str, Plan]] = {}
        self._tree: ImportedTree | None = None
        self._number = 0
        self._begun = False
        self._kinds: dict[str, Callable[[Mapping[str, JSON]], None]] = {
            "graph": self._graph,
            "blob": self._blob,
            "flow": self._flow,
            "step": self._step,
            "said": self._said,
            "shown": self._shown,
            "end": self._end,
        }

    def take(self, text: object) -> None:
        """The next line."""
        self._number += 1
        try:
            if not isinstance(text, (str, bytes)):
                raise BadLine(f"a line is text, not {type(text).__name__}")
            if text.strip():
                self._take(text)
        except BadLine as error:
            raise InvalidRequest(f"line {self._number}: {error}") from None

    def finish(self) -> list[ImportedTree]:
        """The trees, after the last line."""
        if not self._begun:
            raise InvalidRequest("line 1: there is nothing to import")
        if self._tree is not None:
            raise InvalidRequest(f"line {self._number + 1}: the rest of a flow is missing")
        return self.trees

    def _take(self, text: str | bytes) -> None:
        try:
            line = loads(text, bounded=True)
        except StateError as error:
            raise BadLine(str(error)) from None
        if not isinstance(line, dict):
            raise BadLine("a line is a JSON object")
        kind = line.get("kind")
        if not self._begun:
            self._header(line)
        elif isinstance(kind, str) and kind in self._kinds:
            self._kinds[kind](line)
        else:
            raise BadLine(f"a line of the kind {kind!r} is not expected here")

    def _header(self, line: Mapping[str, JSON]) -> None:
        if line.get("kind") != "header" or line.get("format") != FORMAT:
            raise BadLine("this is not the first line of exported flows")
        if line.get("version") != VERSION:
            raise BadLine(f"this is version {line.get('version')!r} of the format, and {VERSION} is the one known here")
        self._begun = True

    def _graph(self, line: Mapping[str, JSON]) -> None:
        try:
            form: Any = line.get("graph")
            self._graphs[_hash(line)] = self._freeze(Graph.from_json(form), form)
        except (GraphError, ConditionError, StateError, TypeError) as error:
            raise BadLine(str(error)) from None

    def _blob(self, line: Mapping[str, JSON]) -> None:
        if "value" not in line:
            raise BadLine("the value is missing")
        self.blobs[_hash(line)] = dumps(line["value"])

    def _flow(self, line: Mapping[str, JSON]) -> None:
        flow = read_columns(FLOW_COLUMNS, line)
        tree = self._tree or ImportedTree()
        if flow["flow_id"] in tree.flows or not flow["flow_id"] or tree.steps:
            raise BadLine("a flow comes once, under an id, and before the steps")
        graph = self._graphs.get(flow["graph_hash"])
        if graph is None:
            raise BadLine("the graph of the flow has not come before it")
        _check_flow(flow, next(iter(tree.flows.values()), None), tree)
        self._note_blobs(flow, tree)
        tree.flows[flow["flow_id"]] = flow
        tree.plans[flow["flow_id"]] = graph
        self._tree = tree

    def _step(self, line: Mapping[str, JSON]) -> None:
        tree = self._tree
        step = read_columns(STEP_COLUMNS, line)
        if tree is None or step["flow_id"] not in tree.flows:
            raise BadLine("the flow of the step has not come before it")
        if step["step_id"] in tree.steps or not step["step_id"]:
            raise BadLine("a step comes once, and under an id")
        _check_step(step, tree.plans[step["flow_id"]][2])
        self._note_blobs(step, tree)
        tree.steps[step["step_id"]] = step

    def _said(self, line: Mapping[str, JSON]) -> None:
        tree, said = self._told(SAID_COLUMNS, line)
        if not all(isinstance(told, list) and _is_line(*told) for told in said["body"]):
            raise BadLine("what was said is a list of lines, each a list of numbers and texts")
        tree.said.append(said)

    def _shown(self, line: Mapping[str, JSON]) -> None:
        tree, shown = self._told(SHOWN_COLUMNS, line)
        self._note_blobs(shown, tree)
        tree.shown.append(shown)

    def _told(self, columns: Sequence[Any], line: Mapping[str, JSON]) -> tuple[ImportedTree, dict[str, Any]]:
        tree, row = self._tree, read_columns(columns, line)
        if tree is None or row["step_id"] not in tree.steps:
            raise BadLine("the step has not come before it")
        return tree, row

    def _note_blobs(self, row: Mapping[str, Any], tree: ImportedTree) -> None:
        for name, parts in PARTS.items():
            if row.get(name):
                tree.blobs.update(Gaps(row[name], parts).names)
        if not tree.blobs <= self.blobs.keys():
            raise BadLine("a large value of the row has not come before it")

    def _end(self, line: Mapping[str, JSON]) -> None:
        tree, self._tree = self._tree, None
        if tree is None:
            raise BadLine("no flow has come before the end of one")
        if (line.get("flows"), line.get("steps")) != (len(tree.flows), len(tree.steps)):
            raise BadLine("lines of the flow are missing")
        for problem in _problems(tree):
            raise BadLine(problem)
        self.trees.append(tree)


def _hash(line: Mapping[str, JSON]) -> str:
    known = line.get("hash")
    if not isinstance(known, str) or not _HASH.fullmatch(known):
        raise BadLine("the hash is 64 hexadecimal digits")
    return known


def _check_flow(flow: Mapping[str, Any], root: Mapping[str, Any] | None, tree: ImportedTree) -> None:
    status = _status(flow)
    if not flow["workflow_url"] or not flow["priority"] or not flow["time_budget_ms"]:
        raise BadLine("a flow has a workflow_url, a priority and a time_budget_ms")
    if not flow["created_at"] or not flow["updated_at"] or flow["fairness_weight"] <= 0:
        raise BadLine("a flow has a created_at, an updated_at and a fairness_weight")
    if not all(0 < len(name) <= MAX_TAG_NAME and isinstance(value, str) for name, value in flow["tags"].items()):
        raise BadLine("the tags are texts by name")
    if root is None:
        if flow["parent_flow_id"] or flow["parent_step_id"] or flow["root_flow_id"] != flow["flow_id"]:
            raise BadLine("the first flow of a tree is its root")
        if not status.stopped:
            raise BadLine(f"the flow is {status}: only one that has stopped can be imported")
    elif flow["root_flow_id"] != root["flow_id"] or flow["parent_flow_id"] not in tree.flows:
        raise BadLine("the flow belongs to another tree, or comes before its parent")
    elif not flow["parent_step_id"]:
        raise BadLine("a child flow has a parent_step_id")


def _check_step(step: Mapping[str, Any], plan: Plan) -> None:
    status = _status(step)
    if step["node"] not in plan.nodes:
        raise BadLine(f"the graph of the flow has no node {step['node']!r}")
    if not step["depth"] or not step["priority"] or not step["time_budget_ms"]:
        raise BadLine("a step has a depth, a priority and a time_budget_ms")
    if not step["created_at"] or not step["updated_at"] or step["fairness_weight"] <= 0:
        raise BadLine("a step has a created_at, an updated_at and a fairness_weight")
    if step["parked"] and status not in (Status.RUNNING, Status.INTERRUPTED):
        raise BadLine(f"a step that is {status} waits for no child flow")
    if bool(step["limit_name"]) != bool(step["limit_rule"]):
        raise BadLine("limit_name and limit_rule go together")
    if step["limit_rule"]:
        if not _RULE.fullmatch(step["limit_rule"]):
            raise BadLine("limit_rule is three numbers")
        LimitRule.parse(step["limit_rule"])
    if not all(isinstance(anchor, int) and not isinstance(anchor, bool) for anchor in step["refs"].values()):
        raise BadLine("the refs are ids of steps")
    if step["interrupt"] and not isinstance(step["interrupt"].get("payload"), dict):
        raise BadLine("the interrupt has a payload, which is an object")
    if not all(isinstance(step["called"].get(name, ""), str) for name in ("workflow", "input")):
        raise BadLine("what was called is a workflow and the digest of its input")
    if not all(isinstance(name, str) for name in step["answered_by"] or ()):
        raise BadLine("who has answered is a list of names")
    if step["progress"] and not _is_progress(*step["progress"]):
        raise BadLine("the progress is a number, a number or null, and a text")
    if not all(isinstance(text, str) for text in step["warnings"]):
        raise BadLine("the warnings are texts")
    for answer in step["answers"]:
        try:
            Answer.from_json(answer)
        except StateError as error:
            raise BadLine(str(error)) from None
        if not isinstance(answer.get("wrote", {}), dict):
            raise BadLine("what was written before an answer is an object")
        if not isinstance(answer.get("asked", {}), dict):
            raise BadLine("what was asked for an answer is an object")
        if not all(isinstance(answer.get(name, 0), int) for name in ("askedAt", "answeredAt")):
            raise BadLine("the times of an answer are milliseconds")


def _is_line(offset: JSON = None, source: JSON = None, *texts: JSON) -> bool:
    numbers = type(offset) is int and type(source) is int and 0 <= source < len(SOURCES)
    return numbers and 1 <= len(texts) <= 3 and all(isinstance(text, str) for text in texts)


def _is_progress(done: JSON = None, total: JSON = None, text: JSON = None, *more: JSON) -> bool:
    numbers = [done] if total is None else [done, total]
    return not more and isinstance(text, str) and all(type(number) in (int, float) for number in numbers)


def _status(row: Mapping[str, Any]) -> Status:
    try:
        return Status(row["status"])
    except ValueError:
        raise BadLine(f"there is no status {row['status']!r}") from None


def _problems(tree: ImportedTree) -> Iterator[str]:
    """The violated invariants of a whole tree."""
    for flow in tree.flows.values():
        caller = tree.steps.get(flow["parent_step_id"])
        if flow["parent_flow_id"] and (caller is None or caller["flow_id"] != flow["parent_flow_id"]):
            yield f"the step that called the flow {flow['flow_id']} is missing"
    for step_id, step in tree.steps.items():
        for link in _LINKS:
            other = tree.steps.get(step[link])
            if other is None and not step[link]:
                continue
            # every step is deeper than its predecessors, so there are no cycles
            nearer, farther = (step, other) if link == "successor_id" else (other, step)
            if nearer is None or farther is None or nearer["flow_id"] != farther["flow_id"]:
                yield f"the {link} of the step {step_id} is no step of its flow"
            elif nearer["depth"] >= farther["depth"]:
                yield f"the {link} of the step {step_id} does not fit its depth"
        for name, anchor in step["refs"].items():
            other = tree.steps.get(anchor)
            if other is None or (name not in other["state"] and name not in other["changes"]):
                yield f"the step {step_id} refers to a value of {name!r} that is missing"
    yield from contradictions(tree.flows, tree.steps)
