"""Telling a test author about changes that are lost."""

from __future__ import annotations

import warnings


class LostWriteWarning(UserWarning):
    """A task changed a list or an object that it had read, and did not assign it back: the change is not kept.

    Example::

        def add(flow: Flow) -> None:
            flow["items"].append("axe")  # LostWriteWarning: write flow["items"] = [*flow["items"], "axe"]
    """


class LostWriteLog:
    """Warns of each task and field once."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def __call__(self, task: str, fields: list[str]) -> None:
        """A task has lost changes to these fields."""
        for field in fields:
            if (task, field) not in self._told:
                self._told.add((task, field))
                warnings.warn(
                    f"task {task!r} changed flow[{field!r}] in place; the change is lost. Assign it back: "
                    f"value = flow[{field!r}]; ...; flow[{field!r}] = value",
                    LostWriteWarning,
                    stacklevel=2,
                )
