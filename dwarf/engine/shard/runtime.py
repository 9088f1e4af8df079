"""One shard as this process serves it: its parts are put together, started and closed."""

from __future__ import annotations

from dwarf.core.step import Means, no_room
from dwarf.engine.shard.after_commit import AfterCommit
from dwarf.engine.shard.attempts import Attempts
from dwarf.engine.shard.committer import Committer
from dwarf.engine.shard.context import Shared
from dwarf.engine.shard.directives import Directives
from dwarf.engine.shard.dispatcher import Dispatcher
from dwarf.engine.shard.factory import FlowFactory
from dwarf.engine.shard.ids import IdAllocator, new_token
from dwarf.engine.shard.known_tasks import Knowledge
from dwarf.engine.shard.maintenance import Keeper
from dwarf.engine.shard.membership import Membership
from dwarf.engine.shard.orphaned_leases import Strays
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
from dwarf.engine.telemetry.events import Observing
from dwarf.engine.telemetry.health import Health
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.unit_of_work import Writer


class Replica:
    """One shard in this process. It only assembles: each part takes those that it uses.

    Two parts are told of others when all are there: the committer calls the runner, which commits by it; and what looks
    for work is woken by parts that it uses itself.
    """

    def __init__(self, shared: Shared, shard: int, database: Database) -> None:
        self.shared = shared
        self.shard = shard
        self.database = database
        self.settings = shared.settings
        self.plans = shared.plans
        self.log = shared.telemetry.log
        self.health = Health()
        self.observing = Observing(shared.telemetry, shard, self.settings.margin_ms, self.health)
        self.waiters = Waiters()
        self.trees = TreeWatchers()  # of changes
        self.outputs = TreeWatchers()  # of what tasks say
        self.notifier = Notifier(shard, database, shared.peers)
        self.precedence = Precedence(shared.bands, shard)
        self._assemble_writing()
        self._assemble_running()
        self._assemble_keeping()

    def _assemble_writing(self) -> None:
        """The parts by which everything is written: ids, flows, commits, and what tasks say."""
        shared, database, observing = self.shared, self.database, self.observing
        self.ids = IdAllocator(database)
        self.flows = FlowFactory(self.shard, shared.host, shared.plans, self.ids, observing)
        self.writer = Writer(
            shard=self.shard,
            engine_id=0,  # until it is claimed
            margin_ms=self.settings.margin_ms,
            means=Means(self.ids.steps.take, new_token, no_room),
            plan_of=self.plans.plan_of,
            suspect_at=self.settings.suspect_at,
            next_flow_id=self.ids.flows.take,
        )
        self.committer = Committer(database, self.writer, self.ids, observing, self.settings.pauses)
        self.directives = Directives(database, self.writer, self.committer, self.settings)
        self.progress = ProgressBook(database, self.trees.announce, self.log)
        self.output = OutputBook(self.committer, self.ids, self.outputs.announce, self.log, shared.echo)

    def _assemble_running(self) -> None:
        """The parts that find steps and run them."""
        shared, writer, database, observing = self.shared, self.writer, self.database, self.observing
        self.cache = StepCache(self.shard, shared.host, database, self.ids, observing)
        self.runner = Runner(
            shared,
            writer,
            attempts=Attempts(
                shared,
                ids=self.ids,
                flows=self.flows,
                cache=self.cache,
                directives=self.directives,
                progress=self.progress,
                observing=observing,
            ),
            database=database,
            committer=self.committer,
            ids=self.ids,
            output=self.output,
            precedence=self.precedence,
            notifier=self.notifier,
            observing=observing,
            look_for_work=self.look_for_work,
        )
        self.recovery = LeaseRecovery(
            database, trees=self.trees, notifier=self.notifier, wake_all=shared.wake_all, observing=observing
        )
        self.membership = Membership(
            shared,
            writer,
            database=database,
            runner=self.runner,
            recovery=self.recovery,
            observing=observing,
            health=self.health,
            on_forgotten=self.reconcile,
        )
        self.knowledge = Knowledge(shared, writer, database, self.health, self.look_for_work)
        self.dispatcher = Dispatcher(
            shared,
            writer,
            database=database,
            committer=self.committer,
            runner=self.runner,
            membership=self.membership,
            knowledge=self.knowledge,
            precedence=self.precedence,
            trees=self.trees,
            observing=observing,
            health=self.health,
        )
        self.scheduler = Scheduler(database, self.committer, self.ids, self.flows, observing)

    def _assemble_keeping(self) -> None:
        """The parts that keep the shard in order, and what follows a commit."""
        shared, writer, database, observing = self.shared, self.writer, self.database, self.observing
        self.changes = ChangePoll(
            database,
            waiters=self.waiters,
            trees=self.trees,
            runner=self.runner,
            dispatcher=self.dispatcher,
            observing=observing,
            health=self.health,
        )
        self.strays = Strays(writer, database, self.runner, self.changes, self.log)
        self.keeper = Keeper(
            shared,
            writer,
            database=database,
            committer=self.committer,
            dispatcher=self.dispatcher,
            membership=self.membership,
            recovery=self.recovery,
            strays=self.strays,
            directives=self.directives,
            cache=self.cache,
            waiters=self.waiters,
            trees=self.trees,
            observing=observing,
            health=self.health,
        )
        after = AfterCommit(
            shared,
            waiters=self.waiters,
            trees=self.trees,
            runner=self.runner,
            dispatcher=self.dispatcher,
            precedence=self.precedence,
            scheduler=self.scheduler,
            notifier=self.notifier,
            observing=observing,
        )
        self.committer.listen(after.committed, self.runner.launch)

    @property
    def engine_id(self) -> int:
        """Under which id this engine takes work on the shard; it may change."""
        return self.writer.engine_id

    async def start(self) -> None:
        """Open the database, take back what a former life of this engine left, and begin to work."""
        await self.database.open()
        self.writer.engine_id, proves_dead = await self.database.claim_engine_id(self.settings.engine_id or 0)
        self.database.listen(self.changes.on_notify)
        await self.membership.enter()
        await self.knowledge.enter()
        await self.ids.reserve(1)
        await self.directives.refresh()
        await self.membership.settle()
        await self.keeper.take_back({self.engine_id} if proves_dead else set())
        await self.keeper.rebase()
        self.committer.start()
        self.keeper.start()
        self.changes.start()
        self.knowledge.start()
        if self.settings.workers:
            self.shared.wakers.append(self.dispatcher.wake)
            self.dispatcher.start()
            self.shared.wakers.append(self.scheduler.wake)
            self.scheduler.start()

    async def stop_taking(self) -> None:
        """Claim nothing more."""
        self.committer.drain()
        await self.scheduler.aclose()
        await self.dispatcher.aclose()

    async def abort(self) -> None:
        """Undo a start that did not succeed, as far as it came."""
        await self.stop_taking()
        await self.aclose()

    async def aclose(self) -> None:
        """Stop the loops, release who waits, and disconnect. The steps in flight are over."""
        await self.changes.aclose()
        await self.keeper.aclose()
        await self.progress.aclose()
        await self.output.aclose()
        await self.committer.aclose()
        await self.runner.drain(0)  # what was handed over by the last commits
        self.waiters.close()
        self.trees.announce_all()
        self.outputs.announce_all()
        await self.knowledge.aclose()
        await self.membership.aclose()
        await self.database.aclose()

    def look_for_work(self) -> None:
        """Have the dispatcher look now."""
        self.dispatcher.wake()

    async def reconcile(self) -> None:
        """The database may have forgotten what it knew: a standby took over, or a copy was restored.

        Ids that it would give again are left out, leases that nobody runs are given back, and steps that it does not
        know to be leased to this engine are not run to an end.
        """
        self.log.warning("shard %s: the database is not the one it was, and may have forgotten something", self.shard)
        await self.ids.renew()
        await self.strays.reconcile()
