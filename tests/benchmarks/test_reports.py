"""The tables say what was measured: ratios are of one round, medians of all, and goals are judged by them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks import goals, suite
from tests.benchmarks.__main__ import cells, merged
from tests.benchmarks.figures import Figures, Measured
from tests.benchmarks.meter import Meter, family_cpu, peak_memory


def figures(system: str, rate: float, number: int, *, p50: float | None = None, cpu: float | None = None) -> Figures:
    found = Figures(system, "PostgreSQL", "chain", steps=int(rate * 10), flows=10, seconds=10.0)
    found.p50, found.engine_cpu, found.round = p50, cpu, number
    return found


def test_percentiles() -> None:
    measured = Measured(latencies=[number / 1000 for number in range(1, 101)])
    assert (measured.percentile(0.5), measured.percentile(0.99)) == (51.0, 100.0)
    assert Measured().percentile(0.5) == 0.0


def test_ratios_are_taken_within_a_round() -> None:
    ours = [figures("dwarf", 1000, 1), figures("dwarf", 100, 2), figures("dwarf", 100, 3)]
    theirs = [figures("other", 500, 1), figures("other", 50, 2)]
    assert suite.ratios(ours, theirs, goals.rate) == [2.0, 2.0]
    assert suite.spread([1.0, 3.0, 2.0]) == "2.00x (1.00 to 3.00)"
    text = suite.tables([*ours, *theirs])
    assert "2.00x (2.00 to 2.00)" in text
    assert text.splitlines()[1] == "chain: PostgreSQL"


def test_goals_are_judged_by_the_median() -> None:
    rounds = ((1, 2000.0), (2, 1700.0), (3, 100.0))
    found = [figures("dwarf", rate, number, cpu=40) for number, rate in rounds]
    found += [figures("Burr", 1000, number, cpu=160) for number, _ in rounds]
    lines = {line.partition("  ")[0]: line for line in goals.table(found).splitlines()}
    burr = lines["chain, PostgreSQL: speed against Burr"].split()
    assert burr[6:8] == ["no", "1.70x"]
    assert "4.00x" in burr
    assert lines["chain, PostgreSQL: CPU us per step, engine"].split()[-6:-4] == ["<=50", "yes"]
    assert not any(line.startswith("Others kept") for line in lines)
    found[0].others = found[1].others = found[2].others = 1.5
    assert "Others kept 1.5 cores busy" in goals.table(found)


def test_goals_without_what_they_compare_are_left_out() -> None:
    assert goals.table([]) == ""
    assert "Burr" not in goals.table([figures("dwarf", 1000, 1)])


def test_saved_figures_of_several_runs_are_rounds(tmp_path: Path) -> None:
    paths = [tmp_path / "first.json", tmp_path / "second.json"]
    for path in paths:
        path.write_text(json.dumps([asdict(figures("dwarf", 10, number)) for number in (1, 2)]))
    assert [each.round for each in merged(paths)] == [1, 2, 3, 4]
    line = figures("dwarf", 10, 1, p50=2.5).line()
    assert Figures.read(line) == figures("dwarf", 10, 1, p50=2.5)


def test_every_goal_is_about_something_that_is_measured() -> None:
    measured = {
        cell.arguments[0]
        for cell in cells(["chain", "fan-out", "latency", "prompt"], ["", "postgresql://x"], 1, "", [])
    }
    assert {goal.workload for goal in goals.GOALS} | {bound.workload for bound in goals.BOUNDS} <= measured


def test_the_meter_counts_this_process() -> None:
    meter = Meter()
    meter.start()
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    own, database = meter.stop()
    assert own >= 0.05
    assert database is None
    if Path("/proc/self/stat").exists():
        assert family_cpu(os.getpid()) > 0
        assert (peak_memory() or 0) > 1
