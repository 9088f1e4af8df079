"""The pages for strangers are in step: scenarios and decisions name tests that are there."""

from __future__ import annotations

import re

from tests.architecture.repository import ROOT
from tests.conformance.write_scenarios import TARGET, text

TESTS = ROOT / "tests"


def test_the_list_of_scenarios_is_that_of_the_tests() -> None:
    assert TARGET.read_text(encoding="utf-8") == text(), "run: python -m tests.conformance.write_scenarios"


def test_each_decision_is_pinned_by_a_test_that_is_there() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    decisions, _, _ = page.partition("## Numbers")
    rows = [
        line for line in decisions.splitlines() if line.startswith("|") and not line.startswith(("|---", "| decision"))
    ]
    assert len(rows) > 40
    for row in rows:
        pinned = re.findall(
            r"`((?:unit|flows|storage|replicas|crash|recorded|conformance)/[\w/]+\.py)(?:::(\w+))?`", row
        )
        assert pinned, f"no test is named: {row}"
        for file, name in pinned:
            code = (TESTS / file).read_text(encoding="utf-8")
            assert f"def {name}(" in code if name else code, f"there is no {file}::{name}"
