"""Tables through a workflow: lab.map, on a real engine."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dwarf import (
    END,
    EngineClosed,
    Flow,
    Graph,
    GraphNotFound,
    InvalidRequest,
    PromptNeedsHuman,
    StateConflict,
    Status,
    WaitTimeout,
)
from dwarf.notebook import Lab, MapRun
from dwarf.notebook.maps.mapview import MapView
from dwarf.notebook.maps.mapwork import BLOCK, MOST_BUSY
from dwarf.notebook.maps.rows import Rows, plain_value
from tests.notebook.test_lab import until

MakeLab = Callable[..., Lab]


def square_graph(lab: Lab, unlucky: set[int] | None = None) -> Graph:
    """Squares x; fails for the numbers in ``unlucky``, which a test may change meanwhile."""

    @lab.task
    async def square(x: int) -> dict[str, Any]:
        if x in (unlucky or ()):
            raise ValueError(f"{x} is unlucky")
        return {"y": x * x, "label": f"n{x}"}

    return lab.graph("squares").add_node("Square", square).add_transition("Square", END)


def gate_graph(lab: Lab) -> tuple[Graph, threading.Event]:
    """Waits for the event."""
    gate = threading.Event()

    @lab.task
    def pass_gate(x: int) -> dict[str, int]:
        gate.wait(60)
        return {"y": x + 1}

    return lab.graph("gated").add_node("Pass", pass_gate).add_transition("Pass", END), gate


# ------------------------------------------------------------ results


def test_results_are_aligned_to_the_rows(lab: Lab) -> None:
    frame = pd.DataFrame({"x": [3, 1, 2]}, index=["c", "a", "b"])
    result = lab.map(square_graph(lab), frame, show=False).wait(60)
    assert list(result.columns) == ["y", "label", "status", "error", "flow"]
    assert result.index.equals(frame.index)
    assert list(result["y"]) == [9, 1, 4]
    assert result["y"].dtype == "int64"
    assert result["label"].dtype == "string"
    assert result["status"].dtype == "category"
    assert set(result["status"]) == {"completed"}
    assert lab.get(result["flow"]["a"]).result["y"] == 1
    joined = pd.concat([frame, result], axis=1)
    assert (joined["x"] ** 2 == joined["y"]).all()


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([7, 7, 8], name="twice"),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", "n"]),
        pd.to_datetime(["2026-01-01", "2026-01-01", "2026-01-02"]),
    ],
)
def test_any_index_will_do(lab: Lab, index: pd.Index) -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]}, index=index)
    result = lab.map(square_graph(lab), frame, show=False).wait(60)
    assert result.index.equals(index)
    assert result.index.names == index.names
    assert list(result["y"]) == [1, 4, 9]


def test_an_empty_frame_and_a_frame_without_columns(lab: Lab) -> None:
    graph = lab.graph("constant").add_node("One", lambda: {"one": 1}).add_transition("One", END)
    empty = lab.map(graph, pd.DataFrame({"x": []}), into=["one"], show=False).wait(60)
    assert list(empty.columns) == ["one", "status", "error", "flow"]
    assert len(empty) == 0
    bare = lab.map(graph, pd.DataFrame(index=["a", "b"]), show=False).wait(60)
    assert list(bare["one"]) == [1, 1]


def test_into_chooses_the_results(lab: Lab) -> None:
    @lab.task
    def change(x: int) -> dict[str, Any]:
        return {"x": x + 1, "status": "fine", "parts": [x], "maybe": x if x > 1 else None}

    graph = lab.graph("change").add_node("Change", change).add_transition("Change", END)
    frame = pd.DataFrame({"x": [1, 2]})
    default = lab.map(graph, frame, show=False).wait(60)
    assert list(default.columns) == ["result.status", "parts", "maybe", "status", "error", "flow"]
    assert default["maybe"].isna().tolist() == [True, False]
    assert default["maybe"].dtype == "Int64"
    assert list(default["parts"]) == [[1], [2]]
    with pytest.warns(UserWarning, match=r"no row has a field 'maybee'; did you mean 'maybe'\?"):
        chosen = lab.map(graph, frame, into=["x", "maybee"], show=False).wait(60)
    assert list(chosen["x"]) == [2, 3]
    assert chosen["maybee"].isna().all()


def test_failed_rows_carry_their_error(lab: Lab) -> None:
    made = lab.map(square_graph(lab, {2}), pd.DataFrame({"x": [1, 2, 3]}), show=False)
    result = made.wait(60)
    assert list(result["status"]) == ["completed", "failed", "completed"]
    assert list(result["error"]) == ["", "2 is unlucky", ""]
    assert result["y"].isna().tolist() == [False, True, False]
    assert "3 rows" in repr(made)
    assert "1 failed" in repr(made)
    assert made.progress.done == 3


# ------------------------------------------------------------ rows


def test_an_iterable_of_mappings_is_read_lazily(lab: Lab) -> None:
    graph, gate = gate_graph(lab)
    read = []

    def items() -> Iterator[dict[str, int]]:
        for x in range(10_000):
            read.append(x)
            yield {"x": x}
            if x == MOST_BUSY + 10 * BLOCK:
                return

    made = lab.map(graph, items(), show=False)
    until(lambda: made.progress.started >= MOST_BUSY - BLOCK)
    assert made.progress.total is None
    assert len(read) <= MOST_BUSY
    assert len(made._work._tasks) <= MOST_BUSY
    assert "MOST" not in repr(made)
    gate.set()
    result = made.wait(120)
    assert made.progress.total == len(read) == len(result)
    assert list(result["y"]) == [x + 1 for x in read]
    assert isinstance(result.index, pd.RangeIndex)
    assert made._work._tasks == set()


@dataclass
class Item:
    x: int


def test_items_may_be_objects_with_fields(lab: Lab) -> None:
    assert list(lab.map(square_graph(lab), [Item(2), Item(3)], show=False).wait(60)["y"]) == [4, 9]


@pytest.mark.parametrize("source", [7, "text", {"x": 1}, pd.Series([1])])
def test_what_is_no_table_is_refused(lab: Lab, source: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"one for each flow|mapping of fields"):
        lab.map(square_graph(lab), source, show=False).wait(60)


def test_wrong_arguments_are_told_at_once(lab: Lab) -> None:
    graph = square_graph(lab)
    with pytest.raises(InvalidRequest, match="stand twice: x"):
        lab.map(graph, pd.DataFrame([[1, 2]], columns=["x", "x"]))
    with pytest.raises(InvalidRequest, match="list of field names"):
        lab.map(graph, [], into="y")
    with pytest.raises(InvalidRequest, match="give it a key"):
        lab.map(graph, [], idempotency_key="k")
    with pytest.raises(InvalidRequest, match=r"Graph\.of\('len', len\)"):
        lab.map(len, [{"x": 1}])  # type: ignore[arg-type]  # the wrong thing on purpose


def test_what_stopped_a_map_is_told_without_waiting_for_it(lab: Lab) -> None:
    square_graph(lab)
    made = lab.map("squere", [{"x": 1}], show=False)
    with pytest.raises(GraphNotFound):
        made.wait(60)
    assert "0 of 1 row" in repr(made)
    assert "stopped: GraphNotFound" in repr(made)
    assert "stopped: GraphNotFound" in made._repr_mimebundle_()["text/html"]
    assert MapView(made._work, "squere", lab._services)._traits()["errors"][0][0] == "stopped"


def test_a_fault_of_the_items_comes_out_after_those_before_it(lab: Lab) -> None:
    def items() -> Iterator[dict[str, int]]:
        yield from ({"x": x} for x in range(BLOCK))
        raise OSError("the file is gone")

    made = lab.map(square_graph(lab), items(), show=False)
    with pytest.raises(OSError, match="gone"):
        made.wait(60)
    assert (made.frame["status"] == "completed").sum() == BLOCK


def test_a_row_that_cannot_be_a_state_fails_alone(lab: Lab) -> None:
    made = lab.map(square_graph(lab), [{"x": 1}, {"x": object()}, {"x": float("inf")}], show=False)
    result = made.wait(60)
    assert list(result["status"]) == ["completed", "failed", "failed"]
    assert "StateError" in result["error"][1]
    assert "x" in result["error"][1]
    with pytest.raises(StateConflict, match="row 1 has no flow"):
        made.runs[1]
    assert list(made.retry_failed(show=False).wait(60)["status"]) == ["completed", "failed", "failed"]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (float("nan"), None),
        (np.float32("nan"), None),
        (np.float64(1.5), np.float64(1.5)),
        (np.int64(7), np.int64(7)),
        (np.datetime64("NaT", "s"), None),
        (np.datetime64("2026-01-02T03:04:05.123456789", "ns"), np.datetime64("2026-01-02T03:04:05.123456789", "ns")),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Timestamp("2026-01-02 03:04:05.123456789"), pd.Timestamp("2026-01-02 03:04:05.123456789")),
        (pd.Period("2026-01"), "2026-01"),
        (Decimal("NaN"), None),
        (Decimal("1.50"), Decimal("1.50")),
        ([1.0, float("nan"), {"a": pd.NaT}], [1.0, None, {"a": None}]),
        ((1, float("nan")), (1, None)),
    ],
)
def test_values_of_tables_become_values_of_states(value: Any, plain: Any) -> None:
    made = plain_value(value)
    assert made == plain
    assert type(made) is type(plain)


def test_missing_values_are_absent_in_the_state(lab: Lab) -> None:
    @lab.task
    def look(flow: Flow) -> dict[str, Any]:
        return {"seen": sorted(flow), "type": type(flow.get("n")).__name__}

    graph = lab.graph("look").add_node("Look", look).add_transition("Look", END)
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "f": [None, 2.5], "when": [pd.Timestamp(0)] * 2})
    result = lab.map(graph, frame, show=False).wait(60)
    assert list(result["seen"]) == [["n", "when"], ["f", "when"]]
    assert list(result["type"]) == ["int", "NoneType"]


def test_a_frame_may_be_changed_while_its_rows_are_read() -> None:
    frame = pd.DataFrame({"x": [1, 2], ("a", "b"): [3, 4]})
    rows = Rows(frame)
    frame["x"] = 0
    assert [dict(row.state) for row in rows.take(9)] == [{"x": 1, "a.b": 3}, {"x": 2, "a.b": 4}]
    assert rows.take(9) == []


# ------------------------------------------------------------ again


def test_the_same_key_starts_nothing_twice(make_lab: MakeLab) -> None:
    calls: list[int] = []

    def define(lab: Lab) -> Graph:
        @lab.task
        async def count(x: int) -> dict[str, int]:
            calls.append(x)
            return {"y": x}

        return lab.graph("count").add_node("Count", count).add_transition("Count", END)

    frame = pd.DataFrame({"x": range(300)})
    lab = make_lab("a.db")
    first = lab.map(define(lab), frame, key="k", show=False).wait(60)
    assert lab.map("count", frame, key="k", show=False).wait(60).equals(first)
    lab.close()
    lab = make_lab("a.db")
    assert lab.map(define(lab), frame, key="k", show=False).wait(60).equals(first)
    assert sorted(calls) == list(range(300))
    other = lab.map("count", frame + 1, key="k", show=False)
    with pytest.raises(StateConflict) as told:
        other.wait(60)
    assert "another key" in str(getattr(told.value, "__notes__", ""))


def test_a_map_goes_on_after_a_restart(make_lab: MakeLab) -> None:
    lab = make_lab("a.db")
    graph, gate = gate_graph(lab)
    made = lab.map(graph, [{"x": x} for x in range(5)], key="k", show=False)
    until(lambda: made.progress.started == 5)
    lab._close(0.1)  # as at the end of the process, which does not wait for the tasks
    gate.set()
    with pytest.raises(EngineClosed, match="same key"):
        made.wait(60)
    lab = make_lab("a.db")
    graph, gate = gate_graph(lab)
    gate.set()
    again = lab.map(graph, [{"x": x} for x in range(5)], key="k", show=False).wait(60)
    assert list(again["y"]) == [1, 2, 3, 4, 5]
    assert len(lab.flows()) == 5


def test_what_failed_is_repaired_and_merged(lab: Lab) -> None:
    unlucky = {2, 4}
    made = lab.map(square_graph(lab, unlucky), pd.DataFrame({"x": range(6)}, index=list("abcdef")), show=False)
    before = made.wait(60)
    unlucky.remove(2)
    again = made.retry_failed(show=False)
    after = again.wait(60)
    assert list(after["y"].dropna()) == [0, 1, 4, 9, 25]
    assert list(after["status"]) == ["completed"] * 4 + ["failed", "completed"]
    assert (after["flow"] == before["flow"]).tolist() == [True, True, False, True, False, True]
    assert made.frame.equals(before)  # the first map stays what it was
    assert again.runs[2].result["y"] == 4
    assert len(lab.flows()) == 8  # nothing else was run again
    unlucky.clear()
    assert list(made.retry_failed(show=False).wait(60)["y"]) == [0, 1, 4, 9, 16, 25]
    assert len(lab.flows()) == 9  # the repair of row 2 was taken over


def test_retry_needs_the_end(lab: Lab) -> None:
    graph, gate = gate_graph(lab)
    made = lab.map(graph, [{"x": 1}], show=False)
    with pytest.raises(StateConflict, match="wait for the end"):
        made.retry_failed()
    gate.set()
    made.wait(60)


def test_runs_are_made_when_asked_for(lab: Lab) -> None:
    made = lab.map(square_graph(lab), pd.DataFrame({"x": range(50)}), show=False)
    made.wait(60)
    assert len(made.runs) == 50
    assert made.runs[-1].result["y"] == 49 * 49
    assert [run.result["x"] for run in made.runs[10:13]] == [10, 11, 12]
    assert len(list(made.runs[:2])) == 2
    with pytest.raises(IndexError):
        made.runs[50]
    gc.collect()
    assert len(lab._services._watchers) <= 2


# ------------------------------------------------------------ waiting


async def test_it_can_be_awaited_anywhere(lab: Lab) -> None:
    result = await lab.map(square_graph(lab), [{"x": 3}], show=False)
    assert list(result["y"]) == [9]

    @lab.task
    async def outer() -> dict[str, Any]:
        inner = await lab.map("squares", [{"x": 5}], show=False)
        return {"inner": list(inner["y"])}

    graph = lab.graph("outer").add_node("Outer", outer).add_transition("Outer", END)
    assert (await lab.start(graph)).state["inner"] == [25]


def test_waiting_ends_and_the_flows_go_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, gate = gate_graph(lab)
    made = lab.map(graph, [{"x": 1}, {"x": 2}], show=False)
    with pytest.raises(WaitTimeout, match="0 of 2 rows.*go on"):
        made.wait(0.05)
    until(lambda: made.progress.started == 2)

    def interrupt(self: MapRun, *, for_ever: bool) -> None:
        raise KeyboardInterrupt  # where the stop button's signal comes in: between two beats of the waiting

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MapRun, "_check_blocked", interrupt)
        made.wait(60)
    assert list(made.frame["status"]) == ["pending", "pending"]
    gate.set()
    assert list(made.wait(60)["y"]) == [2, 3]


def test_cancel_ends_what_is_under_way_and_starts_no_more(lab: Lab) -> None:
    graph, gate = gate_graph(lab)
    made = lab.map(graph, ({"x": x} for x in range(10_000)), show=False)
    until(lambda: made.progress.started == MOST_BUSY)  # it waits for room
    made.cancel("enough")
    gate.set()
    result = made.wait(60)
    assert set(result["status"]) <= {"completed", "cancelled"}
    assert (result["status"] == "cancelled").sum() > 0
    assert set(result["error"]) <= {"", "enough"}
    assert len(result) == MOST_BUSY
    assert made.progress.ended


def asking(lab: Lab) -> MapRun:
    @lab.task
    def ask(flow: Flow, x: int) -> dict[str, Any]:
        return {"y": flow.interrupt({"title": f"Add {x}?", "schema": int, "default": x}) if x % 2 else 0}

    graph = lab.graph("asking").add_node("Ask", ask).add_transition("Ask", END)
    return lab.map(graph, [{"x": x} for x in range(4)], show=False)


def test_questions_are_answered_by_script(make_lab: MakeLab) -> None:
    assert list(asking(make_lab("memory", answers={"*": "default"})).wait(60)["y"]) == [0, 1, 0, 3]


def test_questions_that_nobody_sees_are_told(lab: Lab) -> None:
    made = asking(lab)
    with pytest.raises(PromptNeedsHuman, match=r"2 rows that wait for an answer to 'Add \d\?'.*DWARF_ANSWERS"):
        made.wait()
    assert made.progress.waiting == 2
    assert "2 waiting" in repr(made)
    for run in made.runs:
        if run.status is Status.INTERRUPTED:
            run.answer(8)
    assert list(made.wait(60)["y"]) == [0, 8, 0, 8]


def test_rows_that_stop_at_a_breakpoint_are_told_and_go_on_from_their_cards(lab: Lab) -> None:
    made = lab.map(square_graph(lab), [{"x": 2}, {"x": 3}], interrupt_before=["Square"], show=False)
    until(lambda: made.progress.stopped == 2)
    assert "2 stopped at a breakpoint" in repr(made)
    with pytest.raises(PromptNeedsHuman, match=r"2 rows stopped before Square \(breakpoint\)"):
        made.wait()
    view = MapView(made._work, "squares", lab._services)
    first, second = sorted(card["id"] for card in view._cards())
    assert lab.call(view._ask({"do": "stopped", "card": first}))["input"] == '{\n  "x": 2\n}'
    lab.call(view._ask({"do": "go", "card": first, "text": '{"x": 9}', "whole": True}))
    lab.call(view._ask({"do": "cancel", "card": second}))
    result = made.wait(60)
    assert list(result["status"]) == ["completed", "cancelled"]
    assert result["y"][0] == 81
    assert made.progress.stopped == 0


def test_progress_is_written_where_there_is_no_notebook(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    made = lab.map(square_graph(lab, {1}), [{"x": 1}, {"x": 2}])
    made.wait(60)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("2 rows in ")
    assert err.endswith("1 failed\n")
    lab.map("squares", [{"x": 1}], show=False).wait(60)
    assert capsys.readouterr().err == ""


def test_a_still_bar_needs_no_kernel(lab: Lab) -> None:
    @lab.task
    def fail(x: int) -> None:
        raise ValueError(f"<script>{x}</script>")

    graph = lab.graph("<b>fails</b>").add_node("Fail", fail).add_transition("Fail", END)
    made = lab.map(graph, [{"x": x} for x in range(9)], show=False)
    made.wait(60)
    bundle = made._repr_mimebundle_()
    assert "&lt;script&gt;0&lt;/script&gt;" in bundle["text/html"]
    assert "<script>" not in bundle["text/html"]
    assert "<b>fails" not in bundle["text/html"]
    assert "and 4 more rows" in bundle["text/html"]
    assert "9 failed" in bundle["text/plain"]
