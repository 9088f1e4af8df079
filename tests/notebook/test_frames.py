"""Tables: the same columns and types every time."""

from __future__ import annotations

import sys
from datetime import timedelta

import pandas as pd
import pytest

from dwarf.notebook.analysis import frames
from dwarf.notebook.analysis.frames import cohort_frame, flows_frame, history_frame, prompts_frame
from dwarf.notebook.prompts.prompt import Prompt
from dwarf.workflow import FlowSummary, Status
from tests.notebook.samples import at, order_steps, step, survey_steps


def types(frame: pd.DataFrame) -> dict[str, str]:
    return {name: str(kind) for name, kind in frame.dtypes.items()}


def test_a_history_has_a_row_for_each_step_and_tells_subgraphs() -> None:
    frame = history_frame(order_steps())
    assert list(frame["node"])[7:9] == ["charge", "authorise"]
    assert list(frame["within"])[7:9] == ["", "charge"]
    assert frame["duration"].iloc[0] == timedelta(milliseconds=300)
    assert frame["started"].iloc[0] == at(0)
    assert pd.isna(frame["finished"].iloc[7])
    assert frame["attempt"].iloc[2] == 2


def test_types_are_exact() -> None:
    kinds = types(history_frame(survey_steps("completed")))
    assert kinds["started"] == kinds["finished"] == kinds["created"] == "datetime64[ms, UTC]"
    assert kinds["duration"] == kinds["waited"] == "timedelta64[ms]"
    assert kinds["status"] == "category"
    assert kinds["node"] == kinds["error"] == "string"
    assert kinds["attempt"] == "int64"


def test_every_status_is_a_category_whether_it_occurs_or_not() -> None:
    frame = history_frame(survey_steps("completed"))
    assert set(frame["status"].cat.categories) == {str(status) for status in Status}


@pytest.mark.parametrize("make", [history_frame, flows_frame, prompts_frame, lambda rows: cohort_frame(rows, "item")])
def test_an_empty_table_keeps_its_columns(make) -> None:
    frame = make([])
    assert len(frame) == 0
    assert len(frame.columns) > 5


def test_empty_and_full_tables_have_the_same_types() -> None:
    assert types(history_frame([])) == types(history_frame(order_steps()))
    flow = FlowSummary(
        "1-2-x", workflow_name="order", status=Status.COMPLETED, created_at=at(0), started_at=at(1), updated_at=at(3)
    )
    assert types(flows_frame([])) == types(flows_frame([flow]))
    assert flows_frame([flow])["duration"].iloc[0] == timedelta(seconds=2)


def test_two_histories_can_be_put_together_and_summed_up() -> None:
    both = pd.concat([history_frame(survey_steps("completed")), history_frame(order_steps())])
    assert types(both) == types(history_frame([]))
    longest = both.groupby("node")["duration"].max()
    assert longest["measure"] > timedelta()


def test_a_cohort_has_items_results_and_how_it_went() -> None:
    steps = [
        step(
            1,
            "m",
            "completed",
            0,
            1,
            state={"page": "a", "pageIndex": 0},
            changes={"size": 3, "status": "x", "more": {"k": 1}},
        ),
        step(2, "m", "failed", 0, 2, state={"page": "b", "pageIndex": 1}, changes={}, error="boom"),
    ]
    frame = cohort_frame(steps, "page")
    assert list(frame["item"]) == ["a", "b"]
    assert list(frame["index"]) == [0, 1]
    assert str(frame["size"].dtype) == "Int64"
    assert frame["result.status"].iloc[0] == "x"
    assert list(frame["status"]) == ["completed", "failed"]
    assert frame["more"].iloc[0] == {"k": 1}
    assert frame["error"].iloc[1] == "boom"


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2], "int64"), ([1, None], "Int64"), ([1, 2.5], "float64"), ([True, False], "bool"), ([True, None], "boolean")]
    + [
        (["a", None], "string"),
        ([[1], [2]], "object"),
        ([2**70, 1], "object"),
        ([1, "a"], "object"),
        ([True, 1], "object"),
    ],
)
def test_results_get_types_of_their_own(values, kind) -> None:
    steps = [
        step(index, "m", "completed", 0, 1, state={}, changes={"v": value}) for index, value in enumerate(values, 1)
    ]
    frame = cohort_frame(steps, "item")
    assert str(frame["v"].dtype) == kind
    assert frame["v"].iloc[0] == values[0]


def test_prompts_are_listed() -> None:
    prompt = Prompt(survey_steps("asking")[-1], "1-2-x", lambda *_: None)
    frame = prompts_frame([("survey", prompt)])
    assert frame["title"].iloc[0] == "From which score on?"
    assert frame["workflow"].iloc[0] == "survey"
    assert str(frame["waiting_since"].dtype) == "datetime64[ms, UTC]"


def test_without_pandas_the_advice_is_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"dwarf\[notebook\]"):
        frames.load_pandas()
