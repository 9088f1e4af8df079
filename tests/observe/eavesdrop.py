"""A pytest plugin that measures every engine of a run, and searches what they report when they close.

pytest -p tests.observe.eavesdrop tests/flows
"""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dwarf.engine.lifecycle import EngineBase
from dwarf.engine.telemetry.events import Telemetry
from dwarf.engine.telemetry.gauges import Gauges
from dwarf.errors import DwarfError
from dwarf.observe.memory import Recorder
from tests.observe.searching import found, reported, secrets_of
from tests.observe.tools import Lines

_start, _aclose = EngineBase.start, EngineBase.aclose
_counts = {"engines": 0, "characters": 0, "secrets": 0}


@pytest.fixture(autouse=True)
def eavesdropping(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have each engine of a test report here, and fail the test where a secret is among it."""
    recorder, lines = Recorder(), Lines()
    logger = logging.getLogger("dwarf")
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    tokens: set[str] = set()
    texts: set[str] = set()

    async def start(engine: EngineBase) -> None:
        if engine._context is None:
            engine._telemetry = Telemetry(None, recorder.meter_provider, recorder.tracer_provider)
        await _start(engine)

    async def aclose(engine: EngineBase, **options: Any) -> None:
        if engine._started:
            try:
                if engine._gauges is not None:
                    await engine._gauges.refresh()
                more_tokens, more_texts = await secrets_of(engine)  # type: ignore[arg-type]
                tokens.update(more_tokens)
                texts.update(more_texts)
                _counts["engines"] += 1
            except DwarfError:
                pass  # a test has taken the database away
        await _aclose(engine, **options)

    async def stay(census: Gauges) -> None:
        """Read the databases at the end only: some tests count statements."""

    monkeypatch.setattr(Gauges, "_run", stay)
    monkeypatch.setattr(EngineBase, "start", start)
    monkeypatch.setattr(EngineBase, "aclose", aclose)
    yield
    logger.removeHandler(lines)
    logger.setLevel(level)
    text = reported(recorder, lines)
    _counts["characters"] += len(text)
    _counts["secrets"] += len(tokens) + len(texts)
    recorder.close()
    assert found(tokens, texts, text) == []


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much was looked at."""
    terminalreporter.write_line("eavesdropped: " + ", ".join(f"{count} {what}" for what, count in _counts.items()))
