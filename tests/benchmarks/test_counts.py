"""What noise does not touch: transactions and statements per step of the benchmark's chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.__main__ import HEAD, measure, row
from tests.benchmarks.raw import single_commits

pytestmark = pytest.mark.bench


async def test_a_chain_costs_few_transactions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = single_commits(tmp_path / "raw.db", 0.5)
    measured, counts, cpu = await measure("chain", 4, tmp_path)
    with capsys.disabled():
        print(f"\n{HEAD}\n{row('chain', measured, counts, cpu, raw)}   raw commits/s {raw:,.0f}")
    assert counts["commit"] / measured.steps < 0.5
    assert counts["finish_step"] + counts["insert_step"] < measured.steps
