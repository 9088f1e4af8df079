"""One shard in this process: assembling, starting and closing its services."""

from __future__ import annotations

from dwarf.core.step import DecisionContext, no_room
from dwarf.engine.shard.after_commit import AfterCommit
from dwarf.engine.shard.attempts import Attempts
from dwarf.engine.shard.committer import Committer
from dwarf.engine.shard.context import EngineContext
from dwarf.engine.shard.directives import Directives
from dwarf.engine.shard.dispatcher import Dispatcher
from dwarf.engine.shard.factory import FlowFactory
from dwarf.engine.shard.ids import IdAllocator, new_token
from dwarf.engine.shard.known_tasks import KnownTasks
from dwarf.engine.shard.maintenance import Maintenance
from dwarf.engine.shard.membership import Membership
from dwarf.engine.shard.orphaned_leases import OrphanedLeases
from dwarf.engine.shard.output import OutputBook
from dwarf.engine.shard.peers import Notifier
from dwarf.engine.shard.polling import ChangePoll
from dwarf.engine.shard.priority_ceilings import Precedence
from dwarf.engine.shard.progress import ProgressBook
from dwarf.engine.shard.recovery import LeaseRecovery
from dwarf.engine.shard.runner import Runner
from dwarf.engine.shard.scheduler import Scheduler
from dwarf.engine.shard.step_cache import StepCache
from dwarf.engine.shard.waiters import TreeWatchers, Waiters
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.engine.telemetry.health import Health
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.unit_of_work import WriterIdentity


