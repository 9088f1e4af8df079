"""The state that all shards of one engine share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Protocol

from dwarf.engine.config import Settings
from dwarf.engine.shard.admission import Admission
from dwarf.engine.shard.deadlines import Deadlines
from dwarf.engine.shard.graph_warnings import WiringCheck
from dwarf.engine.shard.output import Echo
from dwarf.engine.shard.peers import Peers
from dwarf.engine.shard.plans import PlanCache
from dwarf.engine.shard.priority_ceilings import PriorityCeilings
from dwarf.engine.shard.reservations import Slots
from dwarf.engine.shard.watchdog import Watchdog
from dwarf.engine.telemetry.events import Telemetry
from dwarf.workflow.host import BaseHost


class Clock(Protocol):
    """A clock that a test moves."""

    offset_ms: int

    def jump(self, milliseconds: int) -> None:
        """Advance, because nothing else can run before the next due step."""
        ...

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function after each advance. Returns a function that stops the calls."""
        ...


class EngineContext:
    """The state that all shards of one engine share."""

    def __init__(self, host: BaseHost, settings: Settings, clock: Clock | None, telemetry: Telemetry) -> None:
        self.host = host
        self.settings = settings
        self.clock = clock
        self.telemetry = telemetry
        self.plans = PlanCache(host)
        self.wiring = WiringCheck(host, telemetry.log)
        self.admission = Admission(host, self.wake_all)
        self.watchdog = Watchdog(telemetry.log)
        self.deadlines = Deadlines()
        self.draining = False
        self.random = Random()
        self.wakers: list[Callable[[], None]] = []
        self.slots = Slots(settings.workers, self.admission, self.wake_all)
        self.quarantined: set[tuple[int, int]] = set()  # steps in flight that have crashed their process often
        self.ceilings = PriorityCeilings(len(settings.shards), self.wake_all)
        self.peers: Peers | None = None
        self.hurry = asyncio.Event()  # set when a drain must not wait any longer
        self.track_reads = False
        self.echo: Echo | None = None
        self.on_lost_write: Callable[[str, list[str]], None] | None = None

    def thread_free(self) -> None:
        """Called by the host when a thread has become free."""
        if self.admission.was_refused():
            self.wake_all()

    def wake_all(self) -> None:
        """Wake the dispatcher of every shard."""
        for wake in self.wakers:
            wake()
