"""How does a graph get its places? By the package graphviz: ``dot``, else graphviz-pure; else the built-in layout.

Only sizes and internal keys are handed to a program, never a user's text; it writes coordinates, and the drawing is
ours. So the pictures look the same whatever placed them. Nothing here raises, goes to a network or runs for more than
``TIMEOUT`` seconds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from subprocess import TimeoutExpired
from typing import Any

from dwarf.notebook.pictures.geometry import ArrowPath, Box, Layout, Line, Point
from dwarf.notebook.pictures.layered import layered
from dwarf.workflow.drawing.programs import PROGRAMS, find_program, places_of

__all__ = ["PROGRAMS", "TIMEOUT", "find_program", "lay_out", "to_layout_dot"]

TIMEOUT = 5.0  # seconds, for each program

_log = logging.getLogger("dwarf.notebook")
_broken: set[str] = set()


@lru_cache(maxsize=256)
def lay_out(boxes: tuple[Box, ...], lines: tuple[Line, ...], *, across: bool) -> Layout:
    """Place the boxes from left to right (``across``) or from top to bottom."""
    placed = _placed(to_layout_dot(boxes, lines, across=across))
    if placed is not None and all(box.key in placed.centers for box in boxes):
        return placed
    return layered(boxes, lines, across=across)


def to_layout_dot(boxes: Sequence[Box], lines: Sequence[Line], *, across: bool) -> str:
    """The DOT text that asks a program for the places. Keys must be plain names such as ``n0``."""
    text = [
        "digraph {",
        f"graph [rankdir={'LR' if across else 'TB'} nodesep=0.3 ranksep=0.42 nslimit=4 nslimit1=4 splines=true];",
        'node [shape=box fixedsize=true label=""]; edge [arrowsize=0.5];',
    ]
    text += [f"{box.key} [width={box.width / 72:.4f} height={box.height / 72:.4f}];" for box in boxes]
    for line in lines:
        options = [f"id={line.key}"]
        if line.label_width:
            # A table of fixed size keeps the room of the label without telling the program its text.
            cell = f'WIDTH="{line.label_width:.0f}" HEIGHT="{line.label_height:.0f}"'
            options.append(f'label=<<TABLE BORDER="0" FIXEDSIZE="TRUE" {cell}><TR><TD></TD></TR></TABLE>>')
        if line.back:
            options.append("constraint=false")
        text.append(f"{line.source} -> {line.target} [{' '.join(options)}];")
    return "\n".join([*text, "}"])


def _placed(dot: str) -> Layout | None:
    for name in PROGRAMS:
        path = find_program(name)
        if path is None or path in _broken:
            continue
        try:
            return _read(json.loads(places_of(path, dot, timeout=TIMEOUT)), name)
        except TimeoutExpired:
            _log.info("%s did not place a graph of %d lines within %g s", path, dot.count("\n"), TIMEOUT)
        except Exception as fault:  # noqa: BLE001  a program that does not work here must not keep a picture from being shown
            _broken.add(path)
            _log.warning("%s does not work and is not tried again: %s", path, fault)
    return None


def _read(data: Mapping[str, Any], engine: str) -> Layout:
    _, _, width, height = (float(part) for part in data["bb"].split(","))

    def point(text: str) -> Point:
        x, y = text.split(",")[-2:]
        return float(x), height - float(y)

    centers = {each["name"]: point(each["pos"]) for each in data.get("objects", ())}
    routes = {each["id"]: _route(each, point) for each in data.get("edges", ())}
    return Layout(width, height, centers, routes, engine)


def _route(edge: Mapping[str, Any], point: Any) -> ArrowPath:
    parts = edge["pos"].split()
    tips = [part for part in parts if part.startswith("e,")]
    points = [point(part) for part in parts if part[0] not in "es"]
    return ArrowPath(points, point(tips[0]) if tips else points[-1], point(edge["lp"]) if "lp" in edge else None)
