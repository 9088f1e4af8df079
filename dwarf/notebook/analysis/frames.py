"""How does a history become a table? Tidy DataFrames with the same columns and types every time, also when empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dwarf.notebook.pictures.views import due_at
from dwarf.workflow.results import NO_TIME
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.notebook.analysis.branches import Branch
    from dwarf.notebook.prompts.prompt import Prompt
    from dwarf.workflow.results import FlowSummary, Step

__all__ = [
    "SPAN",
    "TIME",
    "cohort_frame",
    "flows_frame",
    "history_frame",
    "load_pandas",
    "prompts_frame",
    "series_of",
    "tidy",
]

TIME = "datetime64[ms, UTC]"
SPAN = "timedelta64[ms]"
_STATUSES = [str(status) for status in Status]

HISTORY = {
    "node": "string",
    "within": "string",  # the nodes whose subgraphs the step stands in, such as "order/payment"
    "status": "status",
    "attempt": "int64",
    "depth": "int64",
    "ordinal": "int64",
    "started": TIME,
    "finished": TIME,
    "duration": SPAN,
    "waited": SPAN,  # while the step was due and did not run; where that was not measured, up to its first start
    "error": "string",
    "created": TIME,
    "engine": "int64",
    "url": "string",
    "code": "string",
    "cached": "bool",
    "cached_from": "string",  # the step whose outcome was taken over
    "step": "string",
}
FLOWS = {
    "name": "string",
    "workflow": "string",
    "status": "status",
    "node": "string",
    "created": TIME,
    "started": TIME,
    "updated": TIME,
    "duration": SPAN,
    "error": "string",
    "cancel_reason": "string",
    "priority": "int64",
    "fairness_key": "string",
    "tags": "object",  # a dict of texts by name
    "thread": "string",
    "flow": "string",
}
BRANCHES = {
    "branch": "string",
    "parent": "string",
    "kind": "string",
    "at": "string",
    "status": "status",
    "created": TIME,
    "duration": SPAN,
    "changed": "string",
    "error": "string",
    "flow": "string",
}
PROMPTS = {
    "title": "string",
    "workflow": "string",
    "node": "string",
    "waiting_since": TIME,
    "deadline": TIME,
    "payload": "object",
    "flow": "string",
    "prompt": "string",
}
COHORT_BEFORE = {"index": "Int64", "item": "object"}
COHORT_AFTER = {
    "status": "status",
    "attempt": "int64",
    "started": TIME,
    "duration": SPAN,
    "error": "string",
    "step": "string",
}


def load_pandas() -> Any:
    """The pandas module, imported at the first use; ImportError that says what to install."""
    try:
        import pandas as pd
    except ImportError as fault:
        raise ImportError("tables need pandas: pip install 'dwarf[notebook]'") from fault
    return pd


def history_frame(steps: Sequence[Step]) -> pd.DataFrame:
    """One row for each step, in the order of the history; the steps of a subgraph follow the step that called it."""
    return tidy([_history_row(step, within) for step, within in _walk(steps, "")], HISTORY)


def flows_frame(flows: Iterable[FlowSummary]) -> pd.DataFrame:
    """One row for each flow."""
    rows = [
        {
            "name": flow.name,
            "workflow": flow.workflow_name or flow.workflow_url,
            "status": str(flow.status),
            "node": flow.node,
            "created": _known(flow.created_at),
            "started": flow.started_at,
            "updated": _known(flow.updated_at),
            "duration": _between(flow.started_at, flow.updated_at) if flow.status.terminal else None,
            "error": flow.error,
            "cancel_reason": flow.cancel_reason,
            "priority": flow.priority,
            "fairness_key": flow.fairness_key,
            "tags": dict(flow.tags),
            "thread": flow.thread_key,
            "flow": flow.flow_key,
        }
        for flow in flows
    ]
    return tidy(rows, FLOWS)


def branches_frame(branches: Sequence[Branch]) -> pd.DataFrame:
    """A row for each branch, with a column for each field of the final states that is not the same in all."""
    rows = [
        {
            "branch": each.label,
            "parent": each.parent,
            "kind": each.kind,
            "at": each.at,
            "status": each.outcome.status,
            "created": _known(each.summary.created_at),
            "duration": each.duration,
            "changed": ", ".join(each.changed),
            "error": each.outcome.error,
            "flow": each.summary.flow_key,
        }
        for each in branches
    ]
    table = tidy(rows, BRANCHES)
    for name in dict.fromkeys(name for each in branches for name in each.differs):
        values = [each.outcome.state.get(name) for each in branches]
        table.insert(len(table.columns) - 1, f"result.{name}", _infer(load_pandas(), values))
    return table


def prompts_frame(prompts: Iterable[tuple[str, Prompt]]) -> pd.DataFrame:
    """One row for each prompt, given with the name of its workflow."""
    rows = [
        {
            "title": prompt.title,
            "workflow": workflow,
            "node": prompt.node,
            "waiting_since": prompt.waiting_since,
            "deadline": prompt.deadline,
            "payload": dict(prompt.payload),
            "flow": prompt.flow_key,
            "prompt": prompt.key,
        }
        for workflow, prompt in prompts
    ]
    return tidy(rows, PROMPTS)


def cohort_frame(steps: Sequence[Step], item: str) -> pd.DataFrame:
    """One row for each branch: its item, the fields its step wrote, and how it went.

    The steps must carry state and changes. ``item`` is the state field that holds a branch's element. A written field
    whose name is taken by a column of its own stands as ``result.<name>``.
    """
    own = {*COHORT_BEFORE, *COHORT_AFTER}
    rows, written = [], dict[str, str]()
    for step in steps:
        state, changes = step.state or {}, step.changes or {}
        row = {
            "index": state.get(f"{item}Index"),
            "item": state.get(item),
            **{key: value for key, value in _history_row(step, "").items() if key in COHORT_AFTER},
        }
        for name, value in changes.items():
            column = written.setdefault(name, f"result.{name}" if name in own else name)
            row[column] = value
        rows.append(row)
    return tidy(rows, {**COHORT_BEFORE, **dict.fromkeys(written.values(), "any"), **COHORT_AFTER})


def _walk(steps: Sequence[Step], within: str) -> Iterator[tuple[Step, str]]:
    for step in steps:
        yield step, within
        for flow in step.sub_flows:
            yield from _walk(flow.steps, f"{within}/{step.node}" if within else step.node)


def _history_row(step: Step, within: str) -> dict[str, Any]:
    return {
        "node": step.node,
        "within": within,
        "status": str(step.status),
        "attempt": step.attempt,
        "depth": step.depth,
        "ordinal": step.ordinal,
        "started": step.started_at,
        "finished": _known(step.updated_at) if step.status.terminal else None,
        "duration": step.duration,
        "waited": _between(due_at(step), step.started_at) if step.waited is None else step.waited,
        "error": step.error,
        "created": _known(step.created_at),
        "engine": step.engine_id,
        "url": step.url,
        "code": step.code,
        "cached": step.cached,
        "cached_from": step.cached_from,
        "step": step.key,
    }


def _known(moment: datetime) -> datetime | None:
    return moment if moment > NO_TIME else None


def _between(first: datetime | None, second: datetime | None) -> timedelta | None:
    if first is None or second is None or first <= NO_TIME or second <= NO_TIME:
        return None
    return max(second - first, timedelta())


def tidy(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """A table of these columns, whatever rows there are. A kind is a pandas type, "status", or "any" for what fits."""
    pandas = load_pandas()
    frame: pd.DataFrame = pandas.DataFrame(
        {name: _column(pandas, [row.get(name) for row in rows], kind) for name, kind in columns.items()},
        columns=list(columns),
        index=pandas.RangeIndex(len(rows)),
    )
    return frame


def _column(pandas: Any, values: list[Any], kind: str) -> Any:
    if kind == "status":
        return pandas.Categorical(values, categories=_STATUSES)
    if kind == TIME:
        return pandas.Series([_utc(value) for value in values], dtype=TIME)
    if kind == "any":
        return _infer(pandas, values)
    if kind == "object":
        made = pandas.Series([None] * len(values), dtype="object")
        for place, value in enumerate(values):
            made.iat[place] = value
        return made
    return pandas.Series(values, dtype=kind)


def series_of(values: list[Any], kind: str) -> Any:
    """A column of a kind: that of a pandas type, "status", or "any" for what fits the values."""
    return _column(load_pandas(), values, kind)


def _infer(pandas: Any, values: list[Any]) -> Any:
    """A column of results: numbers, booleans and texts get their own type, anything else stays as it is."""
    present = {type(value) for value in values if value is not None}
    if present == {int} and all(abs(value) < 2**63 for value in values if value is not None):
        return pandas.Series(values, dtype="Int64" if None in values else "int64")
    if float in present and present <= {int, float}:
        return pandas.Series([None if value is None else float(value) for value in values], dtype="float64")
    if present == {bool}:
        return pandas.Series(values, dtype="boolean" if None in values else "bool")
    if present == {str}:
        return pandas.Series(values, dtype="string")
    return _column(pandas, values, "object")


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)
