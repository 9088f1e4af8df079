"""What does a graph or a run look like? One calm SVG: cards for nodes, and strokes that tell the kinds of edges apart.

Only attributes, no style sheet and no script, so that every front end that shows SVG shows the same. What a live view
changes is marked: ``data-node`` is the place of a node in the graph, ``data-part`` the piece of its card.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dwarf.notebook.pictures.differences import compared
from dwarf.notebook.pictures.folding import Fold, draw_folds, fold_chains
from dwarf.notebook.pictures.formatting import plural
from dwarf.notebook.pictures.layout_plan import HEAD, INNER_PAD, LayoutPlan, NodeCard, layout_plan
from dwarf.notebook.pictures.nodes import draw_card, icon
from dwarf.notebook.pictures.palette import CARD, EDGE, EDGE_TAKEN, HAIR, INK, LOOKS, MUTED, look_of, on_any_ground
from dwarf.notebook.pictures.paths import draw_arrows, taken_arrows
from dwarf.notebook.pictures.remarks import carrying, draw_marks, tell
from dwarf.notebook.pictures.subgraph_views import Plane, lay_plane, make_plane, ways_of
from dwarf.notebook.pictures.svg import Svg, element, escape, fit_text, number, open_svg, text_width, wrap_text
from dwarf.notebook.pictures.views import FlowView, NodeView

if TYPE_CHECKING:
    from dwarf.workflow.checking import Finding
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.results import Outcome, Step

__all__ = [
    "MAX_WIDTH",
    "coloured",
    "draw_graph",
    "draw_plane",
    "draw_run",
    "plain_text",
    "plan_of",
]

MAX_WIDTH = 900.0
_PAD = 18.0
_HEAD = 34.0
_MARGIN = 12.0  # of the drawing that a still picture leaves out: its graph stands where the live view had it
# the look and the word of each difference
_DIFFERENCES = {
    "same": ("idle", "as before"),
    "new": ("completed", "new"),
    "gone": ("cancelled", "gone"),
    "changed": ("interrupted", "changed"),
    "moved": ("running", "moved"),
}
_NOTE = 20.0
_MOST_LINES = 6  # of an error
_LEAST_TEXT = 520.0  # the width of a picture that has sentences under it


def draw_graph(graph: Graph, *, findings: Sequence[Finding] = (), max_width: float = MAX_WIDTH) -> Svg:
    """The picture of a definition. ``findings``: what will probably go wrong with it, told there."""
    plan = carrying(layout_plan(graph, with_status=False, max_width=max_width - 2 * _PAD), graph)
    plane = Plane(graph, (), FlowView(), {}, frozenset())
    return _compose(plane, plan, None, (), max_width, 0.0, findings=findings)


def draw_run(
    graph: Graph,
    steps: Sequence[Step],
    outcome: Outcome | None,
    *,
    asked: Collection[str] = (),
    notes: Sequence[str] = (),
    max_width: float = MAX_WIDTH,
    now: datetime | None = None,
    since: float = 0.0,
    stops: tuple[Collection[str], Collection[str]] = ((), ()),
    folded: bool = False,
) -> Svg:
    """The picture of a run. ``asked``: nodes known to have put questions; ``notes``: lines to stand under the graph.

    ``since``: when the flow began (epoch seconds), where that is not the first step's time. ``stops``: see make_plane.
    ``folded``: see draw_plane.
    """
    moment = now or datetime.now(UTC)
    plane = make_plane(graph, steps, outcome, asked=asked, now=moment, since=since, stops=stops)
    return draw_plane(plane, notes=notes, max_width=max_width, now=moment.timestamp(), folded=folded)


def draw_difference(old: Graph, new: Graph, *, notes: Sequence[str] = (), max_width: float = MAX_WIDTH) -> Svg:
    """The picture of what has become of a graph: both in one, each node with what is different about it."""
    both, states = compared(old, new)
    views = {name: NodeView(_DIFFERENCES[state][0], _DIFFERENCES[state][1]) for name, state in states.items()}
    plane = Plane(both, (), FlowView(), views, frozenset())
    return _compose(plane, lay_plane(plane, max_width - 2 * _PAD), None, notes, max_width, 0.0)


def draw_plane(
    plane: Plane,
    plan: LayoutPlan | None = None,
    *,
    notes: Sequence[str] = (),
    max_width: float = MAX_WIDTH,
    now: float,
    live: bool = False,
    folded: bool = False,
) -> Svg:
    """The picture of what was seen of a run; ``now`` in epoch seconds. ``live``: with hidden marks for a live view.

    ``folded``: where it would be very high only the ends of chains that are done are drawn, as a live view does itself.
    """
    folds: Sequence[Fold] = ()
    plan = plan or plan_of(plane, max_width)
    if folded:
        idle = NodeView()
        plan, folds = fold_chains(plan, lambda name: plane.views.get(name, idle).state == "completed")
    return _compose(plane, plan, plane.whole, notes, max_width, now, live, folds=folds)


def plan_of(plane: Plane, max_width: float = MAX_WIDTH) -> LayoutPlan:
    """Where everything stands in the picture of a run."""
    return lay_plane(plane, max_width - 2 * _PAD)


def plain_text(plane: Plane, whole: FlowView | None, now: float, indent: str = "") -> str:
    """The same for a reader without pictures."""
    graph = plane.graph
    if whole is None:
        views = {name: f" ({view.word})" for name, view in plane.views.items() if view.word}
        return f"{graph.name}: " + ", ".join(f"{node.name}{views.get(node.name, '')}" for node in graph.nodes)
    lines = [f"{indent}{graph.name}: {whole.text(now)}"]
    for node in graph.nodes:
        view = plane.views.get(node.name, NodeView())
        look = look_of(view.state)
        lines.append(f"{indent}  {look.sign} {node.name}: {view.text(now) or look.word}{_stop_words(view)}")
        child = plane.inner.get(node.name)
        if child is not None:
            lines.append(plain_text(child, child.whole, now, indent + "    "))
    return "\n".join([*lines, f"{indent}{whole.error}"] if whole.error else lines)


def _stop_words(view: NodeView) -> str:
    places = [at for at, stops in (("before", view.stops_before), ("after", view.stops_after)) if stops]
    return f" (the flow stops {' and '.join(places)} it)" if places else ""


def _compose(
    plane: Plane,
    plan: LayoutPlan,
    whole: FlowView | None,
    notes: Sequence[str],
    max_width: float,
    now: float,
    live: bool = False,
    findings: Sequence[Finding] = (),
    folds: Sequence[Fold] = (),
) -> Svg:
    graph = plane.graph
    title = _header(graph.name, whole, now, live)
    is_told = whole is not None and whole.error and not live  # a live view tells it under the picture
    told = f"{look_of(whole.state).sign} {whole.error}" if whole is not None and is_told else ""
    inner = max(plan.layout.width, title[1], _LEAST_TEXT if findings else 220.0)
    width = max(inner + 2 * _PAD, title[1] + _PAD)
    inner = width - 2 * _PAD
    lines = _wrapped(told, inner)
    said = [line for remark in tell(findings) for line in wrap_text(remark, inner, 12)]
    foot = _NOTE * (len(lines) + len(notes) + len(said))
    height = _HEAD + plan.layout.height + 2 * _PAD + (foot + 6 if foot else 0)
    shown = {} if live else {"left": _MARGIN, "top": _MARGIN / 2}
    wide, high = (width, height) if live else (width - 2 * _MARGIN, height - 1.5 * _MARGIN)
    scale = min(1.0, max_width / wide)
    left, top = _PAD + (inner - plan.layout.width) / 2, _HEAD + _PAD
    stands = str if live else on_any_ground  # a live view knows the page's colours
    body = [
        open_svg(wide, high, _label(graph, whole, now), scale, name=graph.name if live else None, **shown),
        title[0],
        f'<g transform="translate({number(left)} {number(top)})">',
        *_inside(plane, plan, whole, now, live),
        *draw_marks(plan, findings),
        *map(on_any_ground, draw_folds(folds)),
        "</g>",
        *map(stands, _footer(lines, notes, inner, top + plan.layout.height + _PAD, said, told)),
        "</svg>",
    ]
    return Svg("".join(body), alt=plain_text(plane, whole, now))


def _inside(
    plane: Plane, plan: LayoutPlan, whole: FlowView | None, now: float, live: bool, prefix: str = ""
) -> list[str]:
    """The graph of a plane, and those that stand open in its nodes. ``prefix`` begins the paths of all of it."""
    ways = ways_of(plane, plan) if whole is not None else taken_arrows(plan, None, done=False)
    stands = str if live or prefix else on_any_ground  # what is inside a node stands on its sheet
    pieces = [stands(piece) for piece in (*draw_arrows(plan, ways, prefix), *_ends(plan, whole))]
    for index, card in enumerate(plan.cards):
        path = f"{prefix}{index}"
        told = whole is not None or bool(plane.views)
        pieces.append(draw_card(plan, card, path, plane.views.get(card.name), told, now, live))
        child = plane.inner.get(card.name)
        if card.inner is not None and child is not None:
            pieces += _opened(plan, card, child, now, live, path)
    return pieces


def _opened(plan: LayoutPlan, card: NodeCard, child: Plane, now: float, live: bool, path: str) -> list[str]:
    """A subgraph inside its node: a sheet of its own, so that the node's state does not colour it."""
    inner = card.inner
    assert inner is not None
    x, y = plan.layout.centers[card.key]
    x, y = x - card.outer[0] / 2, y - card.outer[1] / 2
    edge = INNER_PAD - 4
    sheet = element(
        "rect",
        x=edge,
        y=HEAD - 2,
        width=card.width - 2 * edge,
        height=card.height - HEAD - edge + 2,
        rx=6,
        fill=CARD,
        stroke=HAIR,
    )
    left = (card.width - inner.layout.width) / 2
    return [
        f'<g transform="translate({number(x)} {number(y)})">',
        sheet,
        f'<g transform="translate({number(left)} {number(HEAD + INNER_PAD / 2 - 4)})">',
        *_inside(child, inner, child.whole, now, live, f"{path}/"),
        "</g></g>",
    ]


