"""The status of a flow or a step."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Status"]


class Status(StrEnum):
    """The state of a flow or of one of its steps.

    A flow is born running and is never pending. Completed, failed and cancelled are final.

    >>> from dwarf import Status
    >>> Status("interrupted").stopped, Status.INTERRUPTED.terminal
    (True, False)
    """

    PENDING = "pending"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def stopped(self) -> bool:
        """Whether it waits for an action or has ended: completed, failed, cancelled or interrupted."""
        return self is not Status.PENDING and self is not Status.RUNNING

    @property
    def terminal(self) -> bool:
        """Whether the status is final: completed, failed or cancelled."""
        return self in _TERMINAL


_TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
