"""A run as a ``graphviz.Digraph``, in the colours of its picture, for those who style it themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dwarf.notebook.pictures.palette import look_of
from dwarf.notebook.pictures.planes import make_plane

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.results import Outcome, Step

__all__ = ["coloured"]


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
