"""Events of one shard as metrics, spans and log lines. This is the one place that says what each event means.

Without a provider, every call here only checks a flag; without a log level, it only asks the logger.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dwarf.core.decision import Advance, Ask, Call, Decision, Fail, StartOver
from dwarf.core.keys import correlation_id
from dwarf.core.records import FlowRecord, NewFlow, StepRecord
from dwarf.engine.telemetry.health import Health
from dwarf.errors import ConfigError, DwarfError, StorageError
from dwarf.observe.logs import Log, class_name
from dwarf.observe.metrics import Metrics, metrics_of
from dwarf.observe.tracing import Attributes, FlowSpan, TaskSpan, Tracing, tracing_of
from dwarf.storage.operations.claim import Claimed
from dwarf.storage.sql.errors import Contention, FileGone, PayloadRefused, Unavailable
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.engine.shard.commit_requests import CommitResult

DEFAULT_LOGGER = "dwarf.engine"
_RECOVERED = {
    "owner_gone": "their owner is gone",
    "owner_silent": "their owner was not heard of",
    "lease_expired": "their lease has run out",
}


class Telemetry:
    """Where an engine reports. ``open`` looks for providers, so global providers may be set until then.

    ConfigError for an object that is no logger, or no provider of OpenTelemetry.
    """

    def __init__(self, logger: Any = None, meter_provider: Any = None, tracer_provider: Any = None) -> None:
        _check(logger, "logger", "isEnabledFor")
        _check(meter_provider, "meter_provider", "get_meter")
        _check(tracer_provider, "tracer_provider", "get_tracer")
        self.log = Log(DEFAULT_LOGGER if logger is None else logger)
        self.metrics = Metrics()
        self.tracing: Tracing | None = None
        self._providers = (meter_provider, tracer_provider)

    def replace(self, meter_provider: Any, tracer_provider: Any) -> None:
        """Report to other providers, once ``open`` has found them; None keeps one. ConfigError."""
        _check(meter_provider, "meter_provider", "get_meter")
        _check(tracer_provider, "tracer_provider", "get_tracer")
        meters, tracers = self._providers
        self._providers = (meter_provider or meters, tracer_provider or tracers)

    def open(self) -> None:
        """Find the providers."""
        meter_provider, tracer_provider = self._providers
        self.metrics = metrics_of(meter_provider)
        self.tracing = tracing_of(tracer_provider)


def _check(value: Any, what: str, method: str) -> None:
    if value is not None and not callable(getattr(value, method, None)):
        raise ConfigError(f"{what} has no method {method}: {type(value).__name__} is not of the right kind")


class Watch(AbstractContextManager["Watch"]):
    """One attempt of a step, from its start until its outcome is stored."""

    __slots__ = ("_watches", "began", "ended", "raised", "span", "step")

    def __init__(self, step: StepRecord, span: TaskSpan | None, watches: dict[int, Watch]) -> None:
        self.step = step
        self.span = span
        self.began = time.monotonic()
        self.ended = self.began
        self.raised = False
        self._watches = watches

    def __enter__(self) -> Self:
        self._watches[id(self.step)] = self
        if self.span is not None:
            self.span.__enter__()
        return self

    def __exit__(self, et: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        del self._watches[id(self.step)]
        if self.span is not None:
            self.span.__exit__(et, e, tb)


class ShardTelemetry:
    """The events of one shard."""

    def __init__(self, telemetry: Telemetry, shard: int, margin_ms: int, health: Health) -> None:
        self.log = telemetry.log
        self._gone = False  # whether the loss of the database's file has been logged
        self.listen(telemetry)
        self._health = health
        self._margin_ms = margin_ms
        self._number = shard
        self._shard = str(shard)
        self._watches: dict[int, Watch] = {}  # by the identity of the step's record

    def listen(self, telemetry: Telemetry) -> None:
        """Report to the providers that were found. Attempts in flight keep their earlier providers."""
        self.metrics = telemetry.metrics
        self.tracing = telemetry.tracing
        self.active = self.metrics.active or self.tracing is not None

    # ------------------------------------------------------------------ flows

    def new_flow(self, flow: NewFlow, caller: StepRecord | None = None) -> None:
        """A flow is about to be inserted: its spans belong to the trace that begins here, or to its caller's trace."""
        if self.tracing is None:
            return
        record = flow.record
        watch = None if caller is None else self._watches.get(id(caller))
        attributes = {"workflow.name": record.workflow_url, "workflow.id": self._flow(record.flow_id), **_told(record)}
        span = self.tracing.flow(attributes, None if watch is None else watch.span)
        if span is not None:
            record.trace_parent = span.trace_parent
            flow.note = span

    def new_copy(self, rows: Sequence[dict[str, Any]], root_id: int) -> FlowSpan | None:
        """The rows of a copied tree are about to be inserted: a new trace begins."""
        if self.tracing is None:
            return None
        root = next(row for row in rows if row["flow_id"] == root_id)
        span = self.tracing.flow({"workflow.name": root["workflow_url"], "workflow.id": self._flow(root_id)})
        for row in rows:
            row["trace_parent"] = "" if span is None else span.trace_parent
        return span

    def copied(self, rows: Sequence[Mapping[str, Any]], span: FlowSpan | None) -> None:
        """A copy is durable. Ended flows in it are only history."""
        if span is not None:
            span.durable()
        for row in rows:
            if not Status(row["status"]).terminal:
                name, status = self._flow(row["flow_id"]), str(row["status"])
                workflow = row["workflow_url"]
                self.metrics.count("flows_started", 1, workflow, self._shard)
                self.log.info("flow %s is %s", name, status, flow=name, status=status, workflow=workflow)

    def committed(self, group: CommitResult) -> None:
        """A group is durable."""
        if self.log.wants(logging.INFO):
            self._log_changes(group)
        if self.active:
            now = time.monotonic()
            for flow in group.flows:
                if isinstance(flow.note, FlowSpan):
                    flow.note.durable()
            for decision, handed in group.decided:
                watch = self._watches.get(id(decision.step))
                if watch is not None and watch.span is not None:
                    _tell(watch, watch.span, decision, landed=handed is not None)
                if watch is not None and handed is not None:
                    self.metrics.record("db_phase_seconds", now - watch.ended, "exit")
            if self.metrics.active:
                self._count(group)

    def _log_changes(self, group: CommitResult) -> None:
        said = [(flow.record.flow_id, "running", flow.record.workflow_url) for flow in group.flows]
        said += [(flow_id, "running", "") for flow_id in group.resumed]
        said += [(stop.flow_id, str(stop.status), stop.workflow) for stop in group.stops]
        for flow_id, status, workflow in said:
            name = self._flow(flow_id)
            fields = {"workflow": workflow} if workflow else {}
            self.log.info("flow %s is %s", name, status, flow=name, status=status, **fields)
        if self.log.wants(logging.DEBUG):
            for decision, handed in group.decided:
                name, step = self._flow(decision.step.flow.flow_id), decision.step
                status = status_of(decision) if handed is not None else "fenced out"
                self.log.debug(
                    "step %s of flow %s is %s", step.node, name, status, flow=name, task=step.node, status=status
                )

    def _count(self, group: CommitResult) -> None:
        metrics, shard = self.metrics, self._shard
        metrics.record("commit_group_size", len(group.results), shard)
        metrics.record("commit_duration_seconds", group.seconds, shard)
        for workflow, count in Counter(flow.record.workflow_url for flow in group.flows).items():
            metrics.count("flows_started", count, workflow, shard)
        ended = Counter((stop.workflow, str(stop.status)) for stop in group.stops if stop.status.terminal)
        for (workflow, status), count in ended.items():
            metrics.count("flows_terminated", count, workflow, status, shard)
        executed: Counter[tuple[str, str]] = Counter()
        handed_over = len(group.woken) + sum(
            flow.entry.leased and not flow.record.parent_step_id for flow in group.flows
        )
        for decision, handed in group.decided:
            step = decision.step
            executed[step.node, "" if handed is None else status_of(decision)] += 1
            if handed is not None:
                handed_over += len(handed.steps) + (handed.woken is not None)
                left = step.claimed_at + step.time_budget_ms + self._margin_ms - group.now
                metrics.record("lease_remaining_seconds", max(0, left) / 1000)
        for (task, status), count in executed.items():
            if status:
                metrics.count("steps_executed", count, task, status, shard)
            else:
                metrics.count("steps_fenced", count, task, shard)
        if handed_over:
            metrics.count("steps_handed_over", handed_over, shard)
        self._count_read(group.read)
        for (workflow, column), size in (group.written or {}).items():
            metrics.count("state_write_bytes", size, workflow, column)

    # ------------------------------------------------------------------ steps

    def attempt(self, step: StepRecord) -> Watch:
        """A step is about to run. A context manager around its whole processing."""
        span = None
        if self.tracing is not None:
            flow = step.flow
            attributes: Attributes = {
                "workflow.id": self._flow(flow.flow_id),
                "workflow.name": flow.workflow_url,
                "workflow.task": flow.plan.nodes[step.node].url,
                "workflow.step_id": step.step_id,
                "workflow.attempt": step.attempt,
                **_told(flow),
            }
            span = self.tracing.attempt(step.node, flow.trace_parent, attributes)
            if span is not None and step.answers:
                last = step.answers[-1]
                span.event("resumed", {"kind": last.kind, "answers": len(step.answers), "timed_out": last.timed_out})
        return Watch(step, span, self._watches)

    def task_ended(self, step: StepRecord, error: BaseException | None) -> None:
        """A task has returned, parked or raised."""
        if error is not None and self.log.wants(logging.INFO):
            flow, kind = self._flow(step.flow.flow_id), class_name(error)
            self.log.info(
                "task %s of flow %s has raised %s",
                step.node,
                flow,
                kind,
                flow=flow,
                task=step.node,
                attempt=step.attempt,
                error=kind,
            )
        watch = self._watches.get(id(step)) if self.active else None
        if watch is not None:
            watch.ended = time.monotonic()
            self.metrics.record("task_duration_seconds", watch.ended - watch.began, step.node)
            if error is not None and watch.span is not None:
                watch.raised = True
                watch.span.raised(error)

    def worker_lost(self, step: StepRecord, error: Exception) -> None:
        """The process in which a host ran a task is gone; the step runs again."""
        flow = self._flow(step.flow.flow_id)
        self.log.warning("step %s of flow %s is run again: %s", step.node, flow, error, flow=flow)

    def poisoned(self, step: StepRecord) -> None:
        """A step fails because its runs crash their process."""
        flow = self._flow(step.flow.flow_id)
        self.log.warning("step %s of flow %s is given up: it has crashed too often", step.node, flow, flow=flow)
        self.metrics.count("steps_poisoned", 1, step.node)

    def claimed(self, claimed: Claimed, seconds: float) -> None:
        """The dispatcher has searched for work."""
        if not self.metrics.active:
            return
        if claimed.steps:
            self.metrics.record("db_phase_seconds", seconds, "enter")
            self.metrics.count("steps_claimed", len(claimed.steps), self._shard)
        if claimed.lost:
            self.metrics.count("steps_claim_lost", claimed.lost, self._shard)
        self._count_read(claimed.read)

    def _count_read(self, read: Sequence[tuple[str, int, int, int]]) -> None:
        sizes: Counter[tuple[str, str]] = Counter()
        for workflow, *lengths in read:
            for column, length in zip(("state", "changes", "answers"), lengths, strict=True):
                sizes[workflow, column] += length
        for (workflow, column), size in sizes.items():
            self.metrics.count("state_read_bytes", size, workflow, column)

    def recovered(self, count: int, reason: str) -> None:
        """Leases were taken back, for this reason: owner_gone, owner_silent or lease_expired."""
        steps = "1 step is" if count == 1 else f"{count} steps are"
        why = _RECOVERED[reason] if count > 1 else _RECOVERED[reason].replace("their", "its")
        self.log.warning("shard %s: %s run again, %s", self._shard, steps, why, shard=self._number)
        self.metrics.count("steps_recovered", count, reason)

    # ------------------------------------------------------------------ faults

    def write_retried(self, pause: float, error: StorageError) -> None:
        """The database refused a write, which is tried again after a pause."""
        self.log.warning("the database did not take a write, next try in %s s: %s", pause, error, shard=self._number)
        self.database_error(error)
        self.metrics.count("steps_write_retried", 1, self._shard)

    def write_failed(self, step: StepRecord, error: BaseException) -> None:
        """A step fails because its outcome cannot be stored."""
        flow = self._flow(step.flow.flow_id)
        self.log.error(
            "step %s of flow %s fails, because its outcome could not be stored: %s",
            step.node,
            flow,
            words_of(error),
            flow=flow,
            task=step.node,
        )
        self.metrics.count("steps_write_failed", 1, step.node)

    def write_abandoned(self, step: StepRecord, error: BaseException) -> None:
        """A step's outcome could not be stored; the step will run again."""
        flow = self._flow(step.flow.flow_id)
        self.log.error(
            "the outcome of step %s of flow %s could not be stored, and it will run again: %s",
            step.node,
            flow,
            words_of(error),
            flow=flow,
            task=step.node,
        )
        self.metrics.count("steps_write_abandoned", 1, step.node)

    def database_error(self, error: BaseException) -> None:
        """The database has failed. Whether the operation is tried again is decided elsewhere."""
        self._health.failed(error)
        if self.metrics.active and isinstance(error, StorageError):
            self.metrics.count("db_errors", 1, self._shard, error_class(error))

    def fault(self, message: str, error: BaseException, *values: object, **fields: object) -> None:
        """An unexpected error: of the database, or a fault of the engine."""
        self.database_error(error)
        if isinstance(error, FileGone):
            if not self._gone:  # logged once: everything else fails for the same reason
                self._gone = True
                self.log.error("%s", error)
        elif isinstance(error, DwarfError):
            self.log.error(f"{message}: %s", *values, error, **fields)  # noqa: G004 - it is a constant of ours
        else:
            self.log.fault(message, error, *values, **fields)

    def _flow(self, flow_id: int) -> str:
        return correlation_id(self._number, flow_id)


