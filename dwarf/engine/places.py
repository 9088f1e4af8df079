"""A place that is kept for a step which a transaction may wake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dwarf.core.records import FlowRecord, StepRecord

if TYPE_CHECKING:
    from dwarf.engine.replica import Replica


class Place:
    """The script of the transaction asks whether a step suits it; after the commit the step is started.

    ``own``: a place was taken for it, which is given back where no step is started. Otherwise it is the place of a
    step that is over. The script may be run again, and ask anew; on SQLite it asks on the database's thread.
    """

    def __init__(self, replica: Replica, *, own: bool) -> None:
        self._replica = replica
        self._own = own
        self._may_go_on = replica.dispatcher.gate()
        self._need = ""  # of the task to which a start is promised
        self._withdrawn: list[str] = []

    def __call__(self, flow: FlowRecord, need: str) -> bool:
        """Promise a start to a step of a flow; False where it has to wait its turn, or has no thread."""
        self._withdraw(unless=need)
        if not self._may_go_on(flow) or not (self._need or self._replica.admission.take(need)):
            return False
        self._need = need
        return True

    def keep(self, woken: StepRecord | None) -> None:
        """The step that was woken starts; None: nobody does."""
        if woken is None:
            self._withdraw()
        if self._withdrawn:
            self._replica.admission.given_up(self._withdrawn)

    def take_up(self, woken: StepRecord | None) -> None:
        """Start the step that was woken in the place that was taken; None: give it back."""
        self.keep(woken)
        if woken is not None:
            self._replica.runner.launch(woken)
        elif self._own:
            self._replica.slots.give()

    def _withdraw(self, *, unless: str = "") -> None:
        if self._need and self._need != unless:
            self._withdrawn.append(self._need)
            self._need = ""
