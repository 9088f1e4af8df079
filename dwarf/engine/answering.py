"""When those who wait for a group hear that it is durable."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from dwarf.core.records import NewStep
from dwarf.engine.jobs import CallJob, Committed, CreateJob, Job
from dwarf.engine.refusals import perhaps_done
from dwarf.errors import StorageError

WORTH_HALVING = 48  # jobs on their way; below, a transaction costs more than what is gained


class Beginner(Protocol):
    """Who starts the first steps of new flows."""

    def begin(self, entry: NewStep, now: int) -> None:
        """Start the first step of a new flow, for which a place was taken."""
        ...

    def leave(self, entry: NewStep) -> None:
        """Give up the place of a first step: its flow was not inserted."""
        ...


class Answers:
    """The answers to jobs whose group is committed.

    An answer lets a step go on, which soon has the next job. ``in_halves``: of a large group one half is answered when
    the next group is on its way, so that its steps run while the server writes what the other half has handed in.
    Otherwise the two would wait for each other in turn.
    """

    def __init__(self, beginner: Beginner, *, in_halves: bool) -> None:
        self._beginner = beginner
        self._in_halves = in_halves
        self._open: deque[tuple[Job, Any, BaseException | None, Committed]] = deque()

    def gather(self, group: Sequence[Job], committed: Committed) -> None:
        """Take the answers of a group, and give a single one at once."""
        answers = [(job, *result, committed) for job, result in zip(group, committed.results, strict=True)]
        if len(answers) == 1:
            self._give(*answers[0])
        else:
            self._open.extend(answers)

    def some(self, queued: int) -> bool:
        """Give those answers that the next group, in which ``queued`` jobs are so far, is worth waiting for.

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

    def refuse(self, job: Job, error: BaseException) -> None:
        """Answer a job with an error."""
        if isinstance(job, CreateJob) and job.flow.entry.leased:
            self._beginner.leave(job.flow.entry)
        if isinstance(job, CallJob) and job.place is not None:
            job.place.take_up(None)
        if isinstance(job, CallJob) and job.again and not isinstance(error, StorageError):
            error = perhaps_done(error)
        if not job.done.done():
            job.done.set_exception(error)

    def _give(self, job: Job, result: Any, error: BaseException | None, committed: Committed) -> None:
        if error is not None:
            self.refuse(job, error)
            return
        if isinstance(job, CreateJob) and job.flow.entry.leased:
            # a flow that an earlier try has made is begun by whoever finds that its lease is nobody's
            if result == job.flow.key and (not job.again or any(flow is job.flow for flow in committed.flows)):
                self._beginner.begin(job.flow.entry, committed.now)
            else:
                self._beginner.leave(job.flow.entry)
        if isinstance(job, CallJob) and job.place is not None:
            job.place.take_up(committed.woken.get(job))
        if not job.done.done():
            job.done.set_result(result)
