"""The rows of a copy, made from the rows of its origin: new ids and tokens, and changes where the copy continues."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dwarf.core.answers import changes_at, names_text
from dwarf.core.fork import Role, StepFate
from dwarf.core.keys import Key, format_key, parse_key
from dwarf.core.limits import limit_of
from dwarf.core.plan import parts_of
from dwarf.core.records import FlowRecord, State, StepRecord
from dwarf.core.routing import read_route
from dwarf.core.state_refs import after
from dwarf.core.step import DecisionContext, onward
from dwarf.errors import StateConflict
from dwarf.storage.operations.fork import Copy, Origin
from dwarf.storage.operations.own_rows import own_columns
from dwarf.storage.operations.unknown_tasks import is_mark
from dwarf.storage.sql.rows import APART, FlowRow, object_text, read_object
from dwarf.workflow.algebra import overlay
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.signals import Answer
from dwarf.workflow.status import Status

_INHERITED = ("priority", "fairness_key", "fairness_weight", "time_budget_ms")
_AT_REST = {"interrupt": "", "interrupt_deadline": 0, "parked": 0, "asleep": 0, "lease_expires": 0, "lease_seq": 0}
_ANEW = {
    **_AT_REST,
    "successor_id": 0,
    "route": "",
    "error": "",
    "traceback": "",
    "crashes": 0,
    "progress": "",
    "warnings": None,
    "ran_us": 0,
    "waited_us": 0,
    "code": "",
    "cached_from": "",
}


class Copier:
    """Makes the rows of one copy.

    ``flow_ids``, ``step_ids`` and ``display_ids`` are new ids, as many as the origin has rows; ``changes`` are laid
    over the input of the steps that run again, or over the result of the step from which routing continues.
    """

    def __init__(
        self,
        origin: Origin,
        changes: State,
        flow_ids: Sequence[int],
        step_ids: Sequence[int],
        display_ids: Sequence[int],
        *,
        shard: int,
        engine_id: int,
        token: Callable[[], str],
    ) -> None:
        self._origin = origin
        self._changes = changes
        self._shard = shard
        self._engine_id = engine_id
        self._flows = {flow["flow_id"]: new for flow, new in zip(origin.flows, flow_ids, strict=True)}
        self._steps = {step["step_id"]: new for step, new in zip(origin.steps, step_ids, strict=True)}
        self._display_ids = display_ids
        self._flow_tokens = {flow["flow_id"]: token() for flow in origin.flows}
        self._token = token

    @property
    def key(self) -> str:
        """The key of the new root flow."""
        root = self._origin.root["flow_id"]
        return format_key(self._shard, self._flows[root], self._flow_tokens[root])

    def copy(self) -> Copy:
        """All rows, complete except for the time of the write."""
        origin = self._origin
        root = origin.root
        copy = Copy(Key(self._shard, root["flow_id"], root["token"]), self._flows[root["flow_id"]], onto=origin.onto)
        for old in origin.flows:
            flow = self._flow(old)
            copy.flows.append(flow)
            if old["flow_id"] in origin.plan.live:
                copy.begun_flows.append(flow)
        for old in origin.steps:
            part = origin.plan.parts[old["step_id"]]
            step = self._step(old, part)
            copy.steps.append(step)
            if part.role in (Role.AGAIN, Role.WAITING):
                copy.begun_steps.append(step)
        copy.said = [{**row, **self._place_of(row)} for row in origin.said]
        copy.shown = [
            {**row, **self._place_of(row), "display_id": display_id}
            for row, display_id in zip(origin.shown, self._display_ids, strict=True)
        ]
        return copy

    def _place_of(self, row: Mapping[str, Any]) -> dict[str, int]:
        return {"step_id": self._steps[row["step_id"]], "flow_id": self._flows[row["flow_id"]]}

    def route_on(self, copy: Copy, decision_context: DecisionContext) -> None:
        """Decide about the step whose result stands, and write the decision into its row."""
        origin = self._origin
        assert origin.routed is not None
        plan, state, recorded = origin.routed
        (target,) = origin.targets
        position = next(index for index, row in enumerate(origin.steps) if row["step_id"] == target)
        row = copy.steps[position]
        flow_row = next(flow for flow in copy.flows if flow["flow_id"] == row["flow_id"])
        flow = FlowRow(**{name: flow_row[name] for name in FlowRow._fields}).record(self._shard, plan)
        goto, error_routed = read_route(origin.steps[position]["route"])
        if error_routed and "onErr" in self._changes and self._changes["onErr"] is None:
            error_routed = False  # the error is undone
        changes = overlay(recorded, self._changes)
        decision = onward(_record(flow, row, state), changes, decision_context, goto=goto, error_routed=error_routed)
        row.update(own_columns(decision))
        copy.decision = decision

    # ------------------------------------------------------------------ rows

    def _flow(self, old: Mapping[str, Any]) -> dict[str, Any]:
        root, plan = self._origin.root, self._origin.plan
        own, token = self._flows[old["flow_id"]], self._flow_tokens[old["flow_id"]]
        is_root = old["flow_id"] == root["flow_id"]
        new = {
            **old,
            **{name: root[name] for name in _INHERITED},
            "flow_id": own,
            "token": token,
            "parent_flow_id": self._flows.get(old["parent_flow_id"], 0),
            "parent_step_id": self._steps.get(old["parent_step_id"], 0),
            "root_flow_id": self._flows[root["flow_id"]],
            "forked_from_step": min(self._origin.targets) if is_root else 0,
            "thread_id": old["thread_id"] if is_root else own,
            "thread_token": old["thread_token"] if is_root else token,
            # The copy is a flow of its own: it has no caller's trace, no promise to vanish, and no right to its
            # origin's key.
            "trace_parent": "",
            "delete_on_completion": 0,
            "delete_after_ms": 0,
            "breakpoints": None,
            "idempotency_key": None,
            "request_hash": "",
            "engine_id": self._engine_id,
        }
        del new["says"], new["shows"]
        if old["flow_id"] in plan.live:
            new.update(status=Status.RUNNING.value, final_state="", error="", cancel_reason="")
        elif not Status(old["status"]).terminal:
            new.update(status=Status.CANCELLED.value, cancel_reason="left over where the flow was forked")
        return new

    def _step(self, old: Mapping[str, Any], part: StepFate) -> dict[str, Any]:
        new = {
            **old,
            **{
                name: self._origin.root[name] for name in _INHERITED if name != "time_budget_ms"
            },  # the task may have its own
            "step_id": self._steps[old["step_id"]],
            "flow_id": self._flows[old["flow_id"]],
            "token": self._token(),
            "predecessor_id": self._steps.get(old["predecessor_id"], 0),
            "successor_id": self._steps.get(old["successor_id"], 0),
            "lineage_id": self._steps.get(old["lineage_id"], 0),
            "refs": self._refs(old["refs"]),
            "engine_id": self._engine_id,
            "lease_seq": 0,
        }
        known = loads(old["answers"]) if old["answers"] else []
        kept = known if part.answers is None else known[: part.answers]
        new["answers"] = dumps([self._answer(answer) for answer in kept]) if kept else ""
        new["answered_by"] = names_text(kept)
        if part.counts is not None:
            new["cohort_size"], new["cohort_arrivals"], new["cohort_failures"] = part.counts
        if part.role is Role.AGAIN:
            self._rewind(new, old, changes_at(known, len(kept)), bool(kept))
        elif part.role is Role.WAITING:
            self._wait(new, old, known[len(kept)] if len(known) > len(kept) else None, kept)
        elif part.role is Role.AFTER:
            new.update(_AT_REST, successor_id=0, warnings=None)
        elif part.role is Role.CANCELLED:
            new.update(_AT_REST, status=Status.CANCELLED.value)
        new.update(self._origin.moved.get(old["step_id"], ()))
        # the mark of a task that no engine knew: whether one knows it now is found out anew
        if is_mark(new["labels"]):
            new["labels"] = ""
        if new["labels"] and new["status"] == Status.PENDING:
            new["asleep"] = APART
        if new["status"] == Status.CANCELLED and old["flow_id"] in self._origin.plan.live:
            new["error"] = new["error"] or _lacking(old)
        return new

    def _rewind(self, new: dict[str, Any], old: Mapping[str, Any], changes: State, has_answers: bool) -> None:
        """The step runs again with the answers it keeps, if any."""
        new.update(_ANEW, status=Status.PENDING.value, changes=object_text(changes))
        if not has_answers:
            new["attempt"] = 0
        if self._changes and old["step_id"] in self._origin.targets:
            new["state"] = dumps(after(read_object(new["state"]), self._changes))
            refs = {name: anchor for name, anchor in read_object(new["refs"]).items() if name not in self._changes}
            new["refs"] = object_text(refs)
        limit = self._origin.limits.get(old["step_id"])
        if limit is not None and limit.key in self._changes:
            new["limit_name"], new["limit_rule"] = limit_of(limit, parts_of(new["task_url"])[0], self._changes)

    def _wait(
        self, new: dict[str, Any], old: Mapping[str, Any], call: Mapping[str, Any] | None, kept: Sequence[Any]
    ) -> None:
        """The step waits for a child flow, as after its call. ``call`` is the child's answer, if it gave one."""
        new.update(_ANEW, status=Status.RUNNING.value, parked=1)
        if call is None:
            new["called"] = old["called"]
        else:
            new["called"] = object_text({name: call[name] for name in ("workflow", "input", "misses") if name in call})
            new["changes"] = object_text(changes_at([*kept, call], len(kept) + 1))

    def _refs(self, text: str) -> str:
        if not text:
            return ""
        refs = read_object(text)
        if not self._steps.keys() >= set(refs.values()):
            raise StateConflict("a step of the flow refers to a step that is gone")
        return dumps({name: self._steps[anchor] for name, anchor in refs.items()})

    def _answer(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        child = parse_key(answer["flowKey"]).id if answer.get("flowKey") else 0
        if child not in self._flows:
            return answer
        return {**answer, "flowKey": format_key(self._shard, self._flows[child], self._flow_tokens[child])}


def _lacking(step: Mapping[str, Any]) -> str:
    branch = f" (branch {step['ordinal']})" if step["lineage_id"] else ""
    return f"{step['node']!r}{branch} was cancelled in the flow that this one was forked from"


def _record(flow: FlowRecord, row: Mapping[str, Any], state: State) -> StepRecord:
    """A step of the copy, for a decision about it."""
    return StepRecord(
        flow=flow,
        step_id=row["step_id"],
        token=row["token"],
        node=row["node"],
        depth=row["depth"],
        state=state,
        refs=read_object(row["refs"]),
        changes={},
        attempt=row["attempt"],
        lineage_id=row["lineage_id"],
        ordinal=row["ordinal"],
        answers=[Answer.from_json(answer) for answer in loads(row["answers"])] if row["answers"] else [],
        lease_seq=row["lease_seq"],
        created_at=row["created_at"],
        claimed_at=row["updated_at"],
    )
