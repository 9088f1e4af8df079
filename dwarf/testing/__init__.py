"""How do I test my workflows? Engines in memory, a clock to move, answers by script."""

from __future__ import annotations

from dwarf.testing.answers import ScriptedAnswers as ScriptedAnswers
from dwarf.testing.clock import VirtualClock as VirtualClock
from dwarf.testing.engines import engine_for_test as engine_for_test
from dwarf.testing.hosts import HostCheck as HostCheck
from dwarf.testing.hosts import HostFaults as HostFaults
from dwarf.testing.hosts import check_host as check_host
from dwarf.testing.hosts import host_tasks as host_tasks
from dwarf.testing.lost_writes import LostWriteWarning as LostWriteWarning

__all__ = [
    "HostCheck",
    "HostFaults",
    "LostWriteWarning",
    "ScriptedAnswers",
    "VirtualClock",
    "check_host",
    "engine_for_test",
    "host_tasks",
]
