"""What follows a commit in this process: waiters, watchers and loops are woken, other processes are notified."""

from __future__ import annotations

from dwarf import failpoints
from dwarf.engine.shard.commit_requests import CommitResult
from dwarf.engine.shard.context import EngineContext
from dwarf.engine.shard.directives import Directives
from dwarf.engine.shard.dispatcher import Dispatcher
from dwarf.engine.shard.peers import Notifier
from dwarf.engine.shard.priority_ceilings import Precedence
from dwarf.engine.shard.runner import Runner
from dwarf.engine.shard.scheduler import Scheduler
from dwarf.engine.shard.waiters import TreeWatchers, Waiters
from dwarf.engine.telemetry.events import ShardTelemetry


class AfterCommit:
    """Receives each group that the committer of one shard has made durable."""

    def __init__(
        self,
        context: EngineContext,
        *,
        waiters: Waiters,
        trees: TreeWatchers,
        directives: Directives,
        runner: Runner,
        dispatcher: Dispatcher,
        precedence: Precedence,
        scheduler: Scheduler,
        notifier: Notifier,
        telemetry: ShardTelemetry,
    ) -> None:
        self._context = context
        self._waiters = waiters
        self._trees = trees
        self._directives = directives
        self._runner = runner
        self._dispatcher = dispatcher
        self._precedence = precedence
        self._scheduler = scheduler
        self._notifier = notifier
        self._observing = telemetry

    def committed(self, group: CommitResult) -> None:
        """Handle a durable group: wake the waiters of its flows, and the dispatcher if work became due."""
        if group.points:
            self._directives.take(group.points)
        for flow_id in group.resumed:
            self._waiters.goes_on(flow_id)
        self._scheduler.flows_stopped(group.stops)
        if group.stops:
            self._runner.ended([stop.flow_id for stop in group.stops if stop.status.terminal])
        for stop in group.stops:
            if failpoints.active is None or not failpoints.active.lost("dropStop", [stop.flow_id]):
                self._waiters.stopped(stop)
        self._observing.committed(group)
        if group.work_due and (failpoints.active is None or not failpoints.active.lost("dropDoorbell")):
            self._dispatcher.wake()
        self._trees.announce(group.moved)
        if self._notifier.active:
            context = self._context
            # a step that this replica starts itself needs no notification
            busy = self._precedence.backlogged or not context.settings.workers or context.draining
            self._notifier.notify(group.work_due and busy, group.stops, group.due_step)
