"""What does a lab look like as the last line of a cell? How many flows of each status, what waits, what runs."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dwarf.notebook.pictures.formatting import brief, plural
from dwarf.notebook.pictures.palette import look_of
from dwarf.notebook.pictures.views import is_stop, where_stopped
from dwarf.notebook.prompts.prompt import title_of
from dwarf.workflow.schemas import find_schema
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.engine import Engine
    from dwarf.workflow.results import FlowSummary, Step

__all__ = ["Summary", "public_key", "read_summary"]

_MOST = 5  # questions, and flows that run, by name


@dataclass(frozen=True)
class Summary:
    """A lab in short."""

    counts: Counter[Status] = field(default_factory=Counter)
    waiting: Sequence[tuple[str, str, str]] = ()  # workflow, title, and what tells questions apart
    running: Sequence[tuple[str, str]] = ()  # workflow, node
    stopped: Sequence[tuple[str, str]] = ()  # workflow, and at which breakpoint

    @property
    def waits(self) -> int:
        """How many flows wait for an answer, less those that are known to stand at a breakpoint."""
        return max(self.counts[Status.INTERRUPTED] - len(self.stopped), 0)

    def lines(self) -> list[str]:
        """In words, a line each."""
        found = [f"{look_of(str(each)).sign} {count:,} {look_of(str(each)).word}" for each, count in self.counted()]
        found += (
            [f"{look_of('interrupted').sign} {len(self.stopped):,} stopped at a breakpoint"] if self.stopped else []
        )
        told = [", ".join(found) or "no flows yet"]
        told += [f"waits: {title} ({workflow})" for workflow, title, _ in self.waiting]
        told += [f"{where} ({workflow})" for workflow, where in self.stopped]
        more = self.waits - len(self.waiting)
        told += [f"waits: {plural(more, 'further question')}; lab.inbox() has them all"] if more > 0 else []
        told += [f"runs: {workflow}{f', at {node}' if node else ''}" for workflow, node in self.running]
        return told

    def counted(self) -> list[tuple[Status, int]]:
        """How many flows have each status; those of ``stopped`` are in none."""
        counts = {**self.counts, Status.INTERRUPTED: self.waits}
        return [(status, counts[status]) for status in Status if counts.get(status)]

    def page(self, head: str) -> str:
        """As HTML without scripts."""
        rows = "".join(f"<div>{html.escape(line)}</div>" for line in self.lines())
        return f"<div><b>{html.escape(head)}</b>{rows}</div>"


async def read_summary(engine: Engine) -> Summary:
    """Read it: counts, and of what waits and runs the newest few."""
    counts: Counter[Status] = Counter()
    for shard in await engine.shards():
        counts.update(shard.flows)
    waiting, stopped = [], []
    for flow in await _newest(engine, Status.INTERRUPTED):
        steps = await engine.flow(flow.flow_key).interrupts()
        if where := where_stopped(steps):
            stopped.append((flow.workflow_name, where))
            continue
        asked = [step for step in steps if not is_stop(step.interrupt_payload)]
        waiting += [(flow.workflow_name, brief(_title(step), 80), public_key(step.key)) for step in asked]
    running = [(flow.workflow_name, flow.node) for flow in await _newest(engine, Status.RUNNING)]
    return Summary(counts, waiting[:_MOST], running, stopped)


def public_key(key: str) -> str:
    """A key without its secret part: it tells flows and steps apart, and grants nothing."""
    return "-".join(key.split("-", 2)[:2])


def _title(step: Step) -> str:
    payload = step.interrupt_payload or {}
    return title_of(payload, find_schema(payload), step.node)


async def _newest(engine: Engine, status: Status) -> list[FlowSummary]:
    return [flow async for flow in engine.flows(status=status, limit=_MOST)]
