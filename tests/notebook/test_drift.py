"""Edit and go on: what is told of graphs and functions that have been redefined under a flow."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from dwarf.notebook import Lab, kernel
from dwarf.notebook.live.drift import Digests, fingerprint, fingerprints, graph_changes, read_drift
from dwarf.notebook.live.panel import PanelController
from dwarf.notebook.live.runview import RunView, touch_views
from dwarf.notebook.pictures.differences import compared
from dwarf.workflow import END, Flow, Graph
from dwarf.workflow.digests import code_digest, reach_digest


def define(source: str, **names: Any) -> Any:
    """The function ``f`` of a cell."""
    exec(compile(source, f"<cell {len(source)}>", "exec"), names)
    return names["f"]


def test_the_same_cell_run_again_is_no_change() -> None:
    source = "def f(x, y=(1, 'a'), *, z={'k': 2}):\n    return [x + len(w) for w in {'p', 'q'} if (lambda: y)()]"
    assert fingerprint(define(source)) == fingerprint(define("\n\n# moved down\n" + source))
    assert fingerprint(define(source)) != fingerprint(define(source.replace("x + len", "x - len")))
    assert fingerprint(define(source)) != fingerprint(define(source.replace("'a'", "'b'")))
    assert fingerprint(define(source)) != fingerprint(define(source.replace("'k': 2", "'k': 2.0")))
    assert fingerprint(define("def f(x=True): return x")) != fingerprint(define("def f(x=1): return x"))


def silent(function: Any) -> Any:
    """A decorator that does not say what it wraps."""

    def wrapper(*args: Any, **named: Any) -> Any:
        return function(*args, **named)

    return wrapper


def telling(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **named: Any) -> Any:
        return function(*args, **named)

    return wrapper


def twice(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **named: Any) -> Any:
        return function(*args, **named) * 2

    return wrapper


def times(factor: Any) -> Any:
    def f(x: int) -> Any:
        return x * factor

    return f


class Scaled:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def run(self, x: int) -> int:
        return x * self.factor


ONE, TWO = "def f(x): return x + 1", "def f(x): return x + 2"


@pytest.mark.parametrize(
    ("old", "new", "code", "fingerprints", "reach"),
    [
        (lambda: define(ONE), lambda: define(ONE), False, False, False),
        (lambda: define(ONE), lambda: define(TWO), True, True, True),
        (lambda: silent(define(ONE)), lambda: silent(define(TWO)), True, True, True),
        (lambda: silent(silent(define(ONE))), lambda: silent(silent(define(ONE))), False, False, False),
        (lambda: telling(define(ONE)), lambda: telling(define(TWO)), True, True, True),
        (lambda: telling(define(ONE)), lambda: twice(define(ONE)), True, True, True),
        (lambda: functools.lru_cache(define(ONE)), lambda: functools.lru_cache(define(TWO)), True, True, True),
        (lambda: functools.partial(define(ONE), 1), lambda: functools.partial(define(ONE), 2), False, True, True),
        (lambda: functools.partial(print, define(ONE)), lambda: functools.partial(print, define(ONE)), False, None, False),
        (lambda: functools.partial(silent, define(ONE)), lambda: functools.partial(silent, define(TWO)), True, True, True),
        (lambda: times(2), lambda: times(2), False, False, False),
        (lambda: times(2), lambda: times(3), False, True, True),
        (lambda: times(define(ONE)), lambda: times(define(TWO)), True, True, True),
        (lambda: Scaled(2).run, lambda: Scaled(2).run, False, False, False),
        (lambda: Scaled(2).run, lambda: Scaled(3).run, False, True, True),
        # what is called by its name is another function, and counts for caches
        (
            lambda: define("def help(): return 1\ndef f(): return help()"),
            lambda: define("def help(): return 2\ndef f(): return help()"),
            False, False, True,
        ),
    ],
)  # fmt: skip
def test_what_a_function_is_made_of(old: Any, new: Any, code: bool, fingerprints: bool | None, reach: bool) -> None:
    one, other = old(), new()
    assert (code_digest(one) != code_digest(other)) is code
    if fingerprints is not None:  # a function of C is told by its identity
        assert (fingerprint(one) != fingerprint(other)) is fingerprints
        assert fingerprint(one).startswith(code_digest(one))
    assert (reach_digest(one) != reach_digest(other)) is reach


def test_things_that_are_no_functions_have_fingerprints() -> None:
    class Task:
        def __call__(self) -> None:
            return None

    one = Task()
    assert fingerprint(one) == fingerprint(one)
    assert fingerprint(one) != fingerprint(Task())
    assert set(fingerprints({"a": one, "b": define("def f(): pass")})) == {"a", "b"}


def test_graphs_are_compared_in_words() -> None:
    old = Graph("g").add_chain("a", "b", "c", END)
    assert graph_changes(old, Graph("g").add_chain("a", "b", "c", END)) == []
    assert graph_changes(old, Graph("g").add_chain("a", "b", "d", END)) == [
        "added 'd'",
        "removed 'c'",
        "2 edges new",
        "2 edges gone",
    ]
    assert graph_changes(old, Graph("g", reducers={"x": "add"}).add_chain("a", "b", "c", END)) == ["other reducers"]
    many = Graph("g").add_chain("a", "b", "c", "<d>", "e", "f", "g", "h", END)
    assert graph_changes(old, many)[0] == "added '<d>', 'e', 'f', 'g' and 1 more"
    assert graph_changes(old, Graph("g").add_chain("a", "b", "c", END).add_node("b", "other"))[0] == "changed 'b'"


def test_only_functions_known_before_can_have_been_redefined() -> None:
    graph = Graph("g").add_chain("a", "b", END)
    drift = read_drift(graph, graph, {"a": "1"}, {"a": "2", "b": "1"})
    assert drift.nodes == {"a"}
    assert drift.notes[0].startswith("The function of 'a' was redefined")
    assert read_drift(graph, None, {"a": "1"}, {"a": "1"}).notes == ()


def test_a_redefined_helper_is_drift_of_the_tasks_that_use_it() -> None:
    """Also one that was defined after the task, and of helpers that helpers use; values of a notebook are none."""

    class Kernel:
        functions: dict[str, Any] = {}
        graphs: dict[str, Graph] = {}

    cells: dict[str, Any] = {"__name__": "book"}

    def run(source: str) -> None:
        exec(compile(source, "<cell>", "exec"), cells)

    run("def a(x): return help(x) + rate\ndef b(x): return x")
    Kernel.functions = {"a": cells["a"], "b": cells["b"]}
    digests, graph = Digests(Kernel), Graph("g").add_chain("a", "b", END)
    assert digests.now()["a"][:32] == code_digest(cells["a"])
    run("rate = 1\ndef help(x): return inner(x)\ndef inner(x): return x")
    before = digests.now()
    run("rate = 2\ndef help(x):\n    return inner(x)\nother = [1]")
    assert read_drift(graph, None, before, digests.now()).nodes == set()
    run("def inner(x): return -x")
    drift = read_drift(graph, None, before, digests.now())
    assert drift.nodes == {"a"}
    assert drift.notes[0].startswith("What 'a' uses of this notebook was redefined")
    run("def a(x): return 0")
    Kernel.functions["a"] = cells["a"]
    assert read_drift(graph, None, before, digests.now()).notes[0].startswith("The function of 'a' was redefined")


def test_a_picture_tells_new_gone_changed_and_moved_nodes() -> None:
    old = Graph("g").add_chain("a", "b", "c", "d", "e", END)
    new = Graph("g").add_chain("a", "n", "c", "e", "d", END).add_node("a", "other")
    states = compared(old, new)[1]
    assert states == {"a": "changed", "n": "new", "c": "same", "e": "moved", "d": "moved", "b": "gone"}
    drift = read_drift(old, new, {}, {"x": "1"})
    assert drift.graph is new
    picture = drift.picture()
    assert picture is not None
    for word in ("new", "gone", "changed", "moved", "as before"):
        assert f">{word}<" in picture
    assert "n (new)" in picture.alt
    assert "image/svg+xml" in drift._repr_mimebundle_()


def test_a_page_goes_on_with_the_new_graph(lab: Lab) -> None:
    asked = []

    def ask(flow: Flow) -> dict[str, Any]:
        asked.append(1)
        return {"answer": flow.interrupt({"title": "Well?"})}

    lab.task(url="ask")(ask)
    old = lab.graph("talk").add_node("first", lambda: {"n": 1}).add_node("ask", "ask").add_chain("first", "ask", END)
    waits, done = lab.start(old, show=False), lab.start(old, show=False)
    for run in (waits, done):
        while not run.prompts:
            assert run.outcome is None
    done.answer("yes")
    done.wait(60)
    desks = [PanelController(lab._services, run._watcher, lambda _: None) for run in (waits, done)]
    assert "still the one" in lab.call(desks[0].handle({"do": "regraph"}))["fault"]
    new = lab.graph("talk").add_node("first", "first").add_node("ask", "ask").add_node("after", lambda: {"after": True})
    new.add_chain("first", "ask", "after", END)
    assert waits.drift.graph is new
    for controller in desks:
        reply = lab.call(controller.handle({"do": "regraph"}))
        run = lab.get(reply["find"].split('"')[1])
        while not run.prompts and run.outcome is None:
            assert run.status is not None
        if run.prompts:
            run.answer("late")
        assert run.wait(60).state["after"] is True
    assert len(asked) == 5  # what was answered is not asked again


def test_a_task_and_a_graph_are_redefined_while_a_flow_waits(lab: Lab) -> None:
    @lab.task
    def ask(flow: Flow) -> dict[str, Any]:
        return {"answer": flow.interrupt({"title": "Well?"})}

    def after(answer: str) -> dict[str, Any]:
        return {"told": f"first {answer}"}

    graph = lab.graph("talk").add_node("ask", ask).add_node("after", after).add_chain("ask", "after", END)
    run = lab.start(graph, show=False)
    while not run.prompts:
        assert run.outcome is None
    assert run.drift.notes == ()

    @lab.task  # type: ignore[no-redef]
    def after(answer: str) -> dict[str, Any]:
        return {"told": f"second {answer}"}

    assert run.drift.nodes == {"after"}
    lab.graph("talk").add_node("ask", ask).add_chain("ask", END)
    assert any("removed 'after'" in note for note in run.drift.notes)
    view = RunView(run._watcher, lab._services.submit, lab._services)
    traits = view._traits(first=True)
    assert traits["flow"]["drift"] == list(run.drift.notes)
    places = [node.name for node in run.graph.nodes]
    assert traits["planes"][""]["nodes"][places.index("after")][6] & 4
    run.answer("yes")
    assert run.wait(60).state["told"] == "second yes"  # the frozen graph, the new function
    again = lab.start("talk", show=False)
    assert again.drift.notes == ()
    again.cancel()
    again.wait(60)


def test_views_are_looked_at_again_after_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython.core.events import EventManager, available_events

    class Shell:
        events = EventManager(None, available_events)

    monkeypatch.setattr(kernel, "shell", Shell)
    calls: list[object] = []
    kernel.after_cells(calls.append)
    kernel.after_cells(touch_views)
    kernel.after_cells(touch_views)
    assert Shell.events.callbacks["post_run_cell"].count(touch_views) == 1
    Shell.events.trigger("post_run_cell", "a result")
    assert calls == ["a result"]
    touch_views("a result")  # IPython would only print what goes wrong
