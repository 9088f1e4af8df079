"""Questions with a table to edit: the answer is the edited table, each cell checked for its type."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
import pytest

from dwarf import END, Flow, Graph, InvalidRequest, task
from dwarf.engine import Engine

NUMBERS = itertools.count()
ROWS = [{"name": "Ada", "age": 36}, {"name": "Bob", "age": None}]


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": pd.Series(["Ada", "Bob"], dtype="string"),
            "count": [1, 2],
            "share": [0.5, None],
            "seen": pd.to_datetime(["2024-05-01", None]),
            "size": pd.Categorical(["small", "large"]),
        },
        index=["a", "b"],
    )


def asking(table: Any, **more: Any) -> Graph:
    def ask(flow: Flow) -> None:
        flow["given"] = flow.interrupt({"title": "right?", "table": table, **more})

    return Graph("asking").add_node("Ask", task(url=f"ask-{next(NUMBERS)}")(ask)).add_transition("Ask", END)


async def test_a_frame_comes_back_as_it_was_edited(engine: Engine) -> None:
    flow = await engine.create(asking(frame(), editable=["count", "seen", "size"]))
    await flow
    rows = [
        {"name": "changed by somebody", "count": 7, "share": 0, "seen": "2024-06-02", "size": "large"},
        {"count": 2, "seen": None, "size": None},
    ]
    for wrong in (
        [{**rows[0], "count": "seven"}, rows[1]],
        [{**rows[0], "count": None}, rows[1]],
        [{**rows[0], "seen": "soon"}, rows[1]],
        [{**rows[0], "size": "huge"}, rows[1]],
        [{**rows[0], "more": 1}, rows[1]],
        rows[:1],
        {"count": 7},
    ):
        with pytest.raises(InvalidRequest):
            await flow.resume(wrong)
    await flow.resume(rows)
    given = (await flow).state["given"]
    wanted = frame()
    wanted["count"] = [7, 2]
    wanted["seen"] = pd.to_datetime(["2024-06-02", None])
    wanted["size"] = pd.Categorical(["large", None], categories=wanted["size"].cat.categories)
    pd.testing.assert_frame_equal(given, wanted)


async def test_rows_are_added_and_frames_are_answers(engine: Engine) -> None:
    flow = await engine.create(asking(frame(), editable=True, rows="add"))
    await flow
    edited = pd.concat([frame(), frame().iloc[:1]])
    await flow.resume(edited)
    given = (await flow).state["given"]
    pd.testing.assert_frame_equal(given, edited.reset_index(drop=True))


async def test_rows_without_pandas(engine: Engine) -> None:
    flow = await engine.create(asking(ROWS, editable=["age"], rows="add"))
    await flow
    with pytest.raises(InvalidRequest):
        await flow.resume([{"name": "Ada", "age": "old"}])
    await flow.resume([{"name": "Ada", "age": 37}])
    assert (await flow).state["given"] == [{"name": "Ada", "age": 37}]


async def test_what_cannot_be_edited_is_refused_in_words(engine: Engine) -> None:
    twice = pd.DataFrame([[1, 2]], columns=["x", "x"])
    for payload, words in (
        ({"table": twice, "editable": True}, "'x'"),
        ({"table": ROWS, "editable": ["height"]}, "'height'"),
        ({"table": ROWS, "editable": True, "rows": "many"}, "'many'"),
        ({"table": 7, "editable": True}, "list of mappings"),
    ):
        outcome = await engine.run(asking(**payload))
        assert outcome.status == "failed"
        assert words in outcome.error
