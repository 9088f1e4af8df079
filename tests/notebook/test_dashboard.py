"""The dashboard, on a real engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dwarf import END, Flow, Graph, InvalidRequest, Status
from dwarf.notebook import Dashboard, Lab
from dwarf.notebook.dashboards.dashboard import PAGE
from dwarf.notebook.dashboards.labview import LabView
from dwarf.notebook.dashboards.overtime import quantile
from dwarf.notebook.maps.tally import Tally
from dwarf.notebook.messages import DashboardState
from tests.notebook.test_lab import until

MakeLab = Callable[..., Lab]


def some_graph(lab: Lab, name: str = "orders") -> Graph:
    """Completes for amounts from 0 up, fails below, and asks at 100."""

    @lab.task(url=f"{name}/check")
    def check(flow: Flow, amount: int) -> dict[str, Any]:
        if amount < 0:
            raise ValueError(f"{amount} is <b>negative</b>")
        return {"paid": flow.interrupt("Pay?") if amount == 100 else amount}

    return lab.graph(name).add_node("Check", check).add_transition("Check", END)


def send(board: Dashboard, **message: Any) -> DashboardState:
    """What the front end would send; what it is shown then."""
    board._lab.call(board._take(message))
    return board._traits()


def shown(board: Dashboard) -> DashboardState:
    board._lab.call(board._refresh())
    return board._traits()


def start(lab: Lab, graph: Graph, *amounts: int) -> list[Any]:
    runs = [lab.start(graph, {"amount": amount}, show=False) for amount in amounts]
    for run in runs:
        until(lambda run=run: run.status in (Status.COMPLETED, Status.FAILED, Status.INTERRUPTED))
    return runs


def row_of(run: Any) -> str:
    return "-".join(run.key.split("-")[:2])


def test_flows_are_listed_newest_first_with_counts(lab: Lab) -> None:
    board = lab.dashboard()
    assert shown(board)["empty"] == "There are no flows."
    runs = start(lab, some_graph(lab), 1, -1, 100)
    traits = shown(board)
    assert [row["id"] for row in traits["rows"]] == [row_of(run) for run in reversed(runs)]
    assert dict(traits["counts"]) == {"completed": 1, "failed": 1, "interrupted": 1}
    assert traits["total"] == 3
    waiting, failed, completed = traits["rows"]
    assert waiting["status"] == "interrupted"
    assert waiting["ended"] == 0
    assert failed["told"] == "-1 is <b>negative</b>"
    assert completed["ended"] >= completed["created"] > 0
    assert repr(board).splitlines()[0].startswith("3 flows · ")
    assert "failed · orders" in repr(board)
    assert all(run.key not in str(traits) for run in runs)  # keys grant access to flows


def test_the_reader_filters(lab: Lab) -> None:
    start(lab, some_graph(lab), 1, -1)
    start(lab, some_graph(lab, "returns"), 2)
    board = lab.dashboard()
    assert [row["status"] for row in send(board, type="filter", status="failed")["rows"]] == ["failed"]
    assert board._traits()["total"] == 3  # of all statuses, to choose from
    assert [row["workflow"] for row in send(board, type="filter", status="", workflow="returns")["rows"]] == ["returns"]
    assert board._traits()["workflows"] == ["orders", "returns"]
    assert board._traits()["workflow"] == "returns"
    found = send(board, type="filter", workflow="", search="negative ")
    assert (len(found["rows"]), found["workflow"], found["search"]) == (1, "", "negative ")  # as the field has it
    assert send(board, type="filter", search="nowhere")["empty"] == "No flow fits the filter."
    assert len(send(board, type="filter", search="")["rows"]) == 3


def test_the_filters_of_the_call_stay(lab: Lab) -> None:
    start(lab, some_graph(lab), 1, -1)
    start(lab, some_graph(lab, "returns"), 2)
    assert len(shown(lab.dashboard(workflow_name="orders"))["rows"]) == 2
    failed = lab.dashboard(status="failed")
    assert len(shown(failed)["rows"]) == 1
    assert len(send(failed, type="filter", status="")["rows"]) == 3
    with pytest.raises(InvalidRequest, match="limit"):
        lab.dashboard(limit=5)
    with pytest.raises(InvalidRequest, match="status"):
        lab.dashboard(status="unheard of")


def test_pages(lab: Lab) -> None:
    graph = some_graph(lab)
    lab.map(graph, [{"amount": amount} for amount in range(PAGE * 2 + 3)], show=False).wait(60)
    board = lab.dashboard()
    first = shown(board)
    assert (len(first["rows"]), first["page"], first["more"]) == (PAGE, 1, True)
    second = send(board, type="older")
    third = send(board, type="older")
    assert (len(third["rows"]), third["page"], third["more"]) == (3, 3, False)
    assert send(board, type="older")["page"] == 3
    assert send(board, type="newer")["rows"] == second["rows"]
    start(lab, graph, 7)
    assert shown(board)["rows"] == second["rows"]  # new flows do not shift a page
    assert send(board, type="filter", status="completed")["page"] == 1
    ids = {row["id"] for traits in (first, second, third) for row in traits["rows"]}
    assert len(ids) == PAGE * 2 + 3


def test_actions(lab: Lab) -> None:
    good, bad, asking = start(lab, some_graph(lab), 1, -1, 100)
    board = lab.dashboard()
    shown(board)
    assert "is cancelled" in send(board, type="cancel", row=row_of(asking))["notice"]
    assert asking.wait(60).cancel_reason == "cancelled from the notebook"
    assert "no interrupted" not in send(board, type="cancel", row=row_of(good))["notice"]
    assert board._traits()["fault"]  # it has ended already
    assert "is deleted" in send(board, type="delete", row=row_of(good))["notice"]
    assert row_of(good) not in [row["id"] for row in board._traits()["rows"]]
    assert not board._traits()["fault"]

    fork = send(board, type="ask-fork", row=row_of(bad))["fork"]
    assert fork["steps"] == ["Check · failed"]
    assert "JSON object" in send(board, type="fork", row=row_of(bad), step=0, changes="[1]")["fault"]
    assert board._traits()["fork"] == fork  # it stays open, to be corrected
    assert send(board, type="fork", row=row_of(bad), step=0, changes="{")["fault"]
    traits = send(board, type="fork", row=row_of(bad), step=0, changes='{"amount": 5}')
    assert traits["fork"] == {}
    newest = traits["rows"][0]
    assert traits["opened"] == newest["id"]
    until(lambda: shown(board)["rows"][0]["status"] == "completed")

    before = len(traits["rows"])
    assert "runs again" in send(board, type="retry", row=row_of(bad))["notice"]
    assert len(board._traits()["rows"]) == before + 1
    send(board, type="delete", row="1-999")  # of a row that is there no more
    assert len(board._traits()["rows"]) == before + 1
    board.close()


def test_a_run_is_opened_and_closed(lab: Lab) -> None:
    first, second = start(lab, some_graph(lab), 100, 1)
    board = lab.dashboard()
    shown(board)
    assert send(board, type="open", row=row_of(first))["opened"] == row_of(first)
    opened = board._opened
    assert len(first._watcher.listeners) >= 1
    assert board._widget.run_cards[0]["title"] == "Pay?"
    assert send(board, type="open", row=row_of(second))["opened"] == row_of(second)
    assert opened.touch not in first._watcher.listeners
    assert send(board, type="close")["opened"] == ""


def test_it_looks_only_while_somebody_sees_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dwarf.notebook.dashboards.listview.LEAST_INTERVAL", 0.01)
    board = lab.dashboard()
    watching = lab._services.submit(board._watch())
    board._cell_runs = False
    send(board, type="seen", view="a", on=True)
    count = board._looks_taken
    until(lambda: board._looks_taken > count + 3)
    send(board, type="seen", view="a", on=False)
    assert not board.seen
    lab.call(_turns())
    count = board._looks_taken
    lab.call(_turns())
    assert board._looks_taken <= count + 1
    send(board, type="seen", view="b", on=True)
    until(lambda: board._looks_taken > count + 3)
    board._views["b"] -= 60  # no sign for a minute: the page has gone
    assert not board.seen
    board._cell_runs = True  # or cannot say so, since the kernel is busy
    assert board.seen
    board.close()
    lab.call(board._changed())
    watching.result(60)


async def _turns() -> None:
    import asyncio

    for _ in range(50):
        await asyncio.sleep(0.002)


def test_nothing_is_sent_where_nothing_changes(lab: Lab) -> None:
    start(lab, some_graph(lab), 1)
    board = lab.dashboard()
    sent: list[Any] = []

    class Widget:
        def __setattr__(self, name: str, value: Any) -> None:
            sent.append((name, value))

        def close(self) -> None:
            pass

    shown(board)
    board._widget = Widget()
    board._push()
    for _ in range(3):
        shown(board)
        board._push()
    assert len(sent) == 1
    start(lab, some_graph(lab), 2)
    shown(board)
    board._push()
    assert len(sent) == 2
    board._widget = None


def test_text_stays_text(lab: Lab) -> None:
    start(lab, some_graph(lab, "<script>x</script>"), -1)
    bundle = lab.dashboard()._repr_mimebundle_()
    assert "<script>" not in bundle["text/html"]
    assert "&lt;b&gt;negative" in bundle["text/html"]


def test_a_closed_lab_is_told(lab: Lab) -> None:
    board = lab.dashboard()
    lab.close()
    assert "closed" in repr(board)


def test_runs_over_time_are_told_from_the_last_flows(lab: Lab) -> None:
    assert [quantile([1.0, 2.0, 3.0, 10.0], share) for share in (0.5, 0.95)] == [2.0, 10.0]
    assert quantile([], 0.5) is None
    start(lab, some_graph(lab), 1, 2, -1, 100)
    start(lab, some_graph(lab, "other"), 5)
    over = shown(lab.dashboard())["over"]
    statuses = [over["statuses"][bar[1]] for bar in over["bars"]]
    assert statuses == ["completed", "completed", "failed", "interrupted", "completed"]
    assert [over["names"][bar[4]] for bar in over["bars"]] == ["orders"] * 4 + ["other"]
    assert [bar[3] > 0 for bar in over["bars"]] == [True, True, True, False, True]
    (orders, count, share, median, most), other = over["rates"]
    assert (orders, count, share, other[0]) == ("orders", 4, round(2 / 3, 4), "other")
    assert 0 <= median <= most
    board = lab.dashboard(workflow_name="other")
    assert len(shown(board)["over"]["bars"]) == 1


def test_a_lab_shown_is_kept_up_to_date(lab: Lab) -> None:
    with pytest.raises(NotImplementedError):
        lab._ipython_display_()  # no front end: as _repr_mimebundle_ has it
    view = LabView(lab._services, repr(lab))
    lab.call(view._refresh())
    assert (view._traits()["counts"], view._traits()["waits"]) == ([], 0)
    start(lab, some_graph(lab), 1, 100)
    lab.call(view._refresh())
    traits = view._traits()
    assert dict(traits["counts"]) == {"completed": 1, "interrupted": 1}
    ((workflow, title, key),) = traits["waiting"]
    assert (workflow, title, traits["waits"], key.count("-")) == ("orders", "Pay?", 1, 1)
    assert "waits: Pay? (orders)" in view._text()
    assert "waits: Pay? (orders)" in view._table()


def test_a_flow_at_a_breakpoint_is_not_said_to_wait_for_an_answer(lab: Lab) -> None:
    (asked,) = start(lab, some_graph(lab), 100)
    stopped = lab.call(lab.engine.create(some_graph(lab, "stops"), {"amount": 100}, interrupt_before=["Check"]))
    assert lab.call(stopped.outcome(timeout=60)).status is Status.INTERRUPTED
    board = lab.dashboard()
    words = {row["workflow"]: row["word"] for row in shown(board)["rows"]}
    assert words == {"orders": "", "stops": "stopped before Check (breakpoint)"}
    assert "stopped before Check (breakpoint) · stops" in repr(board)
    assert "waiting for an answer · orders" in repr(board)
    assert "stopped before Check (breakpoint)</span>" in board._table()
    view = LabView(lab._services, repr(lab))
    lab.call(view._refresh())
    traits = view._traits()
    assert (traits["waits"], [title for _, title, _ in traits["waiting"]]) == (1, ["Pay?"])
    assert dict(traits["counts"]) == {"interrupted": 1}
    assert "? 1 waiting for an answer, ? 1 stopped at a breakpoint" in view._text()
    assert traits["stopped"] == [["stops", "stopped before Check (breakpoint)"]]
    assert "\nstopped before Check (breakpoint) (stops)\n" in view._text() + "\n"

    lab.call(stopped.resume())  # the same flow asks now
    until(lambda: [row["word"] for row in shown(board)["rows"]] == ["", ""])
    until(lambda: {asked.key, stopped.key} <= {each.flow_key for each in lab.inbox().prompts})
    lab.call(view._refresh())
    assert (view._traits()["waits"], view._traits()["stopped"]) == (2, [])


def test_the_rows_of_a_map_are_told_as_cells() -> None:
    tally = Tally(24, None, ())
    for position in range(6):
        tally.close(position, Status.COMPLETED)
    tally.close(23, Status.FAILED, "no")
    assert tally.heat() == "9" * 6 + "0" * 17 + "x"
    assert tally.heat(6) == "94000x"
    assert Tally(3, None, ()).heat() == Tally(None, None, ()).heat() == ""
