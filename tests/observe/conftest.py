"""Engines that are measured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dwarf.observe.memory import Recorder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Providers of the SDK that keep everything in memory."""
    recorder = Recorder()
    yield recorder
    recorder.close()
