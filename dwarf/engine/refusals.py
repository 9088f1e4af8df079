"""What is said of a write that the database did not take, or perhaps did."""

from __future__ import annotations

from dwarf.errors import StorageError


def unstorable(error: Exception) -> str:
    """The text of a step that fails because its outcome could not be stored."""
    return f"the outcome could not be stored: {error}"


def perhaps_done(error: BaseException) -> StorageError:
    """The error of a call that may have been done: the answer to an earlier try was lost."""
    return StorageError(f"the database did not answer, and what was asked for may have been done; now it says: {error}")
