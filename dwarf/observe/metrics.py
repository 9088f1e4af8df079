"""Metrics on OpenTelemetry's API. Without a provider no instrument is created, and counting does nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from opentelemetry import metrics as api

import dwarf
from dwarf.observe.instruments import BY_KEY, INSTRUMENTS, Instrument
from dwarf.observe.logs import Log

Reading: TypeAlias = tuple[tuple[str, ...], float]
"""One value of a gauge: its label values, in the order of the table, and the number."""

Read: TypeAlias = Callable[[], Iterable[Reading]]
Emit: TypeAlias = Callable[[float, dict[str, str]], None]

SCOPE = "dwarf"

log = Log("dwarf.observe")


class Metrics:
    """Where an engine counts. This class counts nothing; callers can check ``active`` before they prepare values."""

    active = False

    def count(self, key: str, amount: float, *labels: str) -> None:
        """Add to a counter. ``key`` is the name without prefix; label values come in the order of the table."""

    def record(self, key: str, value: float, *labels: str) -> None:
        """Add a value to a histogram."""

    def source(self, key: str, read: Read, owner: object = None) -> Callable[[], None]:
        """Have a gauge read from a function, which the exporter's thread calls: it must not block. Returns the end.

        Of several sources with one ``owner``, one is read.
        """
        return _nothing


class LiveMetrics(Metrics):
    """Counts with a provider. A fault of the provider is logged once, and never reaches the engine."""

    active = True

    def __init__(self, meter: Any) -> None:
        self._emits: dict[str, tuple[Emit, tuple[str, ...]]] = {}
        self._sources: dict[str, list[tuple[object, Read]]] = {}
        self._entry = Lock()
        self._faulty = False
        for instrument in INSTRUMENTS:
            if instrument.kind == "counter":
                made = meter.create_counter(instrument.name, instrument.unit, instrument.description)
                self._emits[instrument.key] = (made.add, instrument.labels)
            elif instrument.kind == "histogram":
                made = meter.create_histogram(
                    instrument.name,
                    instrument.unit,
                    instrument.description,
                    explicit_bucket_boundaries_advisory=list(instrument.buckets),
                )
                self._emits[instrument.key] = (made.record, instrument.labels)
            else:
                self._sources[instrument.key] = []
                meter.create_observable_gauge(
                    instrument.name, [self._callback(instrument)], instrument.unit, instrument.description
                )

    def count(self, key: str, amount: float, *labels: str) -> None:
        """Add to a counter."""
        self._emit(key, amount, labels)

    def record(self, key: str, value: float, *labels: str) -> None:
        """Add a value to a histogram."""
        self._emit(key, value, labels)

    def source(self, key: str, read: Read, owner: object = None) -> Callable[[], None]:
        """Add a function as a source of a gauge."""
        sources = self._sources[key]
        source = (read if owner is None else owner, read)
        with self._entry:
            sources.append(source)

        def stop() -> None:
            with self._entry:
                if source in sources:
                    sources.remove(source)

        return stop

    def _emit(self, key: str, value: float, labels: Sequence[str]) -> None:
        emit, names = self._emits[key]
        try:
            emit(value, dict(zip(names, labels, strict=True)))
        except Exception as error:  # noqa: BLE001 - counting must not fail the work
            self._fault(key, error)

    def _callback(self, instrument: Instrument) -> Callable[[api.CallbackOptions], list[api.Observation]]:
        sources = self._sources[instrument.key]

        def observe(options: api.CallbackOptions) -> list[api.Observation]:
            merged: dict[tuple[str, ...], float] = {}
            for read in {id(owner): read for owner, read in tuple(sources)}.values():
                try:
                    _merge(merged, read(), instrument)
                except Exception as error:  # noqa: BLE001 - one source must not silence the others
                    self._fault(instrument.key, error)
            return [
                api.Observation(value, dict(zip(instrument.labels, labels, strict=True)))
                for labels, value in merged.items()
            ]

        return observe

    def _fault(self, key: str, error: Exception) -> None:
        if not self._faulty:
            self._faulty = True
            log.warning("metrics cannot be recorded (first: %s): %s", BY_KEY[key].name, type(error).__name__)


_live: WeakKeyDictionary[Any, LiveMetrics] = WeakKeyDictionary()
_entry = Lock()
_SILENT = Metrics()


def metrics_of(provider: Any = None) -> Metrics:
    """The metrics of a meter provider; None is the global one. Without an SDK behind it they are silent.

    Engines with the same provider share them: a gauge is registered once, and adds up what its sources say.
    """
    if provider is None or _is_stand_in(provider):
        provider = api.get_meter_provider()
    if _is_stand_in(provider):
        return _SILENT
    with _entry:
        try:
            known = _live.get(provider)
        except TypeError:  # not hashable, or without weak references: then every engine has its own
            return _made(provider)
        if known is None:
            made = _made(provider)
            if isinstance(made, LiveMetrics):
                _live[provider] = made
            return made
        return known


def _made(provider: Any) -> Metrics:
    meter = provider.get_meter(SCOPE, dwarf.__version__)
    return _SILENT if isinstance(meter, api.NoOpMeter) else LiveMetrics(meter)


def _is_stand_in(provider: Any) -> bool:
    """Whether a provider is the API's own: a no-op, or a proxy for a global provider that is not set yet."""
    return type(provider).__module__.startswith("opentelemetry.metrics")


def _merge(merged: dict[tuple[str, ...], float], readings: Iterable[Reading], instrument: Instrument) -> None:
    for labels, value in readings:
        known = merged.get(labels)
        if known is None:
            merged[labels] = value
        else:
            merged[labels] = known + value if instrument.merge == "sum" else max(known, value)


def _nothing() -> None:
    pass
