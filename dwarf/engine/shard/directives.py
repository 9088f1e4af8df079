"""Settings of a shard that any engine may change for all of them: hooks, and breakpoints of running flows."""

from __future__ import annotations

from collections.abc import Mapping

from dwarf.core.breakpoints import Breakpoints
from dwarf.core.records import StepRecord
from dwarf.engine.config import Settings
from dwarf.engine.shard.committer import Committer
from dwarf.engine.shard.plans import Frozen
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.breakpoints import read_changed
from dwarf.storage.operations.hooks import put_hooks, read_hooks
from dwarf.storage.operations.unit_of_work import Hook, WriterIdentity

MOST_POINTS = 10_000  # flows whose breakpoints are remembered


class Directives:
    """The hooks and breakpoints of one shard, as last read. The writer holds the hooks, as it creates their flows."""

    def __init__(self, database: Database, writer: WriterIdentity, committer: Committer, settings: Settings) -> None:
        self._database = database
        self._writer = writer
        self._committer = committer
        self._settings = settings
        self._points: dict[int, Breakpoints] = {}  # flows whose breakpoints were changed recently
        self._points_since = 0
        self._taken: dict[int, int] = {}  # by flow, the number of the commit here that has changed them last
        self._commits = 0

    def breakpoints(self, step: StepRecord) -> Breakpoints | None:
        """The breakpoints of a step's flow, as last read here."""
        flow = step.flow
        if flow.breakpoints is None and not self._points:  # as nearly all
            return None
        return self._points.get(flow.flow_id) or flow.breakpoints

    def take(self, points: Mapping[int, Breakpoints]) -> None:
        """Follow what a commit of this engine has changed, before the steps that it wakes begin."""
        self._commits += 1
        self._taken |= dict.fromkeys(points, self._commits)
        self._remember(points)

    async def set_hooks(self, wanted: Mapping[str, tuple[str, Frozen]]) -> None:
        """Store exactly these hooks in the database: for each event, its workflows with URL and graph."""
        settings = self._settings
        rows = [
            Hook(
                event=event,
                workflow_url=url,
                graph_hash=frozen.graph_hash,
                priority=settings.default_priority,
                time_budget_ms=settings.time_budget_ms,
            )
            for event, (url, frozen) in sorted(wanted.items())
        ]
        bodies = {frozen.graph_hash: frozen.body for _, frozen in wanted.values()}
        await self._committer.call(lambda work: put_hooks(rows, bodies, work))
        await self.refresh()

    async def refresh(self) -> None:
        """Read the changes since the last call."""
        self._writer.hooks = await self._database.read(read_hooks)
        since, commits = self._points_since, self._commits
        found, self._points_since = await self._database.read(lambda: read_changed(since))
        # what was committed here meanwhile is newer than what was read
        self._remember({flow: points for flow, points in found.items() if self._taken.get(flow, 0) <= commits})

    def _remember(self, points: Mapping[int, Breakpoints]) -> None:
        self._points |= points
        while len(self._points) > MOST_POINTS:
            oldest = next(iter(self._points))
            del self._points[oldest]
            self._taken.pop(oldest, None)
