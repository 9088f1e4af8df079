"""How do graphs and outcomes come to display well? By a hook of the Graph, and formatters in IPython."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from dwarf.notebook.errors import install_short_errors
from dwarf.notebook.kernel import shell
from dwarf.notebook.pictures.formatting import brief
from dwarf.notebook.pictures.picture import draw_graph
from dwarf.notebook.pictures.remarks import findings_of, tell
from dwarf.surroundings import without_password
from dwarf.workflow import graph as graph_module
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph
from dwarf.workflow.results import Outcome, Step

__all__ = ["add_formatters", "graph_bundle", "install", "outcome_bundle", "record_html"]

# By module and name, so that nothing is loaded for it. What is not here displays itself, or by its text alone.
_RECORDS = {
    "dwarf.workflow.checking.finding": ("Finding",),
    "dwarf.workflow.output": ("LogLine",),
    "dwarf.workflow.parts": ("Limit", "Node", "Transition"),
    "dwarf.workflow.policies": ("Cache", "Retry"),
    "dwarf.workflow.results": ("Answered", "FlowSummary", "FlowUpdate", "Step", "SubFlow"),
    "dwarf.engine.config": ("Shard", "ShardInfo", "Timing"),
}
# A key grants access, and saved notebooks are passed on. The fairness key and those of limits and caches are names.
_KEYS = ("flow_key", "thread_key", "step_key", "prev_key", "next_key", "cached_from")


def graph_bundle(graph: Graph) -> Mapping[str, Any]:
    """A graph as a picture and a line of text. It never raises: what cannot be drawn is told in words."""
    try:
        findings = findings_of(graph)
        words = "\n".join([repr(graph), *tell(findings)])
        return {"image/svg+xml": str(draw_graph(graph, findings=findings)), "text/plain": words}
    except Exception:  # noqa: BLE001  a display that fails would fail the cell
        return {"text/plain": repr(graph)}


def outcome_bundle(outcome: Outcome) -> Mapping[str, str]:
    """An outcome as a short table: a state may hold far more than a reader wants to scroll past."""
    lines = [(name, brief(value, 100)) for name, value in outcome.state.items()]
    told = outcome.error or outcome.cancel_reason
    head = f"{outcome.status}: {told}" if told else str(outcome.status)
    width = max((len(name) for name, _ in lines), default=0)
    plain = "\n".join([head, *(f"  {name:<{width}}  {text}" for name, text in lines)])
    return {"text/plain": plain, "text/html": _table(head, lines)}


def record_html(record: Any) -> str:
    """A step, a node, a limit or another such record: a row for each field that is not at its default, without keys."""
    hidden = (*_KEYS, "key") if isinstance(record, Step) else _KEYS
    lines = []
    for field in fields(record):
        value = getattr(record, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if field.name not in hidden and (type(value) is not type(default) or value != default):
            lines.append((field.name, without_password(brief(value, 100))))
    return _table(type(record).__name__, lines)


def flow_html(flow: Flow) -> str:
    """The state that a task sees: a row for each field."""
    return _table("Flow", [(name, brief(value, 100)) for name, value in flow.items()])


def _table(head: str, lines: Sequence[tuple[str, str]]) -> str:
    left = "style='text-align:left'"
    cells = [f"<th {left}>{html.escape(name)}</th><td {left}>{html.escape(text)}</td>" for name, text in lines]
    rows = "".join(f"<tr>{cell}</tr>" for cell in cells)
    return f"<b>{html.escape(head)}</b><table>{rows}</table>"


def install() -> None:
    """Set the hook, and where IPython runs the formatters and the magic ``%dwarf``.

    The one of graphs gives the picture only: front ends that find Mermaid text beside it would take that instead, and
    draw a larger and poorer picture with a script.
    """
    graph_module.display_hook = graph_bundle
    here = shell()
    install_short_errors(here)
    if here is not None:
        from dwarf.notebook.magic import load_ipython_extension

        load_ipython_extension(here)
    formatter = getattr(here, "display_formatter", None)
    if formatter is not None:
        add_formatters(formatter)


def add_formatters(display: Any) -> None:
    """Teach a DisplayFormatter of IPython what graphs, outcomes, flows and records look like."""
    bundles = getattr(display, "mimebundle_formatter", None)
    if bundles is not None:
        bundles.for_type(Graph, _formatted)
        bundles.for_type(Outcome, _formatted_outcome)
    pages = display.formatters["text/html"]
    pages.for_type(Flow, flow_html)
    for module, names in _RECORDS.items():
        for name in names:
            pages.for_type_by_name(module, name, record_html)


def _formatted(graph: Graph, include: Any = None, exclude: Any = None) -> Mapping[str, Any]:
    return graph_bundle(graph)


def _formatted_outcome(outcome: Outcome, include: Any = None, exclude: Any = None) -> Mapping[str, str]:
    return outcome_bundle(outcome)
