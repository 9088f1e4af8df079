"""How a step was left, as it is kept with the step."""

from __future__ import annotations

import pytest

from dwarf import END, Graph
from dwarf.core.decision import Advance, Complete
from dwarf.core.routing import read_route, route_text
from dwarf.core.step import Raised, decide
from tests.unit.core.support import context, returned, step_at

GRAPH = (
    Graph("g")
    .add_chain("A", "B", END)
    .add_transition("H", END)
    .add_goto("A", "B")
    .add_goto("A", END)
    .add_error_handler("A", "H")
)


@pytest.mark.parametrize(
    ("goto", "error"), [("", False), ("B", False), ("error", False), ("goto:x", False), ("", True)]
)
def test_the_text_comes_back(goto: str, error: bool) -> None:
    assert read_route(route_text(goto, error)) == (goto, error)


@pytest.mark.parametrize(("goto", "expected"), [("", ""), ("B", "goto:B"), (END, "goto:END")])
def test_a_decision_says_how_its_step_was_left(goto: str, expected: str) -> None:
    decision = decide(step_at(GRAPH, "A"), returned(goto=goto), context())
    assert isinstance(decision, (Advance, Complete))
    assert decision.route == expected


def test_a_handled_error_is_remembered() -> None:
    decision = decide(step_at(GRAPH, "A"), Raised("bad", "", {"error": "bad"}), context())
    assert isinstance(decision, Advance)
    assert (decision.route, decision.successors[0].node) == ("error", "H")
