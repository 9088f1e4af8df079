"""The checks: each looks at one way in which a valid graph goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from dwarf.workflow.checking.finding import Finding
from dwarf.workflow.checking.records import Write
from dwarf.workflow.checking.wiring import Wiring, fields_in, injected
from dwarf.workflow.habits import WHOLE_STATE
from dwarf.workflow.parts import END, Node, Transition
from dwarf.workflow.suggest import did_you_mean

__all__ = ["findings_of"]


def findings_of(wiring: Wiring) -> Iterator[Finding]:
    """Everything that is found, in the order of the nodes."""
    for check in (_unknown, _mismatched, _endless, _lost, _left_inside, _unused, _shadowed, _reduced):
        yield from check(wiring)


# ---------------------------------------------------------------- fields that nobody writes


def _unknown(wiring: Wiring) -> Iterator[Finding]:
    for node in wiring.graph.nodes:
        entering = wiring.entering.get(node.name)
        if entering is None:
            continue
        facts = wiring.facts[node.name]
        if not entering.open:
            there = entering.writers.keys() | facts.writes.keys()
            for field in facts.needs:
                if field not in entering.writers:
                    yield from _missing(wiring, node.name, field, there, f"task {node.url!r} needs the field {field!r}")
            for field, where in _keys(node):
                if field not in entering.writers:
                    yield from _missing(wiring, node.name, field, there, where)
        leaving = wiring.leaving(node.name)
        if leaving.open:
            continue
        for edge in wiring.graph.transitions_from(node.name):
            for name in fields_in(edge.when):
                if not _is_there(name, leaving.writers.keys()):
                    where = f"the condition {edge.when!r} of {node.name!r} -> {edge.target!r} reads the field {name!r}"
                    yield from _missing(wiring, node.name, name, leaving.writers.keys(), where)
            if edge.for_each and edge.for_each not in leaving.writers:
                where = f"the for-each {node.name!r} -> {edge.target!r} goes over the field {edge.for_each!r}"
                yield from _missing(wiring, node.name, edge.for_each, leaving.writers.keys(), where)


def _keys(node: Node) -> Iterator[tuple[str, str]]:
    """The fields by which a node's policies tell inputs apart, each with what it is read for."""
    if node.limit is not None and node.limit.key:
        yield node.limit.key, f"its limit counts by the field {node.limit.key!r}"
    for field in (node.cache.key if node.cache is not None else None) or ():
        yield field, f"its cache is keyed by the field {field!r}"


def _missing(wiring: Wiring, node: str, field: str, there: Any, where: str) -> Iterator[Finding]:
    first = field.partition(".")[0]
    if wiring.initial.known:
        hint = did_you_mean(first, (name for name in there if name != first)).removeprefix("; ")
        if not hint and first in WHOLE_STATE:
            hint = "a task that takes the whole state declares `flow: Flow`, and reads flow['x']"
        text = f"{where}, which neither the initial state nor a node before it writes"
        yield Finding("unknown-field", node, first, f"node {node!r}: {text}", hint)
        return
    written = {name for facts in wiring.facts.values() for name in facts.writes}
    close = sorted(name for name in written if _is_slip(first, name))
    if close and not _read_elsewhere(wiring, node, first):
        text = f"{where}, which no node before it writes"
        yield Finding("unknown-field", node, first, f"node {node!r}: {text}", f"did you mean {close[0]!r}?")


def _is_there(name: str, there: Any) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:count]) in there for count in range(1, len(parts) + 1))


def _is_slip(one: str, other: str) -> bool:
    """Whether a name looks like another one misspelt, and not like its plural, its number or its companion."""
    if one == other or min(len(one), len(other)) < 4 or one.rstrip("s") == other.rstrip("s"):
        return False
    if re.sub(r"\d", "", one) == re.sub(r"\d", "", other) or one.startswith(other) or other.startswith(one):
        return False
    if one.lower() == other.lower() or one.replace("_", "") == other.replace("_", ""):
        return True
    if sorted(one) == sorted(other):
        return True  # two letters have changed places
    if abs(len(one) - len(other)) > 1 or one[0] != other[0]:
        return False
    return SequenceMatcher(None, one, other).ratio() >= 0.84


def _read_elsewhere(wiring: Wiring, node: str, field: str) -> bool:
    others = [facts for name, facts in wiring.facts.items() if name != node]
    return any(field in facts.reads for facts in others)


# ---------------------------------------------------------------- types


