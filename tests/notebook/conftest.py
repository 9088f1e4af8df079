"""Labs of a test, closed at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dwarf.notebook import Lab, kernel
from dwarf.notebook.prompts.answers import VARIABLE


@pytest.fixture(autouse=True)
def _no_shell() -> Iterator[None]:
    """No test leaves a shell of IPython behind, which would change what later ones do."""
    yield
    assert kernel.shell() is None


@pytest.fixture
def make_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Lab]]:
    """Makes labs in a folder of the test's own, without answers from the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    made: list[Lab] = []

    def make(*arguments: Any, **options: Any) -> Lab:
        lab = Lab(*arguments, **options)
        made.append(lab)
        return lab

    yield make
    for lab in made:
        lab.close()


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """A lab in memory."""
    return make_lab("memory")
