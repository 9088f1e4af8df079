"""Which fan-in closes which fan-out.

A walk from the entry carries, for each node, the stack of fan-out sources that are open when the node is entered. An
edge out of a source opens a frame; an edge into a fan-in closes the innermost frame, or the source's own if the source
leads to the fan-in directly. Jumps (goto, on_error) and switch arms leave the stack unchanged. The engine and the
validation share this walk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from dwarf.workflow.parts import END, shown

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.parts import Transition

__all__ = ["fan_in_map", "gathering_nodes", "lineage_problems", "open_sources"]

_EMPTY: Final = 0


def fan_in_map(graph: Graph) -> dict[str, str]:
    """The fan-in of each fan-out source that has one. Never raises; errors of the graph are skipped."""
    return _Walk(graph).run().fan_in_of


def gathering_nodes(graph: Graph, fan_in_of: Mapping[str, str]) -> set[str]:
    """The fan-ins of for-eaches, and the nodes that a flow can reach only through one of them."""
    sources = {edge.source for edge in graph.transitions if edge.for_each}
    joins = {fan_in for source, fan_in in fan_in_of.items() if source in sources}
    names = {node.name for node in graph.nodes}
    around, todo = set(joins), [graph.entry]
    while todo:
        name = todo.pop()
        if name in names and name not in around:
            around.add(name)
            todo += [edge.target for edge in graph.transitions_from(name)]
    return joins | (names - around) if joins else set()


def open_sources(graph: Graph) -> dict[str, tuple[str, ...]]:
    """For each reachable node, the fan-out sources of the branches around it, outermost first."""
    walk = _Walk(graph).run()
    return {name: walk.stacks.owners(stack) for name, stack in walk.entered.items()}


def lineage_problems(graph: Graph) -> list[str]:
    """The problems of the fan-outs and fan-ins of reachable nodes, in the order of the walk."""
    walk = _Walk(graph).run()
    return [*walk.problems, *walk.unmatched()]


class _Stacks:
    """Stacks as numbers: equal stacks have equal numbers. 0 is the empty stack."""

    def __init__(self) -> None:
        self._cells: list[tuple[int, str]] = [(_EMPTY, "")]
        self._numbers: dict[tuple[int, str], int] = {}

    def push(self, stack: int, owner: str) -> int:
        cell = (stack, owner)
        number = self._numbers.get(cell)
        if number is None:
            number = self._numbers[cell] = len(self._cells)
            self._cells.append(cell)
        return number

    def pop(self, stack: int) -> tuple[int, str]:
        """The stack without its top frame, and the owner of that frame."""
        return self._cells[stack]

    def owners(self, stack: int) -> tuple[str, ...]:
        """The open sources from the outermost to the innermost."""
        found: list[str] = []
        while stack != _EMPTY:
            stack, owner = self._cells[stack]
            found.append(owner)
        return tuple(reversed(found))

    def describe(self, stack: int) -> str:
        """The open sources from the outermost to the innermost, at most the last four of them."""
        if stack == _EMPTY:
            return "outside of any fan-out"
        owners: list[str] = []
        while stack != _EMPTY and len(owners) < 4:
            stack, owner = self._cells[stack]
            owners.append(repr(shown(owner)))
        return "inside the fan-out of " + ("... " if stack != _EMPTY else "") + " > ".join(reversed(owners))


class _Walk:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.label = f"graph {graph.name!r}"
        self.stacks = _Stacks()
        self.entered: dict[str, int] = {}
        self.fan_in_of: dict[str, str] = {}
        self.problems: list[str] = []

    def run(self) -> _Walk:
        graph = self.graph
        self.entered[graph.entry] = _EMPTY
        queue = deque([graph.entry])
        while queue:
            name = queue.popleft()
            for edge in graph.transitions_from(name) if name != END else ():
                following = self._follow(edge, self.entered[name])
                if edge.target == END:
                    if following != _EMPTY:
                        self._end_inside(edge, following)
                elif edge.target not in self.entered:
                    self.entered[edge.target] = following
                    queue.append(edge.target)
                elif self.entered[edge.target] != following:
                    self._two_stacks(edge, following)
        return self

    def _follow(self, edge: Transition, stack: int) -> int:
        """The stack at the target of an edge, given the stack at its source."""
        source, target = edge.source, edge.target
        opens = self.graph.is_fan_out_source(source)
        if target != END and self.graph.is_fan_in(target):
            if opens:
                owner = source
            elif stack == _EMPTY:
                self._nothing_to_close(edge)
                return stack
            else:
                stack, owner = self.stacks.pop(stack)
            if self.fan_in_of.setdefault(owner, target) != target:
                self._two_fan_ins(owner, target)
            return stack
        if opens and not (edge.goto or edge.on_error or edge.switch):
            return self.stacks.push(stack, source)
        return stack

    def unmatched(self) -> list[str]:
        """A problem for each source that the walk reached without finding its fan-in."""
        found = []
        for node in self.graph.nodes:
            name = node.name
            if self.graph.is_fan_out_source(name) and name in self.entered and name not in self.fan_in_of:
                found.append(
                    f"{self.label}: fan-out source {_quoted(name)} has no fan-in node downstream; mark the node where "
                    f"its branches meet: add_node(..., fan_in=True){self._doubles(name)}{self._choice(name)}"
                )
        return found

    def _doubles(self, name: str) -> str:
        """A hint if the source is a source only because an edge was added more than once."""
        edges = self.graph.transitions_from(name)
        plain = [edge for edge in edges if not (edge.goto or edge.on_error or edge.switch or edge.for_each)]
        if len(plain) > 1 and len(set(plain)) == 1 and not any(edge.for_each for edge in edges):
            return f" (the transition to {_quoted(plain[0].target)} was added {len(plain)} times)"
        return ""

    def _choice(self, name: str) -> str:
        """A hint where the source is one only because several edges have conditions, each of which may be true."""
        edges = self.graph.transitions_from(name)
        if any(edge.for_each for edge in edges) or not any(edge.when and not edge.switch for edge in edges):
            return ""
        arms = ", ".join(f"{edge.when!r}: {edge.target!r}" for edge in edges[:3] if edge.when)
        return f"; or, where only one way is to be taken, choose it: add_switch({name!r}, {{{arms}}})"

    def _nothing_to_close(self, edge: Transition) -> None:
        self.problems.append(
            f"{self.label}: the transition {_arrow(edge)} enters a fan-in node from outside of any fan-out; "
            f"let it come from a branch of a fan-out, or do not mark {_quoted(edge.target)} as fan-in"
        )

    def _two_fan_ins(self, owner: str, target: str) -> None:
        self.problems.append(
            f"{self.label}: fan-out source {_quoted(owner)} has branches converging on different fan-in nodes, "
            f"{_quoted(self.fan_in_of[owner])} and {_quoted(target)}; lead them all to one"
        )

    def _end_inside(self, edge: Transition, stack: int) -> None:
        self.problems.append(
            f"{self.label}: the transition {_arrow(edge)} ends the flow {self.stacks.describe(stack)}, where "
            "other branches go on; lead every branch to the node where they meet, which is marked by "
            "add_node(..., fan_in=True), and go to END from there"
        )

    def _two_stacks(self, edge: Transition, stack: int) -> None:
        target = edge.target
        self.problems.append(
            f"{self.label}: node {_quoted(target)} is reached with two different lineage stacks: "
            f"{self.stacks.describe(self.entered[target])}, and by {_arrow(edge)} {self.stacks.describe(stack)}; "
            f"register an alias node with the same task for one of the two: "
            f"add_node('another name', {self.graph.url_of(target)!r})"
        )


def _quoted(name: str) -> str:
    return repr(shown(name))


def _arrow(edge: Transition) -> str:
    return f"{_quoted(edge.source)} -> {_quoted(edge.target)}"
