"""Every metric of the engine, in one table. ``python -m dwarf.observe.instruments`` prints it as the docs have it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "histogram", "gauge"]
Merge: TypeAlias = Literal["sum", "max"]

PREFIX = "dwarf_"

QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
LEASES = (0.0, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 150.0, 300.0, 600.0, 1800.0)
COUNTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric. Label values are strings.

    ``merge`` says how the values of several engines of one process, and of several replicas, are put together: the
    values of a sum are parts of a whole, while each replica reports the whole where it is max.
    """

    key: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    description: str
    buckets: tuple[float, ...] = ()
    merge: Merge = "sum"

    @property
    def name(self) -> str:
        """The name it is exported under; Prometheus appends ``_total`` to a counter's."""
        return PREFIX + self.key


def _counter(key: str, unit: str, labels: str, description: str) -> Instrument:
    return Instrument(key, "counter", unit, tuple(labels.split()), description)


def _histogram(key: str, unit: str, labels: str, buckets: tuple[float, ...], description: str) -> Instrument:
    return Instrument(key, "histogram", unit, tuple(labels.split()), description, buckets)


def _gauge(key: str, unit: str, labels: str, merge: Merge, description: str) -> Instrument:
    return Instrument(key, "gauge", unit, tuple(labels.split()), description, merge=merge)


INSTRUMENTS: tuple[Instrument, ...] = (
    _counter("flows_started", "{flow}", "workflow shard", "Flows created, child flows included"),
    _counter(
        "flows_terminated",
        "{flow}",
        "workflow status shard",
        "Flows that have completed, failed or been cancelled, child flows included",
    ),
    _counter(
        "steps_executed",
        "{step}",
        "task_name status shard",
        "Attempts whose outcome is stored: completed, error_routed, failed, interrupted, subgraph or retried",
    ),
    _counter(
        "steps_fenced",
        "{step}",
        "task_name shard",
        "Outcomes discarded because the step had meanwhile been cancelled, or given to somebody else",
    ),
    _counter(
        "steps_recovered",
        "{step}",
        "reason",
        "Steps taken back from an owner that has ended (owner_gone), was not heard (owner_silent), or is slower than "
        "its lease (lease_expired)",
    ),
    _counter(
        "steps_poisoned",
        "{step}",
        "task_name",
        "Steps failed because their task has taken its process down max_crashes times",
    ),
    _counter(
        "steps_write_retried",
        "{transaction}",
        "shard",
        "Commits that the database did not take at first and that were tried again",
    ),
    _counter(
        "steps_write_failed",
        "{step}",
        "task_name",
        "Steps failed because the database refuses what they returned",
    ),
    _counter(
        "steps_write_abandoned",
        "{step}",
        "task_name",
        "Outcomes given up because the database stayed away as long as the lease; these steps run again",
    ),
    _counter("steps_claimed", "{step}", "shard", "Steps leased by looking for work in the database"),
    _counter(
        "steps_handed_over",
        "{step}",
        "shard",
        "Steps leased together with the outcome before them, or the creation of their flow, without looking for work",
    ),
    _counter("peer_changes", "{change}", "shard", "The number of engines that live on the shard was seen to change"),
    _counter("steps_claim_lost", "{step}", "shard", "Due steps found that somebody else took first"),
    _counter(
        "state_write_bytes",
        "By",
        "workflow column",
        "Payload written while steps run, as JSON text: state, changes, interrupt",
    ),
    _counter(
        "state_read_bytes",
        "By",
        "workflow column",
        "Payload read when steps are claimed, as JSON text: state, changes, answers",
    ),
    _counter(
        "db_errors",
        "{error}",
        "shard class",
        "Errors of the database: contention, unavailable, payload or unknown",
    ),
    _histogram(
        "commit_group_size",
        "{job}",
        "shard",
        COUNTS,
        "Outcomes and operations that share one transaction",
    ),
    _histogram(
        "commit_duration_seconds",
        "s",
        "shard",
        QUICK,
        "One commit of a group, from its first statement to its acknowledgement",
    ),
    _histogram(
        "db_phase_seconds",
        "s",
        "role",
        QUICK,
        "The database around a task: a claim that found work (enter), and from the task's end until its outcome is "
        "stored (exit)",
    ),
    _histogram("task_duration_seconds", "s", "task_name", LONG, "One attempt of a task"),
    _histogram(
        "lease_remaining_seconds",
        "s",
        "",
        LEASES,
        "What is left of a step's lease when its outcome is stored",
    ),
    _histogram(
        "event_loop_lag_seconds",
        "s",
        "",
        QUICK,
        "How late the engine's event loop comes to a timer, four times a second while tasks are in flight",
    ),
    _gauge("steps_pending", "{step}", "priority", "max", "Due steps, over all shards; read every 15 s"),
    _gauge(
        "steps_oldest_pending_age_seconds",
        "s",
        "priority",
        "max",
        "How long the step that waits longest has been due; read every 15 s",
    ),
    _gauge(
        "steps_fairness_keys",
        "{key}",
        "priority",
        "max",
        "Fairness keys with due steps; a key counts once on each shard; read every 15 s",
    ),
    _gauge(
        "commit_queue_depth",
        "{job}",
        "shard",
        "sum",
        "Outcomes and operations that wait for the next transaction",
    ),
    _gauge(
        "db_connections",
        "{connection}",
        "shard state",
        "sum",
        "Connections to a database server: busy, idle, and waiting for one (transactions that cannot begin yet)",
    ),
    _gauge(
        "tasks_in_flight",
        "{task}",
        "kind",
        "sum",
        "Tasks running now: async on the event loop, sync in threads",
    ),
    _gauge("task_concurrency_running", "{task}", "task_url", "sum", "Tasks running now, by the task's URL"),
    _gauge("peer_replicas", "{engine}", "shard", "max", "Engines that live on the shard, as this one sees it"),
    _gauge(
        "peer_blind_seconds",
        "s",
        "shard",
        "max",
        "How long ago the engines on the shard were last counted; over a few seconds it does not answer",
    ),
    _gauge(
        "sync_threads_overrun",
        "{thread}",
        "",
        "sum",
        "Threads still busy with a task that has timed out, and whose result will be discarded",
    ),
)

