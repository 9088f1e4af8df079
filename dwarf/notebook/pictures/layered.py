"""How is a graph placed where no Graphviz is at hand? A small layered layout, in Python only.

It is not the third of its kind for its own sake: a graph that Graphviz does not place within its seconds (some hundred
nodes with thousands of edges) would have no picture at all, and neither would a platform for which there is neither a
``dot`` nor a wheel of graphviz-pure. What shows a graph never fails, and never makes a cell wait.

The classic four steps: turn back edges round, rank by longest path, order each rank by barycentres, then place. Long
edges get a waypoint on every rank they cross, so that they do not run through boxes. ``u`` is the axis along the ranks,
``v`` the axis across them; only ``_finish`` knows which of them is horizontal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from dwarf.notebook.pictures.geometry import ArrowPath, Box, Layout, Line, Point

__all__ = ["layered"]

_GAP_V = 26.0
_GAP_U = 20.0
_SWEEPS = 6
_MARGIN = 4.0

Chain = list[str]
Place = Callable[[float, float], Point]


def layered(boxes: Sequence[Box], lines: Sequence[Line], *, across: bool) -> Layout:
    """Place the boxes in ranks, from left to right (``across``) or from top to bottom."""
    if not boxes:
        return Layout(0, 0, {}, {}, "built-in")
    known = {box.key for box in boxes}
    real = [line for line in lines if line.source in known and line.target in known]
    turned = _turned(boxes, real)
    ranks = _ranks(boxes, real, turned)
    size = {box.key: (box.width, box.height) if across else (box.height, box.width) for box in boxes}
    chains, tags = _chains(real, turned, ranks, size, across)
    links = [(a, b) for chain in chains.values() for a, b in pairwise(chain)]
    rows = _order(ranks, links)
    u = _along(rows, size)
    v = _across(rows, size, links)
    at = {key: (u[rank], v[key]) for key, rank in ranks.items()}
    stops = _stops(chains, at, size)
    return _finish(boxes, real, stops, turned, tags, at, size, across)


def _turned(boxes: Sequence[Box], lines: Sequence[Line]) -> set[str]:
    """The keys of the lines that close a cycle; they are laid out against their direction."""
    onward: dict[str, list[Line]] = {box.key: [] for box in boxes}
    for line in sorted(lines, key=lambda each: each.back):
        if line.source != line.target:
            onward[line.source].append(line)
    state: dict[str, int] = {}
    turned: set[str] = set()
    for box in boxes:
        stack = [(box.key, iter(onward[box.key]))] if box.key not in state else []
        state.setdefault(box.key, 1)
        while stack:
            key, rest = stack[-1]
            ahead = next(rest, None)
            if ahead is None:
                state[key] = 2
                stack.pop()
            elif state.get(ahead.target) == 1:
                turned.add(ahead.key)
            elif ahead.target not in state:
                state[ahead.target] = 1
                stack.append((ahead.target, iter(onward[ahead.target])))
    return turned


def _ranks(boxes: Sequence[Box], lines: Sequence[Line], turned: set[str]) -> dict[str, int]:
    onward: dict[str, list[str]] = {box.key: [] for box in boxes}
    waiting = dict.fromkeys(onward, 0)
    for line in lines:
        if line.source != line.target:
            a, b = (line.target, line.source) if line.key in turned else (line.source, line.target)
            onward[a].append(b)
            waiting[b] += 1
    ranks = dict.fromkeys(onward, 0)
    ready = deque(key for key, count in waiting.items() if not count)
    while ready:
        key = ready.popleft()
        for target in onward[key]:
            ranks[target] = max(ranks[target], ranks[key] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return ranks


def _chains(
    lines: Sequence[Line], turned: set[str], ranks: dict[str, int], size: dict[str, Point], across: bool
) -> tuple[dict[str, Chain], dict[str, str]]:
    """The boxes and waypoints that each line passes, in rank order, and the waypoint that holds each label.

    Ranks are doubled, so that every line has a waypoint and a label stands in a rank of its own, where nothing else
    can cover it. Adds the waypoints to ``ranks`` and ``size``.
    """
    chains: dict[str, Chain] = {}
    tags: dict[str, str] = {}
    for key in ranks:
        ranks[key] *= 2
    for line in lines:
        if line.source == line.target:
            continue
        a, b = (line.target, line.source) if line.key in turned else (line.source, line.target)
        between = [f"\0{line.key}\0{rank}" for rank in range(ranks[a] + 1, ranks[b])]
        for index, key in enumerate(between):
            ranks[key] = ranks[a] + 1 + index
            size[key] = (0.0, 0.0)
        if line.label_width:
            tag = between[-1] if line.key in turned else between[0]
            size[tag] = (line.label_width, line.label_height) if across else (line.label_height, line.label_width)
            tags[line.key] = tag
        chains[line.key] = [a, *between, b]
    return chains, tags


def _order(ranks: Mapping[str, int], links: Sequence[tuple[str, str]]) -> list[list[str]]:
    rows: list[list[str]] = [[] for _ in range(max(ranks.values()) + 1)]
    for key, rank in ranks.items():
        rows[rank].append(key)
    before: dict[str, list[str]] = {key: [] for key in ranks}
    after: dict[str, list[str]] = {key: [] for key in ranks}
    for a, b in links:
        after[a].append(b)
        before[b].append(a)
    place = {key: float(index) for row in rows for index, key in enumerate(row)}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        neighbours = before if down else after
        for row in rows if down else reversed(rows):
            row.sort(key=lambda key: _mean([place[other] for other in neighbours[key]], place[key]))
            place.update({key: float(index) for index, key in enumerate(row)})
    return rows


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _along(rows: list[list[str]], size: Mapping[str, Point]) -> list[float]:
    """The middle of each rank."""
    middles: list[float] = []
    edge = 0.0
    for row in rows:
        depth = max((size[key][0] for key in row), default=0.0)
        middles.append(edge + depth / 2)
        edge += depth + _GAP_U
    return middles


def _across(rows: list[list[str]], size: Mapping[str, Point], links: Sequence[tuple[str, str]]) -> dict[str, float]:
    neighbours: dict[str, list[str]] = {}
    for a, b in links:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    v: dict[str, float] = {}
    for row in rows:
        _spread(row, {}, size, v)
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wish = {key: _mean([v[other] for other in neighbours.get(key, ())], v[key]) for key in row}
            _spread(row, wish, size, v)
    return v


def _spread(row: Sequence[str], wish: Mapping[str, float], size: Mapping[str, Point], v: dict[str, float]) -> None:
    """Put a rank's boxes as near to their wishes as their order and the gaps allow."""
    edge = float("-inf")
    for key in row:
        half = size[key][1] / 2
        v[key] = max(wish.get(key, 0.0 if edge == float("-inf") else edge), edge + half)
        edge = v[key] + half + _GAP_V
    shift = _mean([wish.get(key, v[key]) - v[key] for key in row], 0.0) if wish else -(v[row[0]] + v[row[-1]]) / 2
    for key in row:
        v[key] += shift