def _mismatched(wiring: Wiring) -> Iterator[Finding]:
    for node in wiring.graph.nodes:
        entering = wiring.entering.get(node.name)
        if entering is None:
            continue
        for field, kind in wiring.facts[node.name].reads.items():
            if field in wiring.graph.reducers:
                continue
            for writer in sorted(entering.writers.get(field, ())):
                written = _written(wiring, writer, field)
                if not _may_fit(written, kind):
                    yield Finding(
                        "type-mismatch",
                        node.name,
                        field,
                        f"node {node.name!r} reads {field!r} as {_named(kind)}, but {_who(writer)} {_named(written)}",
                        "let both agree on the type",
                    )
                    break
        for edge in wiring.graph.transitions_from(node.name):
            for writer in sorted(wiring.leaving(node.name).writers.get(edge.for_each, ())) if edge.for_each else ():
                written = _written(wiring, writer, edge.for_each)
                if written in (str, int, float, bool, dict):
                    yield Finding(
                        "type-mismatch",
                        node.name,
                        edge.for_each,
                        f"the for-each {node.name!r} -> {edge.target!r} goes over {edge.for_each!r}, "
                        f"which is {_named(written)}",
                        "it must be a list",
                    )


def _who(writer: str) -> str:
    return "the initial state has" if writer == "START" else f"node {writer!r} writes"


def _written(wiring: Wiring, writer: str, field: str) -> Any:
    if writer == "START":
        return wiring.initial.fields.get(field, Any)
    write = wiring.facts[writer].writes.get(field) if writer in wiring.facts else None
    return Any if write is None else write.kind


_PLAIN = frozenset({str, int, float, bool, list, dict})


def _may_fit(written: Any, read: Any) -> bool:
    """Whether a value written as one type may be read as another; true for everything that is not plain to see."""
    options = _options(read)
    if any(option not in _PLAIN for option in options):
        return True
    for one in _options(written):
        if one not in _PLAIN or one in options or (one in (int, float) and (float in options or int in options)):
            return True
    return False


def _options(kind: Any) -> list[Any]:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        return [option for one in get_args(kind) if one is not type(None) for option in _options(one)]
    return [get_origin(kind) or kind]


