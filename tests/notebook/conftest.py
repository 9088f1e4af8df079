"""Labs of a test, closed at its end; a browser for the tests of one file, and where its pictures go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dwarf.notebook import Lab, kernel
from dwarf.notebook.prompts.answers import VARIABLE
from tests.notebook.labdriver import ARGUMENTS, CHROMIUM


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where pictures of the pages go: DWARF_SHOTS, so that they can be kept and looked at."""
    made = Path(os.environ.get("DWARF_SHOTS", tmp_path / "shots"))
    made.mkdir(parents=True, exist_ok=True)
    return made
