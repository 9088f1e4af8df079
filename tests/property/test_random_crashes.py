"""Random flows end in the state of the model though their process dies again and again, at any statement."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.crashing import DEAD
from tests.property.test_random_flows import CHAINS, INITIAL, Chain, State, expected

ROOT = Path(__file__).parents[2]


def through_crashes(chain: Chain, initial: State, seed: int, path: Path) -> State:
    """Run a flow in one process after the other. The first few die; the last may not."""
    luck = random.Random(seed)
    for dies_at in [luck.randint(1, 60), luck.randint(1, 60), 0]:
        given_to = pickle.dumps((chain, initial, seed, str(path), dies_at))
        command = [sys.executable, "-m", "tests.property.crashing"]
        done = subprocess.run(command, input=given_to, cwd=ROOT, capture_output=True, check=False)
        if done.returncode != DEAD:
            assert done.returncode == 0, done.stderr.decode()
            return dict(json.loads(done.stdout))
    raise AssertionError("the last process was not to die")


@pytest.mark.timeout(900)
@settings(max_examples=6)
@given(CHAINS, INITIAL, st.integers(0, 2**32))
def test_crashes_leave_no_trace(chain: Chain, initial: State, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert through_crashes(chain, initial, seed, Path(folder) / "flows.db") == expected(chain, initial)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@settings(max_examples=60)
@given(CHAINS, INITIAL, st.integers(0, 2**32))
def test_many_more_crashes(chain: Chain, initial: State, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert through_crashes(chain, initial, seed, Path(folder) / "flows.db") == expected(chain, initial)
