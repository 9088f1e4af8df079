"""When the callers of a committed group get their results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from dwarf.core.records import StepRecord
from dwarf.engine.shard.commit_requests import (
    CallRequest,
    CommitRequest,
    CommitResult,
    CreateRequest,
    DecisionRequest,
    perhaps_done,
)
from dwarf.engine.shard.reservations import Reservation
from dwarf.errors import StorageError

WORTH_HALVING = 48  # requests in flight; below, one more transaction costs more than it gains. See docs/design.md

Launch: TypeAlias = Callable[[StepRecord, Reservation], None]
"""Runs a step in a slot, which then belongs to the step."""


def no_launch(step: StepRecord, slot: Reservation) -> None:
    """Run nothing: the default of a committer without a runner."""
    slot.release()


class CommitNotifier:
    """The results of requests whose group is committed.

    A result lets a step go on, and that step soon submits its next request. With ``in_halves``, half of a large group
    is answered only when the next group is in flight: its steps run while the server writes the requests of the other
    half. Answered all at once, the steps and the server would take turns waiting for each other.
    """

    def __init__(self, *, in_halves: bool) -> None:
        self.launch: Launch = no_launch
        self._in_halves = in_halves
        self._open: deque[tuple[CommitRequest, Any, BaseException | None, CommitResult]] = deque()

    @property
    def waiting(self) -> bool:
        """Whether some results have not been delivered yet."""
        return bool(self._open)

    def gather(self, group: Sequence[CommitRequest], committed: CommitResult) -> None:
        """Take the results of a group. The result of a single request is delivered immediately."""
        answers = [
            (request, result, error, committed)
            for request, (result, error) in zip(group, committed.results, strict=True)
        ]
        if len(answers) == 1:
            self._give(*answers[0])
        else:
            self._open.extend(answers)

    def some(self, queued: int) -> bool:
        """Deliver results now if their steps' next requests should still join the next group.

        ``queued`` requests wait for that group. Returns whether results remain.
        """
        count = len(self._open)
        if self._in_halves and count + queued >= WORTH_HALVING:
            count = max(0, count - queued) // 2
        for _ in range(count):
            self._give(*self._open.popleft())
        return bool(self._open)

    def rest(self) -> None:
        """Deliver the remaining results."""
        while self._open:
            self._give(*self._open.popleft())

    def refuse(self, request: CommitRequest, error: BaseException) -> None:
        """Deliver an error to the caller of a request."""
        if isinstance(request, (CreateRequest, CallRequest)) and request.slot is not None:
            request.slot.release()
        # the refusal may be a consequence of an earlier try, as for a flow that this very call has cancelled
        if isinstance(request, CallRequest) and request.again and not isinstance(error, StorageError):
            error = perhaps_done(error)
        if not request.done.done():
            request.done.set_exception(error)

    def _give(self, request: CommitRequest, result: Any, error: BaseException | None, committed: CommitResult) -> None:
        if error is not None:
            self.refuse(request, error)
            return
        if not isinstance(request, DecisionRequest):
            self._begin(request, result, committed)
        if not request.done.done():
            request.done.set_result(result)

    def _begin(self, request: CommitRequest, result: Any, committed: CommitResult) -> None:
        """Start the step for which a slot was reserved, or give the slot back."""
        if isinstance(request, CreateRequest) and request.slot is not None:
            # a flow that an earlier try has created is started by the recovery of its orphaned lease
            made = result == request.flow.key and (
                not request.again or any(flow is request.flow for flow in committed.flows)
            )
            self._start(StepRecord.leased(request.flow.entry, committed.now) if made else None, request.slot)
        elif isinstance(request, CallRequest) and request.slot is not None:
            self._start(committed.woken.get(request), request.slot)

    def _start(self, step: StepRecord | None, slot: Reservation) -> None:
        if step is None:
            slot.release()
        else:
            slot.keep(step.need)
            self.launch(step, slot)
