"""What the engine asks of a host."""

from __future__ import annotations

from dwarf.workflow.host import Host as Host

__all__ = ["Host"]
