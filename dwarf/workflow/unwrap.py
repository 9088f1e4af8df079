"""Finding the park in what a task raised."""

from __future__ import annotations

from dwarf.errors import Parked


def only_parked(error: BaseException) -> Parked | None:
    """The Parked that an error is, or that is all an exception group holds; else None.

    A park inside an ``asyncio.TaskGroup`` comes out as a group of one.
    """
    if isinstance(error, Parked):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    parked = [only_parked(inner) for inner in error.exceptions]
    return parked[0] if all(inner is not None for inner in parked) else None
