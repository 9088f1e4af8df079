"""The Flow as a mapping."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest

from dwarf.errors import StateError
from dwarf.workflow.flow import Flow


class Name(StrEnum):
    TOTAL = "total"


def test_an_empty_flow() -> None:
    flow = Flow()
    assert dict(flow) == {}
    assert len(flow) == 0
    assert flow.changes == {}
    assert flow.snapshot() == {}
    assert (flow.key, flow.step_key, flow.node, flow.attempt) == ("", "", "", 0)
    assert flow.baggage == {}


def test_reading_present_and_absent_fields() -> None:
    flow = Flow({"name": "Ada", "age": 36, "gone": None, "tags": ["a"]})
    assert flow["name"] == "Ada"
    assert flow.get("age") == 36
    assert flow.get("missing") is None
    assert flow.get("missing", 5) == 5
    assert flow.get("gone", 5) == 5
    assert "name" in flow
    assert "gone" not in flow
    assert "missing" not in flow
    with pytest.raises(KeyError, match="gone"):
        flow["gone"]
    with pytest.raises(KeyError, match="missing"):
        flow["missing"]


def test_falsy_values_are_present() -> None:
    flow = Flow({"zero": 0, "text": "", "no": False, "list": [], "object": {}, "half": 0.0})
    assert len(flow) == 6
    assert all(name in flow for name in ("zero", "text", "no", "list", "object", "half"))
    assert flow["zero"] == 0
    assert flow["no"] is False
    assert flow["list"] == []
    assert flow.get("text", "other") == ""


def test_writing_is_seen_and_recorded() -> None:
    state = {"a": 1, "b": 2}
    flow = Flow(state)
    flow["b"] = 20
    flow["c"] = [1, {"x": None}]
    assert dict(flow) == {"a": 1, "b": 20, "c": [1, {"x": None}]}
    assert flow.changes == {"b": 20, "c": [1, {"x": None}]}
    assert state == {"a": 1, "b": 2}


def test_the_order_of_fields_is_that_of_the_state_then_that_of_writing() -> None:
    flow = Flow({"b": 1, "a": 2})
    flow["z"] = 1
    flow["a"] = 3
    flow["c"] = 1
    assert list(flow) == ["b", "a", "z", "c"]


def test_assigning_none_deletes() -> None:
    flow = Flow({"a": 1})
    flow["a"] = None
    flow["b"] = None
    assert "a" not in flow
    assert flow.get("a") is None
    assert list(flow) == []
    assert flow.changes == {"a": None, "b": None}


def test_del_never_raises_and_records_the_deletion() -> None:
    flow = Flow({"a": 1})
    del flow["a"]
    del flow["a"]
    del flow["never"]
    assert dict(flow) == {}
    assert flow.changes == {"a": None, "never": None}


def test_a_later_write_overrides_a_deletion() -> None:
    flow = Flow({"a": 1})
    del flow["a"]
    flow["a"] = 2
    assert flow["a"] == 2
    assert flow.changes == {"a": 2}


def test_stored_changes_lie_over_the_state() -> None:
    flow = Flow({"a": 1, "b": 2, "c": 3}, {"b": None, "c": 30, "d": 4})
    assert dict(flow) == {"a": 1, "c": 30, "d": 4}
    assert flow.changes == {"b": None, "c": 30, "d": 4}


def test_the_engines_dicts_are_not_touched() -> None:
    state: dict[str, Any] = {"a": {"x": [1]}}
    changes: dict[str, Any] = {"b": {"y": [2]}}
    flow = Flow(state, changes)
    flow["a"]["x"].append(9)
    flow["b"]["y"].append(9)
    flow.changes["b"]["y"].append(9)  # type: ignore[index]
    flow.snapshot()["a"]["x"].append(9)
    flow["b"] = 1
    assert state == {"a": {"x": [1]}}
    assert changes == {"b": {"y": [2]}}


def test_every_read_is_the_readers_own_copy() -> None:
    flow = Flow({"items": [1, 2]})
    first = flow["items"]
    first.append(3)
    assert flow["items"] == [1, 2]
    assert flow.get("items") is not flow.get("items")
    assert flow._raw_changes == {}


def test_later_mutation_of_what_was_assigned_has_no_effect() -> None:
    value = {"list": [1]}
    flow = Flow()
    flow["v"] = value
    value["list"].append(2)
    assert flow["v"] == {"list": [1]}


@pytest.mark.parametrize("value", [object(), {1: 2}, [1, 1j], {"a": {"b": lambda: 0}}, 1j])
def test_a_value_that_cannot_be_kept_is_refused_at_once(value: object) -> None:
    flow = Flow({"a": 1})
    with pytest.raises(StateError, match="total"):
        flow["total"] = value
    assert "total" not in flow
    assert flow._raw_changes == {}


def test_the_message_names_the_path() -> None:
    with pytest.raises(StateError, match=r"field 'order\.lines\[1\]'"):
        Flow()["order"] = {"lines": [1, object()]}


@pytest.mark.parametrize("name", ["", 5, None, ("a",), b"a", "\ud800"])
def test_names_must_be_text(name: Any) -> None:
    flow = Flow()
    with pytest.raises(StateError, match="field name"):
        flow[name] = 1
    with pytest.raises(StateError, match="field name"):
        del flow[name]
    with pytest.raises(StateError, match="field name"):
        flow.update({name: 1})
    assert flow._raw_changes == {}


@pytest.mark.parametrize("name", ["a.b", "$dwarf", "\N{SNOWMAN}", "with space", "\x00", "onErr"])
def test_any_text_is_a_name(name: str) -> None:
    flow = Flow()
    flow[name] = {"$dwarf": 1}
    assert flow[name] == {"$dwarf": 1}
    assert list(flow) == [name]


def test_a_name_of_a_str_subclass_is_kept_as_plain_text() -> None:
    flow = Flow()
    flow[Name.TOTAL] = 3
    assert flow["total"] == 3
    assert [type(name) for name in flow._raw_changes] == [str]
    flow.update({Name.TOTAL: 4})
    assert flow._raw_changes == {"total": 4}


def test_typed_values_come_back_equal() -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    flow = Flow()
    flow["when"] = moment
    flow["pair"] = (1, 2)
    assert flow["when"] == moment
    assert flow["pair"] == (1, 2)
    assert flow._raw_changes["when"] == {"$dwarf": "datetime", "v": "2024-05-01T12:00:00+00:00"}
    assert flow.changes["when"] == moment


def test_large_integers_are_exact() -> None:
    flow = Flow({"id": 1234567890123456789})
    flow["big"] = 10**40 + 1
    assert flow["id"] == 1234567890123456789
    assert flow["big"] == 10**40 + 1


# ---------------------------------------------------------------- what a dict can do


@pytest.mark.parametrize(
    "update",
    [
        lambda flow: flow.update({"a": 1, "b": None}),
        lambda flow: flow.update([("a", 1), ("b", None)]),
        lambda flow: flow.update(a=1, b=None),
        lambda flow: flow.update({"a": 5}, a=1, b=None),
        lambda flow: flow.__ior__({"a": 1, "b": None}),
        lambda flow: flow.update(Flow({"a": 1}), b=None),
    ],
)
def test_update(update: Callable[[Flow], Any]) -> None:
    flow = Flow({"b": 2, "c": 3})
    update(flow)
    assert flow.changes == {"a": 1, "b": None}
    assert dict(flow) == {"a": 1, "c": 3}


def test_update_writes_all_or_nothing() -> None:
    flow = Flow()
    with pytest.raises(StateError, match="bad"):
        flow.update({"good": 1, "bad": object()})
    assert flow._raw_changes == {}


def test_update_takes_any_field_name_as_a_keyword() -> None:
    flow = Flow()
    flow.update(self=1, args=2)
    assert dict(flow) == {"self": 1, "args": 2}


def test_clear_deletes_what_is_present() -> None:
    flow = Flow({"a": 1, "gone": None}, {"b": 2})
    flow.clear()
    assert dict(flow) == {}
    assert flow.changes == {"a": None, "b": None}


def test_pop_setdefault_and_popitem() -> None:
    flow = Flow({"a": 1, "b": [1]})
    assert flow.pop("a") == 1
    assert flow.pop("a", 7) == 7
    with pytest.raises(KeyError):
        flow.pop("a")
    assert flow.setdefault("b", [9]) == [1]
    new = flow.setdefault("c", [])
    new.append(1)
    assert flow["c"] == []
    assert flow.changes == {"a": None, "c": []}
    flow.popitem()
    assert len(flow) == 1


def test_comparison_and_iteration() -> None:
    flow = Flow({"a": 1, "b": [2]})
    assert flow == {"a": 1, "b": [2]}
    assert list(flow.items()) == [("a", 1), ("b", [2])]
    assert list(flow.values()) == [1, [2]]
    assert {**flow} == {"a": 1, "b": [2]}
    for name in flow:
        del flow[name]  # legal while iterating
    assert not flow


def test_repr_is_short_and_never_raises() -> None:
    flow = Flow({"a": 1}, node="Charge", attempt=2)
    assert repr(flow) == "Flow({'a': 1}, node='Charge', attempt=2)"
    assert len(repr(Flow({"text": "x" * 10_000}))) < 200
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert repr(Flow({"a": deep}, node="N")) == "Flow(node='N', attempt=0)"


def test_identity_and_times() -> None:
    flow = Flow(
        key="1-2-k", step_key="1-3-s", node="A", attempt=4, created_at_ms=1_000, updated_at_ms=2_500,
        step_created_at_ms=86_400_000, baggage={"user": "ada", "at": {"$dwarf": "date", "v": "2024-01-02"}, "no": None},
    )  # fmt: skip
    assert (flow.key, flow.step_key, flow.node, flow.attempt) == ("1-2-k", "1-3-s", "A", 4)
    assert flow.created_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert flow.updated_at == datetime(1970, 1, 1, 0, 0, 2, 500_000, tzinfo=UTC)
    assert flow.step_created_at == datetime(1970, 1, 2, tzinfo=UTC)
    assert flow.baggage == {"user": "ada", "at": datetime(2024, 1, 2).date()}


def test_key_completion_offers_the_present_names() -> None:
    assert Flow({"a": 1, "b": None})._ipython_key_completions_() == ["a"]


# ---------------------------------------------------------------- lost writes


def test_lost_writes_are_found() -> None:
    flow = Flow({"items": [1], "order": {"lines": []}, "n": 1, "same": [1]}, track_reads=True)
    flow["items"].append(2)
    flow.get("order")["lines"].append(1)
    assert flow["same"] == [1]
    assert flow["n"] == 1
    assert flow._lost_writes() == ["items", "order"]


def test_what_is_assigned_back_is_not_lost() -> None:
    flow = Flow({"items": [1], "more": [1], "gone": [1]}, track_reads=True)
    items = flow["items"]
    items.append(2)
    flow["items"] = items
    more = flow["more"]
    more.append(2)
    flow.update(more=sorted(more))
    flow["gone"].append(1)
    del flow["gone"]
    assert flow._lost_writes() == []


def test_a_change_after_the_assignment_is_lost() -> None:
    flow = Flow({"items": [1]}, track_reads=True)
    items = flow["items"]
    flow["items"] = items
    items.append(2)
    assert flow._lost_writes() == ["items"]


def test_a_copy_made_unkeepable_is_lost() -> None:
    flow = Flow({"a": {}}, track_reads=True)
    flow["a"]["x"] = object()
    assert flow._lost_writes() == ["a"]


def test_typed_reads_are_tracked_too() -> None:
    flow = Flow({"items": [1]}, track_reads=True)
    flow.get_as("items", list[int]).append(2)
    assert flow._lost_writes() == ["items"]


def test_nothing_is_tracked_without_being_asked() -> None:
    flow = Flow({"items": [1]})
    flow["items"].append(2)
    assert flow._lost_writes() == []


# ---------------------------------------------------------------- detached carriers


def test_a_fork_is_seen_only_after_adoption() -> None:
    state = {"a": 1}
    flow = Flow(state, {"b": 2}, key="k", node="N", attempt=1)
    fork = flow._fork_carrier()
    fork["c"] = 3
    fork.goto("X")
    fork.delay(2)
    assert (fork.key, fork.node, fork.attempt, dict(fork)) == ("k", "N", 1, {"a": 1, "b": 2, "c": 3})
    assert flow.changes == {"b": 2}
    flow._adopt(fork)
    assert flow.changes == {"b": 2, "c": 3}
    assert (flow._control().goto, flow._control().delay_ms) == ("X", 2000)
    fork["late"] = 1
    assert "late" not in flow
