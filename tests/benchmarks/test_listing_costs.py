"""A list costs about as much as a few reads by key, however many flows there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.listing import measure

pytestmark = [pytest.mark.bench, pytest.mark.slow]


async def test_a_page_costs_no_more_among_many_flows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = await measure(tmp_path / "few.db", 2_000, times=5)
    many = await measure(tmp_path / "many.db", 40_000, times=5)
    with capsys.disabled():
        for name in many:
            print(f"\n{name:<38} {few[name][0]:>8.2f} ms of 2,000 {many[name][0]:>8.2f} ms of 40,000", end="")
    for name in (
        "first page",
        "page after 20,100",
        "status=failed",
        "one workflow",
        "older than the newest half",
        "node",
    ):
        assert many[name][2] == 100
        assert many[name][1] < 100, name
    assert many["search: one error"][2] == many["search: a whole key"][2] == many["one thread"][2] == 1
