"""Spans on OpenTelemetry's API: one for the start of each flow, and under it one for each attempt of a task.

The context of a flow is stored with the flow, so its spans belong together whichever process makes them. A span
contains correlation ids, names and counts; never a key's token, a payload, a state, or the text of an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any, Self, TypeAlias

from opentelemetry import trace as api
from opentelemetry.context import Context, attach, detach

import dwarf
from dwarf.observe.logs import Log, class_name, places

SCOPE = "dwarf"
FLOW_SPAN = "workflow"

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

_TRACE_PARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

log = Log("dwarf.observe")


class FlowSpan:
    """The span of a flow's start. It is exported only when the flow exists."""

    __slots__ = ("_span", "trace_parent")

    def __init__(self, span: api.Span) -> None:
        context = span.get_span_context()
        self._span = span
        self.trace_parent = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}" if context.is_valid else ""
        )

    def durable(self) -> None:
        """The flow is stored: end the span."""
        try:
            self._span.end()
        except Exception as error:  # noqa: BLE001 - a broken exporter must not fail the work
            _fault(error)


class TaskSpan:
    """The span of one attempt. Within its context, spans of the task are its children, in the task's threads too."""

    __slots__ = ("_context", "_span", "_token")

    def __init__(self, span: api.Span, context: Context) -> None:
        self._span = span
        self._context = api.set_span_in_context(span, context)
        self._token: Any = None

    def __enter__(self) -> Self:
        self._token = attach(self._context)
        return self

    def __exit__(self, et: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        detach(self._token)
        try:
            if e is not None:
                self._span.add_event("given up", {"reason": class_name(e)})
            self._span.end()
        except Exception as error:  # noqa: BLE001 - a broken exporter must not fail the work
            _fault(error)

    def event(self, name: str, attributes: Attributes) -> None:
        """An event in the attempt."""
        try:
            self._span.add_event(name, attributes)
        except Exception as error:  # noqa: BLE001 - a broken exporter must not fail the work
            _fault(error)

    def status(self, word: str) -> None:
        """The outcome of the attempt."""
        try:
            self._span.set_attribute("workflow.status", word)
        except Exception as error:  # noqa: BLE001 - a broken exporter must not fail the work
            _fault(error)

    def raised(self, error: BaseException) -> None:
        """The task raised an error. Its class and its place are recorded; its text is in the flow's history."""
        kind = class_name(error)
        try:
            self._span.add_event("exception", {"exception.type": kind, "exception.stacktrace": places(error)})
            self._span.set_status(api.StatusCode.ERROR, kind)
        except Exception as fault:  # noqa: BLE001 - a broken exporter must not fail the work
            _fault(fault)

    def failed(self, reason: str) -> None:
        """The attempt failed without an error of the task."""
        try:
            self._span.set_status(api.StatusCode.ERROR, reason)
        except Exception as fault:  # noqa: BLE001 - a broken exporter must not fail the work
            _fault(fault)


class Tracing:
    """Opens the spans of an engine."""

    __slots__ = ("_tracer",)

    def __init__(self, tracer: api.Tracer) -> None:
        self._tracer = tracer

    def flow(self, attributes: Attributes, caller: TaskSpan | None = None) -> FlowSpan | None:
        """Open the span of a new flow: under the attempt that calls it, otherwise as a root."""
        try:
            context = Context() if caller is None else caller._context
            return FlowSpan(self._tracer.start_span(FLOW_SPAN, context, attributes=attributes))
        except Exception as error:  # noqa: BLE001 - a broken exporter must not fail the work
            _fault(error)
            return None

    def attempt(self, name: str, trace_parent: str, attributes: Attributes) -> TaskSpan | None:
        """Open the span of an attempt, under the span of its flow."""
        try:
            context = context_of(trace_parent)
            return TaskSpan(self._tracer.start_span(name, context, attributes=attributes), context)
        except Exception as error:  # noqa: BLE001 - a broken exporter must not fail the work
            _fault(error)
            return None


@lru_cache(1024)
def context_of(trace_parent: str) -> Context:
    """The context that a ``traceparent`` text names; an empty one where it is malformed."""
    found = _TRACE_PARENT.fullmatch(trace_parent)
    if found is None:
        return Context()
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    remote = api.SpanContext(trace_id, span_id, is_remote=True, trace_flags=api.TraceFlags(flags))
    return api.set_span_in_context(api.NonRecordingSpan(remote), Context())


def tracing_of(provider: Any = None) -> Tracing | None:
    """The tracing of a tracer provider; None is the global one. None where there is no SDK behind it."""
    if provider is None or _is_stand_in(provider):
        provider = api.get_tracer_provider()
    if _is_stand_in(provider):
        return None
    tracer = provider.get_tracer(SCOPE, dwarf.__version__)
    return None if isinstance(tracer, api.NoOpTracer) else Tracing(tracer)


def _is_stand_in(provider: Any) -> bool:
    """Whether a provider is the API's own: one that does nothing, or passes on to a global one that is not set yet."""
    return isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider)


_faulty = False


def _fault(error: Exception) -> None:
    global _faulty  # noqa: PLW0603 - one line for the process, not one for each span
    if not _faulty:
        _faulty = True
        log.warning("spans cannot be recorded: %s", class_name(error))