def _label(graph: Graph, whole: FlowView | None, now: float) -> str:
    return f"Workflow {graph.name}" + (f", {whole.text(now)}" if whole is not None else "")


def _header(name: str, whole: FlowView | None, now: float, live: bool) -> tuple[str, float]:
    """The title line and its width. The name stands on the page itself, the status on a ground of its own."""
    shown = fit_text(name or "workflow", 420, 14, bold=True)
    title = element("text", shown, data_part="head", x=_PAD, y=27, font_size=14, font_weight=600, fill=INK)
    title = title if live else on_any_ground(title)
    end = _PAD + text_width(shown, 14, bold=True) + 14
    if whole is None:
        return title, end
    look = look_of(whole.state)
    words = whole.text(now)
    wide = text_width(words, 11.5) + 32
    held = text_width(words, 11.5)  # in another font than Helvetica it would stick out
    pill = [
        f'<g data-part="flow" transform="translate({number(end)} 11)">',
        element("rect", data_part="card", width=wide, height=22, rx=11, fill=look.fill, stroke=look.line),
        icon(look, 12, 11, 0.72),
        element("text", words, data_part="line", x=23, y=15, font_size=11.5, fill=look.ink, textLength=held),
        "</g>",
    ]
    return title + "".join(pill), end + wide + 60


