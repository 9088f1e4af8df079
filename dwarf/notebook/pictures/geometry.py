"""What is a layout? Boxes and lines to place, and where they ended up. Pixels, y downwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Box", "Layout", "Line", "Point", "ArrowPath"]

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """Something with a place: ``width`` and ``height`` in pixels."""

    key: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """An arrow to be routed, with room for a label; ``back`` keeps it from pulling its target below its source."""

    key: str
    source: str
    target: str
    label_width: float = 0
    label_height: float = 0
    back: bool = False


@dataclass(frozen=True, slots=True)
class ArrowPath:
    """The way of an arrow: cubic Bezier points (one, then three for each piece), its tip, and its label's middle."""

    points: Sequence[Point]
    tip: Point
    label: Point | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is. ``engine`` names what placed it."""

    width: float
    height: float
    centers: Mapping[str, Point]
    routes: Mapping[str, ArrowPath]
    engine: str