BY_KEY = {instrument.key: instrument for instrument in INSTRUMENTS}

# What other engines of this kind measure and this one does not, without the prefix, and the reason.
NOT_MEASURED: dict[str, str] = {
    "steps_unwedged flows_orphaned": (
        "The states they count cannot arise: a child's end and its caller's return are one transaction, and so are a "
        "step's end and its successor."
    ),
    (
        "refill_candidates_selected refill_candidates_discarded refill_query_duration_seconds "
        "refill_tally_age_seconds steps_queue_depth steps_offered steps_claim_preempted"
    ): (
        "There is no cache of candidates. Due steps are found and leased in one transaction (`steps_claimed`, "
        "`db_phase_seconds`) or handed over in memory (`steps_handed_over`)."
    ),
    "steps_stolen": (
        "Work is not divided between replicas beforehand: each takes what is due, so there is nothing to steal."
    ),
    ("turnstile_gate_wait_seconds turnstile_wait_seconds turnstile_available turnstile_waiting db_phase_workers"): (
        "One committer for each shard writes for all steps. Its queue is `commit_queue_depth`, the wait for it "
        "`db_phase_seconds` with the role exit."
    ),
    "workers_resident": "No workers wait for work: a step in flight is a coroutine. See `tasks_in_flight`.",
    "state_in_flight_bytes state_in_flight_steps": (
        "States in memory are shared objects, not texts with a length. The number of steps is the sum of "
        "`tasks_in_flight`."
    ),
    "sequel_*": (
        "Instruments of a database library that is not used here. See `commit_duration_seconds`, `db_errors` and "
        "`db_connections`."
    ),
}


def table() -> str:
    """The instruments as a Markdown table."""
    rows = ["| name | kind | unit | labels | replicas | meaning |", "|---|---|---|---|---|---|"]
    rows += [
        f"| `{item.name}` | {item.kind} | {item.unit} | {', '.join(item.labels)} | {item.merge} | {item.description} |"
        for item in INSTRUMENTS
    ]
    return "\n".join(rows) + "\n"


def not_measured() -> str:
    """What is left out, and why, as a Markdown table."""
    rows = ["| not measured | why |", "|---|---|"]
    rows += [f"| {', '.join(f'`{name}`' for name in names.split())} | {why} |" for names, why in NOT_MEASURED.items()]
    return "\n".join(rows) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Print the table of the instruments (``--table``, the default), or of what is left out (``--not-measured``)."""
    sys.stdout.write(not_measured() if "--not-measured" in arguments else table())


if __name__ == "__main__":
    main(sys.argv[1:])