def _ends(plan: LayoutPlan, whole: FlowView | None) -> list[str]:
    """The start dot and the end ring."""
    pieces = []
    if plan.has_start:
        x, y = plan.layout.centers["start"]
        pieces.append(f"<g><title>start</title>{element('circle', cx=x, cy=y, r=6, fill=EDGE_TAKEN)}</g>")
    if plan.has_end:
        x, y = plan.layout.centers["end"]
        reached = whole is None or whole.state == "completed"
        colour = EDGE_TAKEN if reached else EDGE
        ring = element("circle", cx=x, cy=y, r=7, fill=CARD, stroke=colour, stroke_width=1.5)
        pieces.append(f"<g><title>end</title>{ring}{element('circle', cx=x, cy=y, r=3.6, fill=colour)}</g>")
    return pieces


def _wrapped(text: str, room: float) -> list[str]:
    """An error, on some lines; what is longer is whole on hover, and in the run's own error."""
    lines = wrap_text(text, room, 12)
    left = len(lines) - _MOST_LINES
    return lines if left <= 0 else [*lines[: _MOST_LINES - 1], f"… and {plural(left + 1, 'more line')}"]


def _footer(
    errors: Sequence[str], notes: Sequence[str], room: float, top: float, said: Sequence[str] = (), error: str = ""
) -> list[str]:
    """Lines under a graph. ``error`` is the whole text that is wrapped in ``errors``, for the tooltip."""
    lines = [(text, LOOKS["failed"].ink, error) for text in errors] + [(text, MUTED, text) for text in notes]
    lines += [(text, LOOKS["retrying"].ink, text) for text in said]
    pieces = []
    for index, (text, ink, whole) in enumerate(lines):
        y = top + 12 + index * _NOTE
        shown = element("text", fit_text(text, room, 12), x=_PAD, y=y, font_size=12, fill=ink)
        pieces.append(f"<g><title>{escape(whole)}</title>{shown}</g>")
    return pieces


def coloured(graph: Graph, steps: Sequence[Step], outcome: Outcome | None, *, rankdir: str = "LR") -> Any:
    """The drawing of a graph, each node in the colours of its state, with its words in a second line."""
    import graphviz

    now = datetime.now(UTC)
    plane = make_plane(graph, steps, outcome, now=now)
    drawing = graph.to_graphviz(rankdir=rankdir)
    for index, node in enumerate(graph.nodes):
        view = plane.views.get(node.name)
        if view is None:
            continue
        look = look_of(view.state)
        words = view.text(now.timestamp()) or look.word
        style = {"fillcolor": look.fill, "color": look.line, "fontcolor": look.ink, "tooltip": f"{node.name}: {words}"}
        label = f"{node.name}\n{words}"
        escaped = {name: graphviz.escape(text) for name, text in {**style, "label": label}.items()}
        drawing.node(f"n{index}", **{**escaped, "label": escaped["label"].replace("\n", r"\n")})
    return drawing
