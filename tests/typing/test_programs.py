"""Typical programs of users pass the type checkers, strictly, and mistakes do not.

`programs/mistakes.py` has a mistake in each line that is ignored: an ignored line without one is reported by both.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.repository import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def check(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_mypy_understands_programs_of_users() -> None:
    check("mypy", "--strict", "tests/typing/programs")


def test_pyright_understands_programs_of_users() -> None:
    check("pyright", "-p", "tests/typing", "--pythonpath", sys.executable)
