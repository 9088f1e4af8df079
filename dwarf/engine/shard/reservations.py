"""Worker slots: how many tasks may be in flight in this process over all its shards, and what holds each slot.

A slot is taken before a step is claimed, inserted or woken, so that nothing is leased that cannot start. From then on
a ``Reservation`` holds it. It changes hands between the dispatcher, the committer and the runner, across awaits and
failed transactions. No service counts slots: what a reservation holds is given back once, whichever way it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias

from dwarf.core.records import FlowRecord
from dwarf.engine.shard.admission import Admission

Gate: TypeAlias = Callable[[FlowRecord], bool]
"""Whether the next step of a flow may start now; False if steps of other flows go first."""


class Slots:
    """A count of free worker slots. It belongs to the engine's loop."""

    def __init__(self, limit: int, admission: Admission, on_free: Callable[[], None]) -> None:
        self.limit = limit
        self.free = limit
        self._admission = admission
        self._starved = False  # no slot was free at the last request
        self._on_free = on_free

    @property
    def taken(self) -> int:
        """The number of tasks in flight and of slots reserved for steps that are about to start."""
        return self.limit - self.free

    def reserve(self, count: int = 1) -> Reservation | None:
        """Reserve up to ``count`` slots; None if none is free."""
        held = self.take(count)
        return Reservation(self, self._admission, held) if held else None

    def take(self, count: int) -> int:
        """For reservations: take up to ``count`` slots, and return how many were free."""
        got = min(count, self.free)
        self.free -= got
        self._starved = self._starved or not got
        return got

    def ask(self) -> None:
        """Call ``on_free`` at the next release of a slot, as after a refused reservation."""
        self._starved = True

    def give(self, count: int) -> None:
        """For reservations: return slots. Calls ``on_free`` if a reservation was refused since the last call."""
        self.free += count
        if self._starved and self.free:
            self._starved = False
            self._on_free()


class Reservation:
    """Worker slots that are held, and the task starts promised in them.

    A slot is taken (``Slots.reserve``), promised to a task (``promise``, ``suits``), handed on to the step that runs in
    it (``hand_on``), and given back (``keep``, ``release``, the end of a ``with`` block). It belongs to the engine's
    loop, but for ``suits``, which a database's thread may call.
    """

    __slots__ = ("_admission", "_promised", "_slots", "_withdrawn", "gate", "held")

    def __init__(self, slots: Slots, admission: Admission, held: int) -> None:
        self.held = held  # the number of slots
        self.gate: Gate | None = None  # flows whose steps a transaction may wake for this slot; None: all
        self._slots = slots
        self._admission = admission
        self._promised: list[str] = []  # the needs of the tasks whose start is promised
        self._withdrawn = False  # by ``suits``, maybe on another thread; refused tasks are notified on the loop

    def __enter__(self) -> Self:
        return self

    def __exit__(self, et: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    def promise(self, need: str) -> bool:
        """Promise a start to a task, in a held slot or a new one. False if no slot or no thread is free."""
        beyond = len(self._promised) >= self.held
        if (beyond and not self._slots.free) or not self._admission.take(need):
            return False
        if beyond:
            self.held += self._slots.take(1)
        self._promised.append(need)
        return True

    def suits(self, flow: FlowRecord, need: str) -> bool:
        """Promise the slot to a step that a transaction wakes. False if other flows go first, or no thread is free.

        An earlier promise is withdrawn first: a script that is run again makes its promises again.
        """
        if self._promised and self._promised != [need]:
            withdrawn, self._promised = self._promised, []
            for other in withdrawn:
                self._admission.begun(other)
            self._withdrawn = True
        if self.gate is not None and not self.gate(flow):
            return False
        if not self._promised:
            if not self._admission.take(need):
                return False
            self._promised = [need]
        return True

    def begin(self, need: str) -> None:
        """A step starts in the slot: its promise is consumed."""
        if need in self._promised:
            self._promised.remove(need)
            self._admission.begun(need)

    def hand_on(self, need: str) -> Reservation:
        """A separate reservation for a step that starts: one of these slots, and the start promised for it.

        A claimed step has no promise yet: it takes a slot without one.
        """
        other = Reservation(self._slots, self._admission, 1)
        if need in self._promised:
            self._promised.remove(need)
        else:
            self._admission.promise(need)
        other._promised.append(need)
        self.held -= 1
        return other

    def keep(self, need: str = "") -> None:
        """Keep one slot with the start promised for ``need``, and release the others.

        Called with the result of a transaction, and without a need when a decision is made again.
        """
        kept = [need] if need in self._promised else []
        if self._promised != kept or self._withdrawn:
            given_up, self._promised = self._promised, kept
            if kept:
                given_up.remove(need)
            self._give_up(given_up)
        if self.held > 1:
            extra, self.held = self.held - 1, 1
            self._slots.give(extra)

    def release(self) -> None:
        """Release everything that is held. A second call does nothing."""
        given_up, self._promised = self._promised, []
        self._give_up(given_up)
        held, self.held = self.held, 0
        if held:
            self._slots.give(held)

    def _give_up(self, needs: list[str]) -> None:
        if needs or self._withdrawn:
            self._withdrawn = False
            self._admission.given_up(needs)
