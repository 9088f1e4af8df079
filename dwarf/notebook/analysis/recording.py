"""What does a lab measure? Nothing, until somebody asks for spans or metrics; then both, in memory, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dwarf.errors import ConfigError
from dwarf.notebook.analysis.metrics_view import MetricsTable
from dwarf.notebook.analysis.tracing import Trace
from dwarf.observe.memory import Recorder

if TYPE_CHECKING:
    from dwarf.notebook.run import Run
    from dwarf.notebook.services import LabServices

__all__ = ["Recording"]


class Recording:
    """The spans and metrics of one lab. ``settings`` are those its engine was given."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._given = {name: settings.get(name) for name in ("tracer_provider", "meter_provider")}
        self.recorder: Recorder | None = None
        self.since: datetime | None = None
        self.shown: MetricsTable | None = None  # the table that is being refreshed

    def start(self) -> dict[str, Any]:
        """Record from now on. What the engine has to be given; nothing where it records already.

        With a tracer provider of the SDK, given to the lab or set for the program, it is listened to, so that the
        program's own spans are seen, too. ConfigError without opentelemetry-sdk.
        """
        if self.recorder is not None:
            return {}
        provider = self._given["tracer_provider"] or _global("trace", "get_tracer_provider", "add_span_processor")
        recorder = self.recorder = Recorder(provider)
        self.since = datetime.now(UTC)
        new = {"tracer_provider": recorder.tracer_provider}
        return new if self._metered_elsewhere() else {**new, "meter_provider": recorder.meter_provider}

    def trace(self, lab: LabServices, find: Callable[[], Run]) -> Trace:
        """The spans of a flow, so far. ``find`` is called when they are recorded."""
        switched_on = self.ensure(lab)
        run = find()
        assert self.recorder is not None
        assert self.since is not None
        spans = [] if switched_on else self.recorder.flow(run.key.rpartition("-")[0])
        return Trace(run.graph.name, run.key, spans, run.status, self.since, full=self.recorder.full)

    def metrics(self, lab: LabServices) -> MetricsTable:
        """The metrics so far; shown in a cell, they go on. ConfigError where they go to somebody else."""
        if self._metered_elsewhere():
            raise ConfigError("the metrics of this lab go to the meter provider it was given: read them there")
        self.ensure(lab)
        assert self.recorder is not None
        return MetricsTable(self.recorder, lab, self)

    @property
    def tracer(self) -> Any:
        """A tracer for the program's own spans."""
        from opentelemetry import trace

        return trace.get_tracer("notebook", tracer_provider=self.recorder.tracer_provider if self.recorder else None)

    def ensure(self, lab: LabServices) -> bool:
        """Record, if that has not begun. Whether it begins now."""
        new = self.start()
        if new:
            lab.call(lab.engine.measure(**new))
        return bool(new)

    def close(self) -> None:
        """Record no more; what was recorded can still be shown."""
        if self.recorder is not None:
            self.recorder.close()

    def _metered_elsewhere(self) -> bool:
        return bool(self._given["meter_provider"] or _global("metrics", "get_meter_provider", "force_flush"))


def _global(part: str, get: str, sign: str) -> Any:
    """The provider that is set for the whole program, where it is one of the SDK; else None."""
    from importlib import import_module

    provider = getattr(import_module(f"opentelemetry.{part}"), get)()
    return provider if hasattr(provider, sign) else None
