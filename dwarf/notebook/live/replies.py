"""How is a request of the page answered? With a reply of the same number, in which what went wrong is told in words."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from typing import Any

from dwarf.errors import DwarfError

__all__ = ["reply_to"]

_log = logging.getLogger("dwarf.notebook")


async def reply_to(message: Mapping[str, Any], answer: Awaitable[Mapping[str, Any]]) -> dict[str, Any]:
    """The reply to a message; what went wrong while the answer was made is told in it as ``fault``."""
    try:
        reply = await answer
    except DwarfError as fault:
        reply = {"fault": str(fault) or type(fault).__name__}
    except Exception as fault:  # noqa: BLE001  the reader is told, and nothing else stops
        _log.debug("a request of a view failed", exc_info=True)
        reply = {"fault": f"{type(fault).__name__}: {fault}"}
    return {"type": "reply", "ask": message.get("ask"), **reply}
