"""A Flow that notes whether its task has read something that differs between executions."""

from __future__ import annotations

from typing import Any

from dwarf.workflow.flow import Flow, Progress

__all__ = ["WatchedFlow"]

_IDENTITY = (
    "key",
    "step_key",
    "node",
    "attempt",
    "created_at",
    "updated_at",
    "step_created_at",
    "scheduled_at",
    "baggage",
)


class WatchedFlow(Flow):
    """A flow whose ``identity_read`` tells whether its key, attempt, times or baggage have been read."""

    __slots__ = ("_told",)

    def __init__(self, *args: Any, **named: Any) -> None:
        self._told: set[str] = set()
        super().__init__(*args, **named)

    @property
    def identity_read(self) -> bool:
        """Whether the outcome may depend on which execution this is."""
        return bool(self._told)

    def note_read(self) -> None:
        """Note that the task has read its identity in the other process."""
        self._told.add("elsewhere")

    def sent_json(self) -> dict[str, Any]:
        """The wire form, for a carrier that reports by ``note_read`` whether the task has read its identity."""
        told = set(self._told)
        form = self.to_json()
        self._told.intersection_update(told)
        return form

    def _fork_carrier(self, on_progress: Progress | None = None) -> Flow:
        """A detached flow that notes the reads in the same place."""
        fork = super()._fork_carrier(on_progress)
        assert isinstance(fork, WatchedFlow)
        fork._told = self._told
        return fork


def _watched(name: str) -> property:
    member: Any = vars(Flow)[name]

    def read(flow: WatchedFlow) -> Any:
        flow._told.add(name)
        return member.__get__(flow)

    return property(read, getattr(member, "__set__", None) and member.__set__, doc=member.__doc__)


for _name in _IDENTITY:
    setattr(WatchedFlow, _name, _watched(_name))