def status_of(decision: Decision) -> str:
    """The word for a decision in logs, spans and counts."""
    match decision:
        case Advance():
            return "error_routed" if decision.error_routed else "completed"
        case Fail():
            return "failed"
        case StartOver():
            return "retried"
        case Ask():
            return "interrupted"
        case Call():
            return "subgraph"
        case _:
            return "completed"


def error_class(error: StorageError) -> str:
    """The word for a class of the database's errors."""
    for kind, word in ((Contention, "contention"), (Unavailable, "unavailable"), (PayloadRefused, "payload")):
        if isinstance(error, kind):
            return word
    return "unknown"


def words_of(error: BaseException) -> str:
    """The text of an error for logs: of our own errors, which hold no data; of other errors only the class."""
    return str(error) if isinstance(error, DwarfError) else class_name(error)


def _tell(watch: Watch, span: TaskSpan, decision: Decision, *, landed: bool) -> None:
    """Set the outcome of an attempt on its span."""
    if not landed:
        span.status("fenced")
        return
    span.status(status_of(decision))
    match decision:
        case Ask():
            timeout = {} if decision.timeout_ms is None else {"timeout_ms": decision.timeout_ms}
            span.event("interrupt", timeout)
        case Call():
            child = decision.child.record
            name = correlation_id(child.shard, child.flow_id)
            span.event("subgraph", {"workflow.id": name, "workflow.name": child.workflow_url})
        case StartOver():
            span.event("retry", {"delay_ms": decision.delay_ms})
        case Advance() if decision.delay_ms:
            span.event("delay", {"delay_ms": decision.delay_ms})
        case Fail() if not watch.raised:
            span.failed("the step failed")


def _told(flow: FlowRecord) -> dict[str, str]:
    """The name and the tags of a flow as attributes of a span."""
    named = {"workflow.flow_name": flow.name} if flow.name else {}
    return {**named, **{f"workflow.tag.{tag}": value for tag, value in flow.tags.items()}}
