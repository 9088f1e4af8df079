"""Records that are filled in field by field have all of their fields."""

from __future__ import annotations

from dataclasses import fields

from dwarf import END, Graph
from dwarf.core.decision import Advance
from dwarf.core.records import StepRecord
from dwarf.core.step import decide
from tests.unit.core.support import context, returned, step_at


def test_no_field_of_a_step_is_left_out() -> None:
    graph = Graph("g").add_node("A", "a").add_node("B", "b").add_chain("A", "B", END)
    decision = decide(step_at(graph, "A"), returned({"n": 1}), context())
    assert isinstance(decision, Advance)
    (new,) = decision.successors
    for record in (new, StepRecord.leased(new, 5)):
        missing = [field.name for field in fields(record) if not hasattr(record, field.name)]
        assert not missing
