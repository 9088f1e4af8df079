"""What stands in the cells of a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_type

import pandas as pd

from dwarf import END, Flow, Outcome, Status, Step
from dwarf.notebook import Inbox, Lab, MapRun, Prompt, Report, Run, RunDiff, Svg

lab = Lab("memory", answers={"*": "default"})
assert_type(lab, Lab)


@lab.task
def ask(flow: Flow, amount: int) -> dict[str, bool]:
    return {"approved": flow.interrupt({"title": "Pay?", "schema": bool})}


@lab.task(retry=3)
def pay(amount: int) -> None: ...


assert_type(ask(Flow(), 1), dict[str, bool])
graph = lab.graph("Pay").add_node("Ask", ask).add_node("Pay", pay).add_chain("Ask", "Pay", END)

run = lab.start(graph, {"amount": 3}, key="monday", name="Monday")
assert_type(run, Run)
assert_type(run.wait(timeout=60), Outcome)
assert_type(run.status, Status)
assert_type(run.outcome, Outcome | None)
assert_type(run.result, dict[str, Any])
assert_type(run.steps, Sequence[Step])
assert_type(run.prompts, Sequence[Prompt])
assert_type(run.tags, Mapping[str, str])
assert_type(run.history, pd.DataFrame)
assert_type(run.cohort("Pay"), pd.DataFrame)
assert_type(run.logs, pd.DataFrame)
assert_type(run.picture(), Svg)
assert_type(run.timeline(), Svg)
assert_type(run.report("report.html"), Report)
assert_type(run.fork("Ask", {"amount": 4}), Run)
assert_type(run.retry_failed(), Run)
assert_type(run.continue_with({"amount": 5}), Run)
assert_type(run.diff(lab.get(run.key)), RunDiff)
assert_type(run.state_at("Pay"), dict[str, Any])
run.answer(True, prompt="Pay?")

rows = lab.map(graph, pd.DataFrame({"amount": [1, 2]}), into=["approved"])
assert_type(rows, MapRun)
assert_type(rows.wait(), pd.DataFrame)
assert_type(rows.runs[0], Run)
assert_type(lab.flows(status="failed"), pd.DataFrame)
assert_type(lab.inbox(tags={"team": "north"}), Inbox)
assert_type(lab.call(lab.engine.create(graph)).key, str)


async def cell() -> None:
    assert_type(await run, Outcome)
    assert_type(await rows, pd.DataFrame)