class ShardRuntime:
    """One shard in this process. It only assembles: each service takes the services that it uses.

    Two connections are made after all services exist, since they point backwards: the committer calls the runner, which
    itself commits through the committer; and the services that wake the dispatcher are used by it.
    """

    def __init__(self, context: EngineContext, shard: int, database: Database) -> None:
        self.context = context
        self.shard = shard
        self.database = database
        self.settings = context.settings
        self.plans = context.plans
        self.log = context.telemetry.log
        self.health = Health()
        self.telemetry = ShardTelemetry(context.telemetry, shard, self.settings.margin_ms, self.health)
        self.waiters = Waiters()
        self.trees = TreeWatchers()  # of changes
        self.outputs = TreeWatchers()  # of output
        self.notifier = Notifier(shard, database, context.peers)
        self.precedence = Precedence(context.ceilings, shard)
        self._assemble_writing()
        self._assemble_running()
        self._assemble_keeping()

    def _assemble_writing(self) -> None:
        """Assemble the write side: ids, flow factory, committer and output."""
        context, database, telemetry = self.context, self.database, self.telemetry
        self.ids = IdAllocator(database)
        self.flows = FlowFactory(self.shard, context.host, context.plans, self.ids, telemetry)
        self.writer = WriterIdentity(
            shard=self.shard,
            engine_id=0,  # set when an id is claimed
            margin_ms=self.settings.margin_ms,
            decision_context=DecisionContext(self.ids.steps.take, new_token, no_room),
            plan_of=self.plans.plan_of,
            quarantine_at=self.settings.quarantine_at,
            next_flow_id=self.ids.flows.take,
        )
        self.committer = Committer(database, self.writer, self.ids, telemetry, self.settings.pauses)
        self.directives = Directives(database, self.writer, self.committer, self.settings)
        self.progress = ProgressBook(database, self.trees.announce, self.log)
        self.output = OutputBook(self.committer, self.ids, self.outputs.announce, self.log, context.echo)

    def _assemble_running(self) -> None:
        """Assemble the services that find steps and run them."""
        context, writer, database, telemetry = self.context, self.writer, self.database, self.telemetry
        self.cache = StepCache(self.shard, context.host, database, self.ids, telemetry)
        self.runner = Runner(
            context,
            writer,
            attempts=Attempts(
                context,
                ids=self.ids,
                flows=self.flows,
                cache=self.cache,
                directives=self.directives,
                progress=self.progress,
                telemetry=telemetry,
            ),
            database=database,
            committer=self.committer,
            ids=self.ids,
            output=self.output,
            precedence=self.precedence,
            notifier=self.notifier,
            telemetry=telemetry,
            look_for_work=self.look_for_work,
        )
        self.recovery = LeaseRecovery(
            database, trees=self.trees, notifier=self.notifier, wake_all=context.wake_all, telemetry=telemetry
        )
        self.membership = Membership(
            context,
            writer,
            database=database,
            runner=self.runner,
            recovery=self.recovery,
            telemetry=telemetry,
            health=self.health,
            on_forgotten=self.reconcile,
        )
        self.known_tasks = KnownTasks(context, writer, database, self.health, self.look_for_work)
        self.dispatcher = Dispatcher(
            context,
            writer,
            database=database,
            committer=self.committer,
            runner=self.runner,
            membership=self.membership,
            known_tasks=self.known_tasks,
            precedence=self.precedence,
            trees=self.trees,
            telemetry=telemetry,
            health=self.health,
        )
        self.scheduler = Scheduler(database, self.committer, self.ids, self.flows, telemetry)

    def _assemble_keeping(self) -> None:
        """Assemble maintenance, and the handling of committed groups."""
        context, writer, database, telemetry = self.context, self.writer, self.database, self.telemetry
        self.changes = ChangePoll(
            database,
            waiters=self.waiters,
            trees=self.trees,
            runner=self.runner,
            dispatcher=self.dispatcher,
            telemetry=telemetry,
            health=self.health,
        )
        self.orphaned_leases = OrphanedLeases(writer, database, self.runner, self.changes, self.log)
        self.maintenance = Maintenance(
            context,
            writer,
            database=database,
            committer=self.committer,
            dispatcher=self.dispatcher,
            membership=self.membership,
            recovery=self.recovery,
            orphaned_leases=self.orphaned_leases,
            directives=self.directives,
            cache=self.cache,
            waiters=self.waiters,
            trees=self.trees,
            telemetry=telemetry,
            health=self.health,
        )
        after = AfterCommit(
            context,
            waiters=self.waiters,
            trees=self.trees,
            directives=self.directives,
            runner=self.runner,
            dispatcher=self.dispatcher,
            precedence=self.precedence,
            scheduler=self.scheduler,
            notifier=self.notifier,
            telemetry=telemetry,
        )
        self.committer.listen(after.committed, self.runner.launch)

    @property
    def engine_id(self) -> int:
        """The id under which this engine works on the shard; it may change."""
        return self.writer.engine_id

    async def start(self) -> None:
        """Open the database, take back the leases of a former life of this engine, and start the services."""
        await self.database.open()
        self.writer.engine_id, proves_dead = await self.database.claim_engine_id(self.settings.engine_id or 0)
        self.database.listen(self.changes.on_notify)
        await self.membership.enter()
        await self.known_tasks.enter()
        await self.ids.reserve(1)
        await self.directives.refresh()
        await self.membership.settle()
        await self.maintenance.take_back({self.engine_id} if proves_dead else set())
        await self.maintenance.rebase()
        self.committer.start()
        self.maintenance.start()
        self.changes.start()
        self.known_tasks.start()
        if self.settings.workers:
            self.context.wakers.append(self.dispatcher.wake)
            self.dispatcher.start()
            self.context.wakers.append(self.scheduler.wake)
            self.scheduler.start()

    async def stop_taking(self) -> None:
        """Claim no more steps."""
        self.committer.drain()
        await self.scheduler.aclose()
        await self.dispatcher.aclose()

    async def abort(self) -> None:
        """Undo a failed start, as far as it came."""
        await self.stop_taking()
        await self.aclose()

    async def aclose(self) -> None:
        """Stop the services, release the waiters, and disconnect. No step is in flight any more."""
        await self.changes.aclose()
        await self.maintenance.aclose()
        await self.progress.aclose()
        await self.output.aclose()
        await self.committer.aclose()
        await self.runner.drain(0)  # the last commits may have handed steps over
        self.waiters.close()
        self.trees.announce_all()
        self.outputs.announce_all()
        await self.known_tasks.aclose()
        await self.membership.aclose()
        await self.database.aclose()

    def look_for_work(self) -> None:
        """Wake the dispatcher."""
        self.dispatcher.wake()

    async def reconcile(self) -> None:
        """Handle a database that may have lost committed data: a standby took over, or a copy was restored.

        Ids that it would assign again are skipped, orphaned leases are given back, and steps that it does not know to
        be leased to this engine are cancelled.
        """
        self.log.warning("shard %s: the database is not the one it was, and may have forgotten something", self.shard)
        await self.ids.renew()
        await self.orphaned_leases.reconcile()
