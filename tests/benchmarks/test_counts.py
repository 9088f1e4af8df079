"""What noise does not touch: transactions and statements per step of the benchmark's chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import suite
from tests.benchmarks.cell import measure

pytestmark = pytest.mark.bench


async def test_a_chain_costs_few_transactions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured, counts, figures = await measure("chain", 4, f"sqlite:///{tmp_path}/chain.db")
    with capsys.disabled():
        print(suite.tables([figures]))
    assert counts.transactions / measured.steps < 0.5
    assert counts.statements["finish_step"] + counts.statements["insert_step"] < measured.steps
