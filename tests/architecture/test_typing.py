"""The type checker and the linter have nothing to say."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.repository import ROOT


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_package_is_strictly_typed() -> None:
    run("mypy", "--strict", "dwarf")


def test_the_linter_is_content() -> None:
    run("ruff", "check", "--output-format", "concise", ".")


def test_the_code_is_formatted() -> None:
    run("ruff", "format", "--check", "--output-format", "concise", ".")
