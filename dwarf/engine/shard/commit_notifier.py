"""When those who wait for a group hear that it is durable."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from dwarf.core.records import StepRecord
from dwarf.engine.shard.commit_requests import CallRequest, CommitRequest, CommitResult, CreateRequest, perhaps_done
from dwarf.engine.shard.reservations import Reservation
from dwarf.errors import StorageError

WORTH_HALVING = 48  # requests on their way; below, a transaction costs more than what is gained. See docs/design.md

Launch: TypeAlias = Callable[[StepRecord, Reservation], None]
"""Runs a step in a slot, which is the step's from then on."""


def no_launch(step: StepRecord, slot: Reservation) -> None:
    """Run nothing: for a committer that nobody listens to yet."""
    slot.release()


class CommitNotifier:
    """The answers to requests whose group is committed.

    An answer lets a step go on, which soon has the next request. ``in_halves``: of a large group one half is answered
    when the next group is on its way, so that its steps run while the server writes what the other half has handed in.
    Otherwise the two would wait for each other in turn.
    """

    def __init__(self, *, in_halves: bool) -> None:
        self.launch: Launch = no_launch
        self._in_halves = in_halves
        self._open: deque[tuple[CommitRequest, Any, BaseException | None, CommitResult]] = deque()

    @property
    def waiting(self) -> bool:
        """Whether there are answers that were not given yet."""
        return bool(self._open)

    def gather(self, group: Sequence[CommitRequest], committed: CommitResult) -> None:
        """Take the answers of a group, and give a single one at once."""
        answers = [(request, *result, committed) for request, result in zip(group, committed.results, strict=True)]
        if len(answers) == 1:
            self._give(*answers[0])
        else:
            self._open.extend(answers)

    def some(self, queued: int) -> bool:
        """Give those answers that the next group, in which ``queued`` requests are so far, is worth waiting for.

        Whether there are others.
        """
        count = len(self._open)
        if self._in_halves and count + queued >= WORTH_HALVING:
            count = max(0, count - queued) // 2
        for _ in range(count):
            self._give(*self._open.popleft())
        return bool(self._open)

    def rest(self) -> None:
        """Give all the others."""
        while self._open:
            self._give(*self._open.popleft())

    def refuse(self, request: CommitRequest, error: BaseException) -> None:
        """Answer a request with an error."""
        if isinstance(request, (CreateRequest, CallRequest)) and request.slot is not None:
            request.slot.release()
        if isinstance(request, CallRequest) and request.again and not isinstance(error, StorageError):
            error = perhaps_done(error)
        if not request.done.done():
            request.done.set_exception(error)

    def _give(self, request: CommitRequest, result: Any, error: BaseException | None, committed: CommitResult) -> None:
        if error is not None:
            self.refuse(request, error)
            return
        if isinstance(request, CreateRequest) and request.slot is not None:
            # a flow that an earlier try has made is begun by whoever finds that its lease is nobody's
            made = result == request.flow.key and (
                not request.again or any(flow is request.flow for flow in committed.flows)
            )
            self._start(StepRecord.leased(request.flow.entry, committed.now) if made else None, request.slot)
        elif isinstance(request, CallRequest) and request.slot is not None:
            self._start(committed.woken.get(request), request.slot)
        if not request.done.done():
            request.done.set_result(result)

    def _start(self, step: StepRecord | None, slot: Reservation) -> None:
        if step is None:
            slot.release()
        else:
            slot.keep(step.need)
            self.launch(step, slot)
