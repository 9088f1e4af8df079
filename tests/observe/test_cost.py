"""With no provider, reporting costs next to nothing. The figures are printed by ``python -m tests.benchmarks.observe``."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest

from tests.architecture.repository import ROOT
from tests.benchmarks.observe import directly
from tests.observe.tools import chain, nothing
from tests.support.workflows import Running

MOST_MICROSECONDS = 1.0  # two percent of the fifty that a step may cost; ten times what it takes on an idle machine


@pytest.mark.bench
def test_the_lines_that_report_are_quick_when_nobody_measures() -> None:
    assert min(directly() for _ in range(3)) < MOST_MICROSECONDS


async def test_reporting_is_one_call_in_a_hundred_when_nobody_measures(running: Running) -> None:
    graph = chain("Chain", **{f"N{number}": nothing for number in range(10)})
    calls: Counter[bool] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            file = frame.f_code.co_filename
            calls["/dwarf/observe/" in file or file.endswith("/engine/telemetry/events.py")] += 1

    async with running() as engine:
        await engine.run(graph)
        sys.setprofile(count)
        try:
            await asyncio.gather(*(engine.run(graph) for _ in range(32)))
        finally:
            sys.setprofile(None)
    assert calls[True] / 320 < 4, "calls for each step, at most, where each has a transaction of its own"
    assert calls[True] / calls.total() < 0.02


@pytest.mark.bench
def test_the_engine_runs_with_the_lines_taken_out() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.observe", "--child", "taken out", "--scale", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert figures["us"] > 0
    assert figures["removed"] >= 20
