"""What the scenarios of the engine share, beside the fixtures of every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dwarf import failpoints as test_seams
from dwarf.failpoints import Failpoints


@pytest.fixture
def failpoints() -> Iterator[Failpoints]:
    """Faults and checkpoints in the engine, for this test."""
    with test_seams.installed() as installed:
        yield installed
