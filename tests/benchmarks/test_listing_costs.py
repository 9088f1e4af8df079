"""A list costs about as much as a few reads by key, however many flows there are."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.listing import BY_KEY, filled

pytestmark = [pytest.mark.bench, pytest.mark.slow]

Call = Callable[[], Awaitable[Any]]


async def least(*calls: Call, times: int = 9) -> list[float]:
    """The least milliseconds that each of these takes, measured in turns: other work on the machine only ever adds."""
    found = [float("inf")] * len(calls)
    for _ in range(times):
        for place, call in enumerate(calls):
            begun = time.perf_counter()
            await call()
            found[place] = min(found[place], (time.perf_counter() - begun) * 1000)
    return found


async def test_a_page_costs_no_more_among_many_flows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with filled(tmp_path / "few.db", 2_000) as few, filled(tmp_path / "many.db", 40_000) as many:
        (one,) = await least(many[BY_KEY], times=50)
        pages = ("first page", "status=failed", "one workflow", "older than the newest half", "node")
        pairs = {name: (few[name], many[name]) for name in pages}
        pairs["page after 20,000"] = few["first page"], many["page after 20,000"]
        for name, (here, there) in pairs.items():
            assert (await there())[0] == 100
            small, large = await least(here, there)
            with capsys.disabled():
                print(f"\n{name:<38} {small:>8.2f} ms of 2,000 {large:>8.2f} ms of 40,000", end="")
            assert large < 3 * small + 10 * one, name  # a look at all flows would cost twenty times as much
        for name in ("search: one error", "search: a whole key", "one thread"):
            assert (await many[name]())[0] == 1