def _stops(chains: Mapping[str, Chain], at: Mapping[str, Point], size: Mapping[str, Point]) -> dict[str, list[Point]]:
    """The points each line passes. Lines leave and reach a box side by side, in the order of their neighbours."""
    stops = {key: [at[stop] for stop in chain] for key, chain in chains.items()}
    for end, inner, sign in ((0, 1, 1), (-1, -2, -1)):
        sides: dict[str, list[str]] = {}
        for key, chain in chains.items():
            sides.setdefault(chain[end], []).append(key)
        for box, keys in sides.items():
            keys.sort(key=lambda key: stops[key][inner][1])
            u, v = at[box][0] + sign * size[box][0] / 2, at[box][1]
            step = min(size[box][1] * 0.7 / len(keys), 22.0)
            for index, key in enumerate(keys):
                stops[key][end] = (u, v + (index - (len(keys) - 1) / 2) * step)
    return stops


def _finish(
    boxes: Sequence[Box],
    lines: Sequence[Line],
    stops: Mapping[str, list[Point]],
    turned: set[str],
    tags: Mapping[str, str],
    at: Mapping[str, Point],
    size: Mapping[str, Point],
    across: bool,
) -> Layout:
    low = min(v - size[key][1] / 2 for key, (_, v) in at.items()) - _MARGIN

    def xy(u: float, v: float) -> Point:
        return (u + _MARGIN, v - low) if across else (v - low, u + _MARGIN)

    routes: dict[str, ArrowPath] = {}
    for line in lines:
        if line.source == line.target:
            routes[line.key] = _loop(at[line.source], size[line.source], xy)
        else:
            tag = tags.get(line.key)
            routes[line.key] = _route(stops[line.key], line.key in turned, at[tag] if tag else None, xy)
    centers = {box.key: xy(*at[box.key]) for box in boxes}
    corners = [xy(u + size[key][0] / 2, v + size[key][1] / 2) for key, (u, v) in at.items()]
    corners += [point for route in routes.values() for point in route.points]
    return Layout(
        max(x for x, _ in corners) + _MARGIN, max(y for _, y in corners) + _MARGIN, centers, routes, "built-in"
    )


def _route(stops: Sequence[Point], is_turned: bool, label: Point | None, xy: Place) -> ArrowPath:
    """A smooth curve through the stops that leaves and arrives along the ranks' axis."""
    last = len(stops) - 1
    flat: list[Point] = [stops[0]]
    for index, ((u1, v1), (u2, v2)) in enumerate(pairwise(stops)):
        du = u2 - u1
        leave = 0.0 if index == 0 else (v2 - stops[index - 1][1]) / 2
        arrive = 0.0 if index + 1 == last else (stops[index + 2][1] - v1) / 2
        flat += [(u1 + du * 0.4, v1 + leave * 0.4), (u2 - du * 0.4, v2 - arrive * 0.4), (u2, v2)]
    if is_turned:
        flat.reverse()
    points = [xy(*point) for point in flat]
    return ArrowPath(points, points[-1], xy(*label) if label else None)


def _loop(at: Point, size: Point, xy: Place) -> ArrowPath:
    u, v = at
    side = v + size[1] / 2
    flat = [
        (u + size[0] / 4, side),
        (u + size[0] / 3, side + 30),
        (u - size[0] / 3, side + 30),
        (u - size[0] / 4, side),
    ]
    points = [xy(*point) for point in flat]
    return ArrowPath(points, points[-1], xy(u, side + 30))
