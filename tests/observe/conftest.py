"""Engines that are measured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dwarf import failpoints
from dwarf.observe.instruments import INSTRUMENTS
from dwarf.observe.memory import MetricRecord, Recorder

DECLARED = {instrument.name: instrument for instrument in INSTRUMENTS}


class Strict(Recorder):
    """A recorder that holds everything against the table whenever it is looked at."""

    def metrics(self) -> list[MetricRecord]:
        rows = super().metrics()
        for row in rows:
            instrument = DECLARED[row.name]
            assert row.labels.keys() == set(instrument.labels)
            assert all(isinstance(label, str) for label in row.labels.values())
            assert row.unit == instrument.unit
            assert (row.count is None) == (instrument.kind != "histogram")
            assert tuple(row.bounds) == instrument.buckets
        return rows


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Providers of the SDK that keep everything in memory; what they measure must be in the table."""
    recorder = Strict()
    yield recorder
    recorder.metrics()
    recorder.close()


@pytest.fixture
def armed() -> Iterator[failpoints.Failpoints]:
    """Failpoints, to make things fail."""
    with failpoints.installed() as armed:
        yield armed
