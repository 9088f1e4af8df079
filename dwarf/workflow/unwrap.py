"""Finding a park in the exception of a task."""

from __future__ import annotations

from dwarf.errors import Parked


def only_parked(error: BaseException) -> Parked | None:
    """The Parked that an error is, or the only one in an exception group; otherwise None.

    A park inside an ``asyncio.TaskGroup`` is raised as a group of one.
    """
    if isinstance(error, Parked):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    parked = [only_parked(inner) for inner in error.exceptions]
    return parked[0] if all(inner is not None for inner in parked) else None