def _named(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")


# ---------------------------------------------------------------- loops


def _endless(wiring: Wiring) -> Iterator[Finding]:
    import networkx as nx

    graph: Any = nx.DiGraph()
    graph.add_nodes_from(wiring.entering)
    ends = set()
    for name in wiring.entering:
        edges = wiring.graph.transitions_from(name)
        ways = [edge for edge in edges if not (edge.goto or edge.on_error)]
        graph.add_edges_from((name, edge.target) for edge in edges if edge.target in wiring.entering)
        if any(edge.target == END for edge in edges) or not ways or all(map(_may_fail, ways)):
            ends.add(name)
    reach = set(ends)
    for name in ends:
        reach |= nx.ancestors(graph, name)
    lost = [name for name in wiring.entering if name not in reach]
    if not lost:
        return
    for component in nx.strongly_connected_components(graph.subgraph(lost)):
        cycle = [name for name in wiring.entering if name in component]
        if len(cycle) > 1 or graph.has_edge(cycle[0], cycle[0]):
            shown = ", ".join(map(repr, cycle[:6])) + (", ..." if len(cycle) > 6 else "")
            text = f"a flow that comes to {shown} goes round for ever: no way leads from there to an end"
            yield Finding("endless-loop", cycle[0], "", text, "add a switch with an arm that leads out, or to END")


def _may_fail(edge: Transition) -> bool:
    """Whether a transition may not be taken: then a flow may end at its source."""
    return bool(edge.when) and edge.when.strip().lower() != "true"


# ---------------------------------------------------------------- parallel branches


def _lost(wiring: Wiring) -> Iterator[Finding]:
    read_later = wiring.read_later()
    for source, fan_in in wiring.fan_in_of.items():
        if source not in wiring.entering or fan_in not in wiring.facts:
            continue
        lent = {name for edge in wiring.graph.transitions_from(source) for name in injected(edge)}
        inside = wiring.cohort(source)
        read_inside = {name for node in inside for name in wiring.facts[node].reads}
        read_inside |= {
            name for node in inside for edge in wiring.graph.transitions_from(node) for name in wiring.read_on(edge)
        }
        behind = set(wiring.facts[fan_in].reads) | read_later[fan_in]
        for field, writers in _parallel(wiring, source, inside).items():
            if field in wiring.graph.reducers or field in lent:
                continue
            if field in behind or (field not in read_inside and _stays(wiring, fan_in, field)):
                where = " and ".join(map(repr, writers)) if len(writers) > 1 else f"each branch of {writers[0]!r}"
                yield Finding(
                    "lost-write",
                    writers[0],
                    field,
                    f"{where} {'write' if len(writers) > 1 else 'writes'} {field!r} side by side, and only the last "
                    f"one is left at {fan_in!r}",
                    f"give the field a reducer: Graph(..., reducers={{{field!r}: 'append'}}), and write a list of one",
                )


def _left_inside(wiring: Wiring) -> Iterator[Finding]:
    """Fields that an inner fan-in gathers and does not write on, so that nothing of them comes to the outer one."""
    for inner, join, outer_join in _nested(wiring):
        branches = wiring.inside(inner)
        others = [facts for name, facts in wiring.facts.items() if name not in branches]
        if not all(facts.all_writes for facts in others):
            continue
        elsewhere = wiring.initial.fields.keys() | {field for facts in others for field in facts.writes}
        inside = (facts for name, facts in wiring.facts.items() if name in branches)
        for field in dict.fromkeys(field for facts in inside for field in facts.writes):
            if field not in wiring.graph.reducers or field in elsewhere:
                continue
            if reader := _read_from(wiring, outer_join, field):
                yield Finding(
                    "lost-write",
                    join,
                    field,
                    f"{join!r} gathers {field!r} from the branches of {inner!r} and does not write it: nothing of it "
                    f"comes to {outer_join!r}, and node {reader!r} finds it empty",
                    f"let the task of {join!r} return it: {{{field!r}: {field}}}",
                )


def _nested(wiring: Wiring) -> Iterator[tuple[str, str, str]]:
    """Each fan-out inside another that can be reached: its source, its fan-in, and the fan-in around."""
    for outer, outer_join in wiring.fan_in_of.items():
        if outer not in wiring.entering or outer_join not in wiring.entering:
            continue
        around = wiring.cohort(outer)
        for inner, join in wiring.fan_in_of.items():
            if inner in around and join in around and join != outer_join:
                yield inner, join, outer_join


def _read_from(wiring: Wiring, start: str, field: str) -> str:
    """The first node, from this one on, whose task or transitions read a field by its name; "" if there is none."""
    import networkx as nx

    graph: Any = nx.DiGraph((edge.source, edge.target) for edge in wiring.edges if edge.target in wiring.facts)
    graph.add_node(start)
    nearest_first: list[str] = [start, *(target for _, target in nx.bfs_edges(graph, start))]
    for name in nearest_first:
        edges = wiring.graph.transitions_from(name)
        if field in wiring.facts[name].reads or any(field in wiring.read_on(edge) for edge in edges):
            return name
    return ""


def _stays(wiring: Wiring, fan_in: str, field: str) -> bool:
    """Whether what the last branch wrote may reach the end."""
    write = wiring.facts[fan_in].writes.get(field)
    return write is None or not write.sure


def _parallel(wiring: Wiring, source: str, inside: set[str]) -> dict[str, list[str]]:
    """The fields that branches of a source write side by side, and the nodes that write them."""
    found: dict[str, list[str]] = {}
    ways = [edge for edge in wiring.graph.transitions_from(source) if not (edge.goto or edge.on_error or edge.switch)]
    reached = [_branch(wiring, edge, inside) for edge in ways]
    for index, edge in enumerate(ways):
        if edge.for_each:
            for node in (name for name in wiring.facts if name in reached[index]):
                for field, write in wiring.facts[node].writes.items():
                    if _counts(write):
                        found.setdefault(field, []).append(node)
        for other in range(index + 1, len(ways)):
            if (edge.when and ways[other].when) or reached[index] & reached[other]:
                continue  # one of the two, for all one knows; or branches that share their nodes
            for one in reached[index]:
                for two in reached[other]:
                    for field, write in wiring.facts[one].writes.items():
                        if _counts(write) and field in wiring.facts[two].writes:
                            known = found.setdefault(field, [])
                            known += [name for name in (one, two) if name not in known]
    return {field: list(dict.fromkeys(writers)) for field, writers in found.items()}


def _counts(write: Write) -> bool:
    return not write.constant


def _branch(wiring: Wiring, edge: Transition, inside: set[str]) -> set[str]:
    found: set[str] = set()
    todo = [edge.target]
    while todo:
        name = todo.pop()
        if name in inside and name not in found:
            found.add(name)
            inner = wiring.fan_in_of.get(name)
            todo += [inner] if inner is not None and inner in inside else []
            todo += [one.target for one in wiring.graph.transitions_from(name)]
    return found


# ---------------------------------------------------------------- fields that nobody reads


def unread(wiring: Wiring, fields: Iterable[str], there: Iterable[str], *, whole: bool) -> dict[str, str]:
    """Of fields that are laid over a state with the fields ``there``, those that look misspelt, each with a sentence.

    No task reads them, and they resemble fields that are read or present; if further reads are possible, they resemble
    one closely. ``whole``: only the graph's tasks read the state.
    """
    known = {name for name in (*there, *wiring.graph.reducers) if name}
    known |= {name for facts in wiring.facts.values() for name in (*facts.reads, *facts.writes)}
    known |= {name for edge in wiring.edges for name in injected(edge)} | _read_anywhere(wiring)
    sure = whole and all(facts.all_reads for facts in wiring.facts.values())
    found: dict[str, str] = {}
    for field in fields:
        if field in known or field == "onErr":
            continue
        close = sorted(name for name in known if _is_slip(field, name))
        alike = [name for name in known if name[0] == field[:1]] if sure else []  # a slip is seldom in the first letter
        hint = f"; did you mean {close[0]!r}?" if close else did_you_mean(field, alike)
        if hint:
            found[field] = f"the changes have a field {field!r}, which nobody reads{hint}"
    return found


def _read_anywhere(wiring: Wiring) -> set[str]:
    read = {name for facts in wiring.facts.values() for name in facts.reads}
    read |= {name.partition(".")[0] for edge in wiring.edges for name in fields_in(edge.when)}
    read |= {name for edge in wiring.edges for name in wiring.read_on(edge)}
    return read | {field for node in wiring.graph.nodes for field, _ in _keys(node)}


def _unused(wiring: Wiring) -> Iterator[Finding]:
    every = wiring.facts.values()
    if all(facts.all_reads for facts in every):
        read = _read_anywhere(wiring)
        for field in wiring.initial.fields if wiring.initial.known else ():
            if field not in read:
                hint = next((name for name in sorted(read) if _is_slip(field, name)), "")
                text = f"nobody reads the field {field!r} of the initial state"
                yield Finding("unused-field", "", field, text, f"did you mean {hint!r}?" if hint else "")
    universe = frozenset(wiring.initial.fields) | {name for facts in every for name in facts.writes}
    later = wiring.read_later(universe)
    for node in wiring.graph.nodes:
        if node.name not in wiring.entering:
            continue
        handlers = [edge for edge in wiring.graph.transitions_from(node.name) if edge.on_error]
        for field, write in wiring.facts[node.name].writes.items():
            if field in later[node.name] or field in wiring.graph.reducers or handlers or not write.sure:
                continue
            if field not in wiring.facts[node.name].reads:
                text = f"node {node.name!r} writes {field!r}, which is overwritten before anybody reads it"
                yield Finding("unused-field", node.name, field, text, "leave it out, or use another name")


# ---------------------------------------------------------------- items and reducers


def _shadowed(wiring: Wiring) -> Iterator[Finding]:
    for source in wiring.fan_in_of:
        outer = {edge.item or "item" for edge in wiring.graph.transitions_from(source) if edge.for_each}
        for name in sorted(wiring.inside(source)) if outer else ():
            for edge in wiring.graph.transitions_from(name):
                if edge.for_each and (edge.item or "item") in outer:
                    item = edge.item or "item"
                    yield Finding(
                        "shadowed-item",
                        name,
                        item,
                        f"the for-each {name!r} -> {edge.target!r} lends {item!r} to its branches inside a for-each of "
                        f"{source!r} that lends {item!r} too: the inner branches do not see the outer element",
                        f"name one of them: add_for_each({name!r}, {edge.target!r}, items=..., item='inner')",
                    )


def _reduced(wiring: Wiring) -> Iterator[Finding]:
    inside = {name for source in wiring.fan_in_of for name in wiring.inside(source)}
    for node in wiring.graph.nodes:
        ends = any(edge.target == END for edge in wiring.graph.transitions_from(node.name))
        if node.name not in wiring.entering or node.name in inside or not ends:
            continue
        for field, write in wiring.facts[node.name].writes.items():
            reducer = str(wiring.graph.reducers.get(field, ""))
            if write.derived and not write.overwrites and reducer in ("add", "append", "concat"):
                yield Finding(
                    "reduced-at-end",
                    node.name,
                    field,
                    f"the last node {node.name!r} writes what it makes of the old {field!r}, and the reducer "
                    f"{reducer!r} combines that with the old value once more",
                    f"write the new part only, or flow.overwrite({field!r}, ...)",
                )
