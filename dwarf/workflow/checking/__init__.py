"""What will probably go wrong with a graph though it is valid, and which fields flow where.

Nothing is run: what tasks read and write is read off their annotations and, where those are silent, off their code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dwarf.workflow.checking.finding import Finding as Finding
from dwarf.workflow.parts import END

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph

__all__ = ["Finding", "check", "data_flow", "flowing", "unread", "written_fields"]

Functions = Mapping[str, Callable[..., Any]]


def check(graph: Graph, state: Any = None, functions: Functions | None = None) -> tuple[Finding, ...]:
    """What will probably go wrong. ``functions`` are tasks that a host knows by URL. Never raises."""
    from dwarf.workflow.checking.findings import findings_of
    from dwarf.workflow.checking.wiring import Initial, Wiring

    try:
        return tuple(dict.fromkeys(findings_of(Wiring(graph, Initial.of(state), functions))))
    except Exception:  # noqa: BLE001 - a graph may be invalid, and a function odd: a check never fails for it
        return ()


def unread(
    graph: Graph, fields: Iterable[str], there: Iterable[str], functions: Functions | None = None, *, whole: bool
) -> dict[str, str]:
    """Which of the fields laid over a state look misspelt, each with a sentence. Never raises.

    ``there`` are the fields of the state, ``whole`` says that none but the graph's tasks read it.
    """
    from dwarf.workflow.checking import findings
    from dwarf.workflow.checking.wiring import Initial, Wiring

    try:
        return findings.unread(Wiring(graph, Initial(), functions), fields, there, whole=whole)
    except Exception:  # noqa: BLE001 - as for ``check``
        return {}


def written_fields(graph: Graph, functions: Functions | None = None) -> frozenset[str]:
    """The fields that the tasks of a graph write, as far as can be told. Never raises."""
    from dwarf.workflow.checking.wiring import Initial, Wiring

    try:
        facts = Wiring(graph, Initial(), functions).facts.values()
        return frozenset(name for each in facts for name in each.writes)
    except Exception:  # noqa: BLE001 - as for ``check``
        return frozenset()


def data_flow(graph: Graph) -> Any:
    """The data flow between nodes, as a ``networkx.DiGraph``. The attribute ``fields`` of an edge lists the fields.

    The nodes are those of the graph, "START" for the initial state and "END" for the final one. Each has the
    attributes ``reads`` and ``writes``, and ``known``: whether those are all.
    """
    import networkx as nx

    from dwarf.workflow.checking.wiring import Initial, Wiring

    wiring = Wiring(graph, Initial())
    found: Any = nx.DiGraph(name=graph.name)
    found.add_node("START", reads=(), writes=(), known=False)
    for name, facts in wiring.facts.items():
        known = facts.all_reads and facts.all_writes
        found.add_node(name, reads=tuple(facts.reads), writes=tuple(facts.writes), known=known)
    found.add_node("END", reads=(), writes=(), known=True)
    pairs: dict[tuple[str, str], dict[str, None]] = {}

    def note(writers: Mapping[str, frozenset[str]], field: str, reader: str) -> None:
        field = field if field in writers else field.partition(".")[0]
        for writer in sorted(writers.get(field, frozenset({"START"}))):
            pairs.setdefault((writer, reader), {})[field] = None

    for name, entering in wiring.entering.items():
        for field in wiring.facts[name].reads:
            note(entering.writers, field, name)
        for edge in wiring.graph.transitions_from(name):
            leaving = wiring.leaving(name)
            for field in sorted(wiring.read_on(edge)):
                note(leaving.writers, field, edge.target)
            if edge.target == END:
                for field in leaving.writers:
                    note(leaving.writers, field, END)
    for (writer, reader), fields in pairs.items():
        found.add_edge(writer, reader, fields=tuple(fields))
    return found


def flowing(graph: Graph) -> list[tuple[str, ...]]:
    """For each transition, the fields that flow along it: written before it, and read behind it. Never raises."""
    from dwarf.workflow.checking.wiring import Initial, Wiring

    try:
        wiring = Wiring(graph, Initial())
        later = wiring.read_later()
        found: list[tuple[str, ...]] = []
        for edge in graph.transitions:
            if edge.source not in wiring.entering:
                found.append(())
                continue
            there = wiring.along(edge).writers
            if edge.target == END:
                found.append(tuple(there))
            else:
                facts = wiring.facts.get(edge.target)
                wanted = later.get(edge.target, set()) | (set(facts.reads) if facts else set()) | wiring.read_on(edge)
                found.append(tuple(name for name in there if name in wanted))
        return found
    except Exception:  # noqa: BLE001 - a picture is drawn of any graph
        return [() for _ in graph.transitions]
