"""The engine: it runs and stores flows, and is the API for all of them."""

from __future__ import annotations

from dwarf.engine.config import Codec as Codec
from dwarf.engine.config import Shard as Shard
from dwarf.engine.config import ShardInfo as ShardInfo
from dwarf.engine.config import Timing as Timing
from dwarf.engine.engine import Engine as Engine
from dwarf.engine.handle import FlowHandle as FlowHandle
from dwarf.engine.query import FlowQuery as FlowQuery
from dwarf.engine.schedule import Schedule as Schedule

__all__ = ["Codec", "Engine", "FlowHandle", "FlowQuery", "Schedule", "Shard", "ShardInfo", "Timing"]
