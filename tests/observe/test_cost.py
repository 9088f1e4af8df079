"""With no provider, reporting costs next to nothing. The figures are printed by ``python -m tests.benchmarks.observe``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.architecture.repository import ROOT
from tests.benchmarks.observe import directly

pytestmark = pytest.mark.bench

MOST_MICROSECONDS = 1.0  # two percent of the fifty that a step may cost; ten times what it takes on an idle machine


def test_the_lines_that_report_are_quick_when_nobody_measures() -> None:
    assert min(directly() for _ in range(3)) < MOST_MICROSECONDS


def test_the_engine_runs_with_the_lines_taken_out() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.observe", "--child", "taken out", "--scale", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert figures["us"] > 0
    assert figures["removed"] >= 20
