"""Many forks side by side: a sweep over a grid, and a replay of past flows with today's functions."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Graph, InvalidRequest
from dwarf.notebook import Lab


def scoring(lab: Lab, *, bonus: int = 0) -> Graph:
    @lab.task
    def load(n: int) -> dict[str, Any]:
        return {"rows": list(range(n)), "depth": 1}

    @lab.task(url="fit")
    def fit(rows: list[int], depth: int, rate: float = 1.0) -> dict[str, Any]:
        if depth == 8:
            raise ValueError("too deep")
        return {"score": len(rows) * depth * rate + bonus, "kind": "fit"}

    graph = lab.graph("Scoring").add_node("Load", load).add_node("Fit", fit)
    return graph.add_chain("Load", "Fit", END)


def test_a_sweep_shares_the_past_and_gives_a_table(lab: Lab) -> None:
    run = lab.start(scoring(lab), {"n": 3}, show=False)
    run.wait(60)
    swept = run.sweep("Fit", {"depth": [2, 4, 8], "rate": [0.5, 2.0]}, show=False)
    frame = swept.wait(60)
    assert list(frame.columns) == ["depth", "rate", "score", "kind", "status", "duration", "error", "flow"]
    assert list(frame["depth"]) == [2, 2, 4, 4, 8, 8]
    assert list(frame["score"][:4]) == [3.0, 12.0, 6.0, 24.0]
    assert list(frame["status"]) == ["completed"] * 4 + ["failed"] * 2
    assert frame["error"][4] == "too deep"
    assert frame["duration"].notna().all()
    assert [step.node for step in swept.runs[0].steps] == ["Load", "Fit"]
    assert swept.runs[0].steps[0].started_at == run.steps[0].started_at
    assert "score" in str(swept.diff(1))
    shown = swept._repr_mimebundle_()["text/html"]
    assert "<th" in shown
    assert ">24<" in shown
    table = swept._work.tally.table()
    assert table["columns"] == ["row", "depth", "rate", "score", "kind", "status", "duration", "error"]
    assert table["rows"][3][:4] == [["3", 3.0], ["4", 4.0], ["2", 2.0], ["24", 24.0]]
    assert table["rows"][5][3] == ["", None]
    rows = run.sweep("Fit", [{"depth": 5}, {"rate": 3}], into=["score", "kind"], show=False).wait(60)
    assert list(rows["score"]) == [15.0, 9.0]
    assert list(rows["kind"]) == ["fit", "fit"]
    for wrong in ({"depth": "abc"}, {"depth": 5}, 5, ["x"]):
        with pytest.raises(InvalidRequest):
            run.sweep("Fit", wrong, show=False)  # type: ignore[arg-type]


def test_a_replay_sets_before_and_after_side_by_side(lab: Lab) -> None:
    graph = scoring(lab)
    runs = [lab.start(graph, {"n": n}, show=False) for n in range(3)]
    other = lab.start(lab.graph("other").add_node("X", lambda: None).add_transition("X", END), show=False)
    for run in (*runs, other):
        run.wait(60)

    @lab.task(url="fit")
    def fit(rows: list[int], depth: int) -> dict[str, Any]:
        return {"score": len(rows) * depth if len(rows) < 2 else 99.0, "note": "new"}

    replayed = lab.replay([*runs, other.key], "Fit", into=["score"], show=False)
    frame = replayed.wait(60)
    assert list(frame.index) == [2, 3, 0, 1]
    assert list(frame["differs"]) == [True, True, False, False]
    assert list(frame["score_before"][:1]) == [2.0]
    assert list(frame["score_after"][:1]) == [99.0]
    assert "has not reached the node 'Fit'" in frame["error"][3]
    assert list(frame["status_before"]) == ["completed"] * 4
    assert "99.0" in str(replayed.diff(2))
    whole = lab.replay(lab.flows(workflow_name="Scoring", newer_than=3600), "Fit", show=False).wait(60)
    assert {"rows_before", "rows_after", "note_before", "note_after", "status", "flow_before", "flow"} <= set(whole)
    assert whole["differs"].sum() == 3  # what was replayed already is a flow, too
    gone = lab.replay([runs[0], "1-999999-0123456789abcdef"], "Fit", into=["score"], show=False).wait(60)
    assert gone["status_before"].isna().tolist() == [False, True]
    assert gone["differs"].tolist() == [False, False]
    with pytest.raises(InvalidRequest, match=r"none of the flows has a node 'Fitt'; did you mean 'Fit'\?"):
        lab.replay(runs, "Fitt")
    with pytest.raises(InvalidRequest, match="several runs"):
        lab.replay(runs[0].key, "Fit")
