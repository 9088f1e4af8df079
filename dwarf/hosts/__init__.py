"""How a task is reached."""

from __future__ import annotations

from dwarf.hosts.local import LocalHost as LocalHost
from dwarf.hosts.protocol import Host as Host

__all__ = ["Host", "LocalHost"]
