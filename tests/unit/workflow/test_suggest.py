"""Hints at what was meant."""

from __future__ import annotations

import pytest

from dwarf.workflow.suggest import common_name, moved_task


@pytest.mark.parametrize(
    ("url", "other", "name"),
    [
        ("draft.ask", "final.ask", "ask"),
        ("draft.Shop.pay", "final.Shop.pay", "Shop.pay"),
        ("a.b.load", "c.load", "load"),
        ("load", "etl.load", "load"),
        ("load", "load", "load"),
        ("draft.ask", "draft.asks", ""),
        ("", "final.ask", ""),
    ],
)
def test_the_name_two_urls_have_in_common(url: str, other: str, name: str) -> None:
    assert common_name(url, other) == common_name(other, url) == name


def test_a_task_that_moved_is_found_by_its_whole_name() -> None:
    known = ["final.load", "final.Shop.load", "other.Shop.save", "load"]
    assert moved_task("draft.Shop.load", known) == "final.Shop.load"
    assert moved_task("draft.load", known) == "final.load"
    assert moved_task("draft.drop", known) is None
    assert moved_task("load", ["load", "etl.load"]) is None  # no scope that could be written
