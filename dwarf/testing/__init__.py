"""How do I test my workflows? Engines in memory, a clock to move, answers by script."""

from __future__ import annotations

from dwarf.testing.answers import ScriptedAnswers as ScriptedAnswers
from dwarf.testing.clock import VirtualClock as VirtualClock
from dwarf.testing.engines import engine_for_test as engine_for_test
from dwarf.testing.lost_writes import LostWriteWarning as LostWriteWarning

__all__ = ["LostWriteWarning", "ScriptedAnswers", "VirtualClock", "engine_for_test"]
