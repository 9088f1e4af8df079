"""Which questions went on by themselves because nobody answered in time?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dwarf.errors import FlowNotFound

if TYPE_CHECKING:
    from dwarf.engine import FlowHandle
    from dwarf.notebook.prompts.prompt import Prompt

__all__ = ["OVERDUE", "overdue"]

OVERDUE = "nobody answered in time"


async def overdue(handle: FlowHandle, gone: Iterable[Prompt]) -> set[str]:
    """The keys of those of a flow's prompts, none of which waits any more, whose time was over when they went on."""
    limits = {prompt.key: prompt.deadline for prompt in gone if prompt.deadline is not None}
    if not limits:
        return set()
    try:
        answered = {one.step_key: one.answered_at for one in await handle.answers()}
    except FlowNotFound:
        return set()
    return {key for key, limit in limits.items() if key in answered and answered[key] >= limit}
