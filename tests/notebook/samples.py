"""Graphs and histories made by hand, for tests that need no engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dwarf.workflow import Graph, Outcome, Status, Step, SubFlow

T0 = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def step(id: int, node: str, status: str, start: float | None = None, end: float = 0.0, **more: Any) -> Step:
    started = None if start is None else at(start)
    values: dict[str, Any] = {
        "key": f"1-{id}-secret",
        "id": id,
        "node": node,
        "status": Status(status),
        "depth": more.pop("depth", id),
        "created_at": at(0.0 if start is None else start),
        "started_at": started,
        "updated_at": at(end or start or 0.0),
    }
    return Step(**(values | more))


def survey_graph() -> Graph:
    """Fans out, has an error handler, fans in, asks."""
    graph = Graph("code survey", reducers={"measures": "append", "unreadable": "append"})
    graph.add_for_each("list_modules", "measure", items="modules", item="module")
    graph.add_transition("measure", "rank").add_error_handler("measure", "note_unreadable")
    graph.add_transition("note_unreadable", "rank").set_fan_in("rank")
    return graph.add_chain("rank", "ask_threshold", "choose")


def survey_steps(stage: str = "asking", width: int = 24) -> list[Step]:
    """A history of survey_graph: ``measuring``, ``asking``, ``completed`` or ``failed``."""
    steps = [step(1, "list_modules", "completed", 0, 0.05, successor_id=2)]
    last = 0.05
    for index in range(width):
        start, end = 0.1 + (index // 4) * 0.2, 0.1 + (index // 4) * 0.2 + 0.15 + (index % 3) * 0.02
        status = "completed"
        if stage == "measuring":
            status = "completed" if index < width // 2 else "running" if index < width // 2 + 4 else "pending"
        began = None if status == "pending" else start
        bad = index == 5 and stage != "measuring"
        after = 900 if bad else 1000 if stage != "measuring" else 0
        steps.append(
            step(
                10 + index, "measure", status, began, end, depth=2, ordinal=index, predecessor_id=1, successor_id=after
            )
        )
        last = max(last, end)
    if stage == "measuring":
        return steps
    steps.append(
        step(
            900,
            "note_unreadable",
            "completed",
            last,
            last + 0.02,
            depth=3,
            ordinal=5,
            predecessor_id=15,
            successor_id=1000,
        )
    )
    if stage == "failed":
        error = "ReducerError: append <b>needs</b> an array & met a number"
        return [*steps, step(1000, "rank", "failed", last + 0.1, last + 0.2, depth=4, predecessor_id=900, error=error)]
    steps.append(
        step(1000, "rank", "completed", last + 0.1, last + 0.2, depth=4, predecessor_id=900, successor_id=1001)
    )
    if stage == "asking":
        waiting = {"title": "From which score on?", "schema": {"type": "integer", "minimum": 1, "maximum": 99}}
        steps.append(
            step(
                1001,
                "ask_threshold",
                "interrupted",
                last + 0.2,
                last + 0.3,
                predecessor_id=1000,
                interrupt_payload=waiting,
            )
        )
        return steps
    steps.append(step(1001, "ask_threshold", "completed", last + 0.2, last + 8, predecessor_id=1000, successor_id=1002))
    steps.append(step(1002, "choose", "completed", last + 8, last + 8.1, predecessor_id=1001))
    return steps


def order_graph() -> Graph:
    """Every kind of edge."""
    graph = Graph("order")
    arms = {"amount > 1000 && customer.tier != 'gold'": "ask_manager", "amount < 0": "reject", "true": "reserve"}
    graph.add_switch("check_order", arms)
    graph.add_transition("ask_manager", "reserve", when="approved == true")
    graph.add_transition("ask_manager", "reject", when="approved == false")
    graph.add_fan_out("reserve", "charge", "print_label")
    graph.add_transition("charge", "ship").add_transition("print_label", "ship").set_fan_in("ship")
    graph.add_error_handler("charge", "refund").add_transition("refund", "ship")
    return graph.add_goto("ship", "check_order").add_transition("ship", "END").add_transition("reject", "END")


def order_steps() -> list[Step]:
    """A history of order_graph with a retry, a subgraph, a lap and a delay."""
    child = SubFlow("1-77-x", "payment", "payment", Status.RUNNING, [step(50, "authorise", "running", 2.2)])
    return [
        step(1, "check_order", "completed", 0, 0.3, successor_id=2),
        step(2, "reserve", "completed", 0.3, 0.6, predecessor_id=1, successor_id=3),
        step(3, "charge", "completed", 0.6, 1.2, predecessor_id=2, successor_id=5, attempt=2),
        step(4, "print_label", "completed", 0.6, 0.9, predecessor_id=2, successor_id=5, ordinal=1),
        step(5, "ship", "completed", 1.3, 1.5, predecessor_id=3, successor_id=6),
        step(6, "check_order", "completed", 1.5, 1.8, predecessor_id=5, successor_id=7),
        step(7, "reserve", "completed", 1.8, 2.1, predecessor_id=6, successor_id=8),
        step(8, "charge", "running", 2.1, 2.2, predecessor_id=7, parked=True, sub_flows=[child]),
        step(9, "print_label", "pending", 2.1, 2.4, predecessor_id=7, ordinal=1, attempt=3, not_before=at(9)),
    ]


def outcome(status: str, **more: Any) -> Outcome:
    return Outcome(flow_key="1-7-secret", status=Status(status), **more)


def payment_graph() -> Graph:
    """The subgraph that order_steps is in."""
    graph = Graph("payment").add_switch("authorise", {"amount > 100": "ask_bank"}, default="book")
    return graph.add_transition("ask_bank", "book").add_transition("book", "END")
