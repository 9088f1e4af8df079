"""Invariants between the rows of an imported tree: no engine may meet a state that no engine could have made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from dwarf.workflow.status import Status

Row: TypeAlias = Mapping[str, Any]


def contradictions(flows: Mapping[int, Row], steps: Mapping[int, Row]) -> Iterator[str]:
    """A description of each violated invariant. Both arguments are by id."""
    waiting: Counter[int] = Counter()
    live: Counter[int] = Counter()
    for step in steps.values():
        status = Status(step["status"])
        live[step["flow_id"]] += not status.terminal
        waiting[step["flow_id"]] += status is Status.INTERRUPTED
    for flow_id, flow in flows.items():
        status = Status(flow["status"])
        if status.terminal and live[flow_id]:
            yield f"the flow {flow_id} is {status}, and has a step that has not ended"
        elif not status.terminal and not live[flow_id]:
            yield f"the flow {flow_id} is {status}, and all its steps have ended"
        elif (status is Status.INTERRUPTED) != (waiting[flow_id] > 0):
            yield f"the flow {flow_id} is {status}, and {waiting[flow_id]} of its steps wait for an answer"
    yield from _calls(flows, steps)
    followers: Counter[int] = Counter()
    for step_id, step in steps.items():
        if step["cohort_arrivals"] > step["cohort_size"] or step["cohort_failures"] > step["cohort_arrivals"]:
            yield f"more branches have arrived at the step {step_id}, or have failed there, than there are"
        if step["interrupt_deadline"] and step["status"] != Status.INTERRUPTED:
            yield f"the step {step_id} has a deadline for an answer, and waits for none"
        if step["predecessor_id"] and step["predecessor_id"] != step["lineage_id"]:
            followers[step["predecessor_id"]] += 1
    for step_id, count in followers.items():
        if count > 1:
            yield f"the step {step_id} has several successors that are no branches"


def _calls(flows: Mapping[int, Row], steps: Mapping[int, Row]) -> Iterator[str]:
    """A step that waits for a child flow has exactly one unended child, in a matching status."""
    called: defaultdict[int, list[Row]] = defaultdict(list)
    for flow in flows.values():
        if flow["parent_step_id"] and not Status(flow["status"]).terminal:
            called[flow["parent_step_id"]].append(flow)
    for step_id, step in steps.items():
        children = called[step_id]
        if bool(step["parked"]) != bool(children) or len(children) > 1:
            yield f"the step {step_id} waits for {int(bool(step['parked']))} flow(s), and has called {len(children)}"
        elif children and children[0]["status"] != step["status"]:
            yield f"the step {step_id} is {step['status']}, and the flow that it waits for is {children[0]['status']}"
