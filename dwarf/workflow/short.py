"""Graphs in the shortest form: the tasks in their order, named after their functions.

    Graph.of("Scoring", fetch, each("items", score, item="item"), merge, choose({"total > 100": approve}), publish)

It makes the same graph as the builder. The branches meet at the task after ``each`` or ``together``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from dwarf.errors import GraphError
from dwarf.workflow.parts import END
from dwarf.workflow.scopes import is_nameless

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph

__all__ = ["choose", "each", "put_steps", "rescue", "together"]

Step: TypeAlias = Any
"""A function; ``(name, function)``; the name of a node; END; or the result of each, together, choose and rescue."""


@dataclass(frozen=True, slots=True)
class _Each:
    items: str
    steps: tuple[Step, ...]
    item: str


@dataclass(frozen=True, slots=True)
class _Together:
    paths: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Choose:
    arms: Mapping[str, Step]
    default: Step | None


@dataclass(frozen=True, slots=True)
class _Rescue:
    step: Step
    handler: Step


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a path: its node, and how it continues to the next one."""

    node: str
    go: Callable[[str], Any]
    plain: bool = True


def each(items: str, *steps: Step, item: str = "item") -> Any:
    """Run these steps once for each element of the list in the field ``items``; the branches meet at the next task.

    Each branch finds its element in the field ``item``::

        Graph.of("Survey", list_modules, each("modules", measure, item="module"), rank)
    """
    return _Each(items, steps, item)


def together(*paths: Step) -> Any:
    """Several steps side by side, or lists of steps.

    They meet at the next task::

        Graph.of("Offer", read, together(price, [check, rate]), decide)
    """
    return _Together(paths)


def choose(arms: Mapping[str, Step], default: Step | None = None) -> Any:
    """Continue with the step, or the list of steps, of the first condition that is true, otherwise with ``default``.

    If no condition is true and there is no default, the flow continues after the choice. So does a list that does not
    end with END or with a task that is already in the graph::

        Graph.of("Agent", think, choose({"done": [answer, END]}), use_tool, think)
    """
    return _Choose(arms, default)


def rescue(step: Step, handler: Step) -> Any:
    """A step whose errors go to a handler, which is a step or a list of steps.

    The handler continues where the step would have::

        Graph.of("Load", list_urls, each("urls", rescue(fetch, note_missing), item="url"), merge)
    """
    return _Rescue(step, handler)


def put_steps(graph: Graph, steps: Sequence[Step]) -> None:
    """Put steps on an empty graph. GraphError names a step that is not possible at its position."""
    short = _Short(graph)
    ends, meets = short.path(steps, [], meets=False)
    if meets:
        raise short.wrong("the branches at the end need a task behind them, in which they meet")
    for end in ends:
        end.go(END)


class _Short:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.placed: dict[str, Any] = {}  # the tasks of the nodes by name

    def wrong(self, why: str) -> GraphError:
        return GraphError(f"graph {self.graph.name!r}: {why}")

    def path(self, steps: Sequence[Step], ends: list[_End], *, meets: bool) -> tuple[list[_End], bool]:
        """Put steps in a sequence. Returns the end of the path, and whether branches must meet next."""
        for place, step in enumerate(steps):
            if place and not ends:
                raise self.wrong(f"nothing leads to {_shown(step)}: the steps before it end, or lead back")
            if isinstance(step, (_Each, _Together, _Choose)):
                if meets:
                    raise self.wrong(f"before {_shown(step)} the branches need a task in which they meet")
                ends, meets = self._spread(step, self._source(step, ends))
            elif isinstance(step, _Rescue):
                (own,) = self._node(step.step, ends, meets=meets)
                handler = _path(step.handler)
                self.graph.add_error_handler(own.node, self._first(handler))
                rest, meets = self.path(handler, [], meets=False)
                ends = [own, *rest]
            else:
                ends, meets = self._node(step, ends, meets=meets), False
        return ends, meets

    def _spread(self, step: Any, source: str) -> tuple[list[_End], bool]:
        graph = self.graph
        if isinstance(step, _Each):
            graph.add_for_each(source, self._first(step.steps), items=step.items, item=step.item)
            return self._branches([step.steps]), True
        if isinstance(step, _Together):
            paths = [_path(each) for each in step.paths]
            graph.add_fan_out(source, *map(self._first, paths))
            return self._branches(paths), True
        arms = {when: _path(each) for when, each in step.arms.items()}
        default = None if step.default is None else _path(step.default)
        firsts = {when: self._first(path) for when, path in arms.items()}
        graph.add_switch(source, firsts, default=None if default is None else self._first(default))
        found: list[_End] = []
        for path in [*arms.values(), *([] if default is None else [default])]:
            ends, meets = self.path(path, [], meets=False)
            if meets:
                raise self.wrong("branches inside a choice need a task in which they meet, inside it")
            found += ends
        if default is None:
            found.append(_End(source, lambda target: graph.add_switch(source, {}, default=target), plain=False))
        return found, False

    def _branches(self, paths: Sequence[Sequence[Step]]) -> list[_End]:
        found: list[_End] = []
        for path in paths:
            ends, meets = self.path(path, [], meets=False)
            if meets:
                raise self.wrong("branches inside branches need a task in which they meet, inside them")
            found += ends
        return found

    def _source(self, step: Any, ends: list[_End]) -> str:
        if len(ends) != 1 or not ends[0].plain:
            raise self.wrong(f"{_shown(step)} needs one task before it, from which it goes on")
        return ends[0].node

    def _first(self, path: Sequence[Step]) -> str:
        """The name of the first node of a path."""
        if not path:
            raise self.wrong("a path needs a step")
        step = path[0].step if isinstance(path[0], _Rescue) else path[0]
        if isinstance(step, (_Each, _Together, _Choose)):
            raise self.wrong(f"a path cannot begin with {_shown(step)}: put a task before it")
        return END if step == END else self._named(step)[0]

    def _node(self, step: Step, ends: list[_End], *, meets: bool) -> list[_End]:
        """Continue to a node, which is created if it is new. An existing node ends the path."""
        if isinstance(step, str) and step == END:
            if meets:
                raise self.wrong("branches need a task in which they meet before the END")
            for end in ends:
                end.go(END)
            return []
        name, task = self._named(step)
        known = name in self.placed
        if not known:
            self.graph.add_node(name, task)
            self.placed[name] = task
        elif task is not None and self.placed[name] is not None and task != self.placed[name]:
            raise self.wrong(f"two different functions are called {name!r}: name one by ('another name', function)")
        for end in ends:
            end.go(name)
        if meets:
            self.graph.set_fan_in(name)
        return [] if known else [_End(name, partial(self.graph.add_transition, name))]

    def _named(self, step: Step) -> tuple[str, Any]:
        if isinstance(step, str):
            return step, None
        if isinstance(step, tuple) and len(step) == 2 and isinstance(step[0], str):
            return step[0], step[1]
        if not callable(step):
            raise self.wrong(f"a step is a function, a name, or (name, function), not a {type(step).__name__}")
        if is_nameless(step):
            raise self.wrong("a lambda has no name for its node: write ('name', lambda ...)")
        return str(step.__name__), step


def _path(step: Step) -> Sequence[Step]:
    return step if isinstance(step, list) else [step]


def _shown(step: Step) -> str:
    names = {_Each: "each(...)", _Together: "together(...)", _Choose: "choose(...)", _Rescue: "rescue(...)"}
    return names.get(type(step)) or repr(getattr(step, "__name__", step))
