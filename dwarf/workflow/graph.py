"""The definition of a workflow: named nodes bound to tasks, and the transitions between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

from dwarf.errors import GraphError, InvalidRequest
from dwarf.workflow.parts import END as END
from dwarf.workflow.parts import Limit as Limit
from dwarf.workflow.parts import Node as Node
from dwarf.workflow.parts import Transition as Transition
from dwarf.workflow.parts import View, as_labels, as_node_name, as_text
from dwarf.workflow.policies import Cache, Retry, Seconds, read_cache, read_retry, read_time_budget
from dwarf.workflow.reducers import Reducer

if TYPE_CHECKING:
    from dwarf.workflow.checking.finding import Finding

__all__ = ["END", "Graph", "Limit", "Node", "Transition", "read_workflow"]

if TYPE_CHECKING:
    from dwarf.workflow.tasks import TaskMark

JSON: TypeAlias = Any
Task: TypeAlias = Callable[..., Any]

display_hook: Callable[[Graph], Mapping[str, Any]] | None = None
"""Set by the notebook: returns richer forms of a graph by MIME type, without using a network."""


class Graph:
    """A workflow definition. Every builder returns the graph, so calls chain. The first node added is the entry.

    Building never refuses a wrong structure: ``validate`` reports all problems at once. Only wrong arguments raise
    (TypeError, or GraphError for text that cannot be stored and for empty conditions). An existing transition is not
    added again. Transitions add the nodes that they name: such a node's URL is its name. The order of nodes and of
    transitions is kept and has a meaning.

    A graph has no URL: a host knows it by its name unless it is registered under another URL. Each flow keeps the graph
    it was created with, as JSON.

    >>> from dwarf import END, Graph
    >>> def ask(amount: int) -> dict:
    ...     return {"approved": amount < 100}
    >>> graph = (
    ...     Graph("Pay")
    ...     .add_node("Ask", ask)
    ...     .add_node("Pay", lambda amount: {"paid": amount})
    ...     .add_switch("Ask", {"approved": "Pay"}, default=END)
    ...     .add_transition("Pay", END)
    ... )
    >>> [node.name for node in graph.validate().nodes]
    ['Ask', 'Pay']
    """

    name: str
    entry: str

    def __init__(
        self, name: str, *, reducers: Mapping[str, Reducer | str] | None = None, entry: str | None = None
    ) -> None:
        self.name = as_text(name, "the name of a graph")
        self.entry = "" if entry is None else as_text(entry, "the entry of a graph")
        self._slots: list[_NodeSlot] = []
        self._first: dict[str, _NodeSlot] = {}
        self._edges: list[Transition] = []
        self._known: set[Transition] | None = None  # the same for look-ups; None if it must be rebuilt
        self._marks: dict[str, None] = {}  # a set that keeps its order
        self._reducers: dict[str, Reducer | str] | None = None
        self._view: View | None = None
        self._set_reducers(reducers)

    @classmethod
    def of(cls, name: str, *steps: Any, reducers: Mapping[str, Reducer | str] | None = None) -> Self:
        """A graph in its shortest form: the tasks in their order, named after their functions.

        A step is a function, ``(name, function)``, the name of a node, END, or the result of ``each``, ``together``,
        ``choose`` and ``rescue``. Branches meet at the task after them; naming a task again goes back to its node;
        after the last task the flow ends. The result is the same graph that the builder makes, and can be extended.
        GraphError names a step that is not possible at its position::

            Graph.of("Survey", list_files, each("files", rescue(read, skip), item="file"), summarise)
        """
        from dwarf.workflow.short import put_steps

        graph = cls(name, reducers=reducers)
        put_steps(graph, steps)
        return graph

    # ------------------------------------------------------------ nodes

    def add_node(
        self,
        name: str,
        task: str | Task | None = None,
        *,
        fan_in: bool = False,
        limit: Limit | None = None,
        retry: Retry | int | None = None,
        time_budget: Seconds | None = None,
        cache: Cache | bool | None = None,
        executor: str = "",
        labels: Iterable[str] = (),
    ) -> Self:
        """Add a node, or rebind an existing one.

        ``task`` is a task function, or the URL that the host resolves; a text that is no URL of the host is resolved as
        the name of one of its functions when a flow is created. Without a task, a new node's URL is its name. For an
        existing node the URL is replaced if a task is given, and its position, its transitions and its fan-in mark are
        kept. A lambda, a partial or a callable object is named after its scope, the graph and the node. ``limit``,
        ``retry`` (a Retry, or the number of attempts), ``time_budget`` (seconds or timedelta for one attempt),
        ``cache`` (a Cache, or True; False: none), ``executor`` (the name of an executor of the host) and ``labels``
        (only engines that have all of them run the node) default to the marks of the function. END is not a node:
        adding it does nothing.
        """
        name = as_node_name(name, "the name of a node")
        if limit is not None and not isinstance(limit, Limit):
            raise TypeError(f"the limit of a node must be a Limit, not {type(limit).__name__}")
        if not isinstance(fan_in, bool):
            raise GraphError(f"fan_in is True or False, not {fan_in!r}")
        given: dict[str, Any] = {"limit": limit, "retry": read_retry(retry), "cache": read_cache(cache)}
        given["time_budget"] = read_time_budget(time_budget)
        given["executor"] = as_text(executor, "the executor of a node") or None
        given["labels"] = as_labels(labels, "the labels of a node") or None
        url, function, marked = _resolve(self.name, name, task)
        if name == END:
            return self
        slot = self._register(name)
        if task is not None:
            slot.url, slot.function = url, function
            for policy in given:
                setattr(slot, policy, getattr(marked, policy))
        for policy, value in given.items():
            if value is not None:
                setattr(slot, policy, value or None)
        if fan_in:
            self._marks[name] = None
        self._view = None
        return self

    def set_fan_in(self, name: str) -> Self:
        """Mark the node at which the branches of a fan-out meet. It may be added later."""
        self._marks[as_node_name(name, "the name of a node")] = None
        self._view = None
        return self

    def set_entry(self, name: str) -> Self:
        """Let flows start at this node. It may be added later."""
        self.entry = as_node_name(name, "the entry of a graph")
        return self

    def set_reducer(self, field: str, reducer: Reducer | str) -> Self:
        """Combine the contributions to a state field by this reducer. ``validate`` reports an unknown name."""
        field, name = as_text(field, "the field of a reducer"), as_text(reducer, "a reducer")
        if self._reducers is None:
            self._reducers = {}
        try:
            self._reducers[field] = Reducer(name)
        except ValueError:
            self._reducers[field] = name
        return self

    # ------------------------------------------------------------ transitions

    def add_transition(self, source: str, target: str, *, when: str | None = None) -> Self:
        """Go from source to target, if ``when`` is true; always without one. Several true edges fan out."""
        return self._connect(source, target, when=_condition(when, source, target))

    def add_switch(self, source: str, arms: Mapping[str, str], *, default: str | None = None) -> Self:
        """Go to the target of the first condition that is true, or to ``default``.

        ``arms`` maps conditions to targets, which are tried in order. A second call appends arms; a default, which is
        the arm "true", stays last, and a new default replaces it.
        """
        if not isinstance(arms, Mapping):
            hint = "; let the task decide by flow.goto, or write what it decided to a field" if callable(arms) else ""
            raise TypeError(f"the arms of a switch must map conditions to node names, not {type(arms).__name__}{hint}")
        there = [edge for edge in self._edges if edge.source == source and edge.switch]
        asked = [*arms.items(), *([] if default is None else [("true", default)])]
        if asked and {(edge.when, edge.target) for edge in there} >= set(asked):
            return self  # the cell of a notebook is run again
        last = there[-1] if there else None
        if last is not None and last.when == "true" and (arms or default is not None):
            self._edges = [edge for edge in self._edges if edge is not last]
            self._known = None
        else:
            last = None
        for when, target in arms.items():
            self._connect(source, target, when=_condition(when, source, target), switch=True)
        if default is not None:
            self._connect(source, default, when="true", switch=True)
        elif last is not None:
            self._edges.append(last)
            self._known = self._view = None
        return self

    def add_for_each(self, source: str, target: str, *, items: str, item: str = "item") -> Self:
        """Run target once per element of the list in the state field ``items``.

        Each branch finds its element in the field ``item``, and beside it ``<item>Index`` and ``<item>Count``.
        """
        items, item = as_text(items, "the items of a for_each"), as_text(item, "the item of a for_each")
        return self._connect(source, target, for_each=items, item=item or "item")

    def add_fan_out(self, source: str, *targets: str) -> Self:
        """Go from source to every target. Without targets nothing is added."""
        for target in targets:
            self._connect(source, target)
        return self

    def add_chain(self, *names: str) -> Self:
        """Go from each name to the next. Fewer than two names add nothing."""
        for source, target in pairwise(names):
            self._connect(source, target)
        return self

    def add_goto(self, source: str, target: str) -> Self:
        """Allow the task at source to go to target by ``flow.goto(target)``."""
        return self._connect(source, target, goto=True)

    def add_error_handler(self, source: str, handler: str) -> Self:
        """Go to handler when the task at source raises. It finds the error in the state field ``onErr``."""
        return self._connect(source, handler, on_error=True)

    # ------------------------------------------------------------ reading

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, in the order in which they were added."""
        return self._index().nodes

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """The transitions, in the order in which they were added."""
        return self._index().transitions

    @property
    def reducers(self) -> Mapping[str, Reducer | str]:
        """The reducers by state field, read-only. A field without one is replaced."""
        return MappingProxyType(self._reducers or {})

    @property
    def _fan_in_marks(self) -> tuple[str, ...]:
        """The names marked as fan-in, nodes or not, in the order of marking."""
        return tuple(self._marks)

    @property
    def functions(self) -> Mapping[str, Task]:
        """The functions given as tasks, by URL. They are not part of equality or of the JSON form."""
        return MappingProxyType({slot.url: slot.function for slot in self._slots if slot.function is not None})

    def _bindings(self) -> Iterable[tuple[str, str, Task | None]]:
        """Each node's name, URL, and function if one was given."""
        return ((slot.name, slot.url, slot.function) for slot in self._slots)

    def _with_urls(self, urls: Mapping[str, str]) -> Self:
        """A copy in which these nodes have these URLs and no functions."""
        twin = copy(self)
        for slot in twin._slots:
            if slot.name in urls:
                slot.url, slot.function = urls[slot.name], None
        return twin

    def transitions_from(self, name: str) -> tuple[Transition, ...]:
        """The transitions that leave a node, in order; empty for an unknown node."""
        return self._index().outgoing.get(name, ())

    def url_of(self, name: str) -> str:
        """The URL of a node; "END" for END, and "" for an unknown name."""
        if name == END:
            return END
        slot = self._first.get(name)
        return slot.url if slot is not None else ""

    def is_fan_in(self, name: str) -> bool:
        """Whether the name is marked as fan-in."""
        return name in self._marks

    def is_fan_out_source(self, name: str) -> bool:
        """Whether a node may open a fan-out: it has a for_each edge, or two that are not goto, on_error or switch."""
        return name in self._index().sources

    # ------------------------------------------------------------ checks and forms

    def validate(self) -> Self:
        """Check the whole definition. GraphError, whose ``problems`` list every fault found."""
        from dwarf.workflow.validation import validate

        validate(self)
        return self

    def check(self, state: Mapping[str, JSON] | Iterable[str] | type | None = None) -> tuple[Finding, ...]:
        """Probable mistakes in a valid graph: see ``Finding`` for the kinds. Never raises.

        ``state`` is the initial state, the names of its fields, or a TypedDict, dataclass or model of it. Without it,
        only names that look like a misspelt written field count as unknown. Reads and writes of tasks are derived from
        their annotations and code; nothing is run. After a node that may write any field, nothing is reported::

            for finding in graph.check({"amount": 900}):
                print(finding)
        """
        from dwarf.workflow.checking import check

        return check(self, state)

    def data_flow(self) -> Any:
        """The data flow between nodes, as a ``networkx.DiGraph`` whose edges have the attribute ``fields``.

        Its nodes are those of the graph, "START" for the initial state and "END" for the final one.
        """
        from dwarf.workflow.checking import data_flow

        return data_flow(self)

    def to_json(self) -> dict[str, JSON]:
        """The JSON form: name, entryPoint, tasks, transitions, reducers."""
        from dwarf.workflow.graph_json import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, JSON] | str | bytes) -> Self:
        """Parse the JSON form. Unknown keys are ignored; GraphError for the wrong shape. Nothing else is checked."""
        from dwarf.workflow.graph_json import from_json

        return from_json(cls, data)

    def to_python(self) -> str:
        """Code that builds an equal graph, with the names of its functions, which must exist where the code runs.

        Functions without a name, and functions of a graph that was read from JSON, appear as their URLs.
        """
        from dwarf.workflow.drawing.python_code import to_python

        return to_python(self)

    def to_networkx(self) -> Any:
        """A ``networkx.MultiDiGraph`` whose edge keys are the positions of the transitions."""
        from dwarf.workflow.drawing.networks import to_networkx

        return to_networkx(self)

    def to_mermaid(self, *, direction: str = "TD", title: str = "", links: Mapping[str, str] | None = None) -> str:
        """The text of a Mermaid diagram, invalid graphs included.

        The direction is TD or LR, the title defaults to the graph's name, and ``links`` maps node names to addresses.
        """
        from dwarf.workflow.drawing.mermaid import GraphRenderer

        return GraphRenderer(self, direction=direction, title=title, links=links).render()

    def to_dot(self, *, rankdir: str = "LR") -> str:
        """The source of a Graphviz drawing, from left to right or (TB) from top to bottom. No program is run."""
        from dwarf.workflow.drawing.dot import to_dot

        return to_dot(self, rankdir=rankdir)

    def to_graphviz(self, *, rankdir: str = "LR") -> Any:
        """The same drawing as a ``graphviz.Digraph``, for further styling. Needs the package graphviz."""
        from dwarf.workflow.drawing.dot import to_graphviz

        return to_graphviz(self, rankdir=rankdir)

    # ------------------------------------------------------------ Python's own

    __hash__: ClassVar[None]  # type: ignore[assignment]  # a graph can be changed

    def __eq__(self, other: object) -> bool:
        """Whether the definitions are equal. The functions behind the URLs are not compared."""
        if not isinstance(other, Graph):
            return NotImplemented
        return self is other or self._definition() == other._definition()

    def __getattr__(self, name: str) -> Any:
        """Called for missing attributes only: the error names the attribute that dwarf has instead."""
        if name.startswith("_"):
            raise AttributeError(name)
        from dwarf.workflow.habits import missing_attribute

        raise missing_attribute("Graph", name, dir(type(self)))

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        # slots are changed in place by ``add_node``, so a copy needs its own
        twin._slots = [replace(slot) for slot in self._slots]
        twin._first = {slot.name: slot for slot in reversed(twin._slots)}
        twin._edges, twin._marks, twin._view, twin._known = list(self._edges), dict(self._marks), None, None
        twin._reducers = None if self._reducers is None else dict(self._reducers)
        return twin

    def __repr__(self) -> str:
        nodes, edges = _count(len(self._slots), "node"), _count(len(self._edges), "transition")
        return f"<Graph {self.name!r}: {nodes}, {edges}, entry {self.entry!r}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self)}
        try:
            bundle["text/vnd.mermaid"] = self.to_mermaid()
            if display_hook is not None:
                bundle.update(display_hook(self))
        except Exception:  # noqa: BLE001, S110  a picture that fails must not fail the cell that shows it
            pass
        return {
            kind: form
            for kind, form in bundle.items()
            if (not include or kind in include) and (not exclude or kind not in exclude)
        }

    # ------------------------------------------------------------ inner workings

    def _connect(self, source: str, target: str, **marks: Any) -> Self:
        source = as_node_name(source, "the source of a transition")
        target = as_node_name(target, "the target of a transition")
        for name in (source, target):
            if name != END:
                self._register(name)
        edge = Transition(source, target, **marks)
        if self._known is None:
            self._known = set(self._edges)
        if edge not in self._known:  # a cell run again must not add a second branch
            self._known.add(edge)
            self._edges.append(edge)
            self._view = None
        return self

    def _register(self, name: str) -> _NodeSlot:
        slot = self._first.get(name)
        if slot is None:
            slot = self._first[name] = _NodeSlot(name, name)
            self._slots.append(slot)
            self.entry = self.entry or name
            self._view = None
        return slot

    def _load(
        self, entry: str, nodes: Sequence[Node], edges: Sequence[Transition], reducers: Mapping[str, str] | None
    ) -> None:
        """Take over a parsed definition: in it a node's name may occur twice, or be END."""
        self.entry = entry
        self._slots = [
            _NodeSlot(
                node.name,
                node.url,
                limit=node.limit,
                retry=node.retry,
                time_budget=node.time_budget,
                cache=node.cache,
                executor=node.executor,
                labels=node.labels,
            )
            for node in nodes
        ]
        self._first = {slot.name: slot for slot in reversed(self._slots)}
        self._edges, self._known = list(edges), None
        self._marks = {node.name: None for node in nodes if node.fan_in}
        self._set_reducers(reducers)
        self._view = None

    def _set_reducers(self, reducers: Mapping[str, Reducer | str] | None) -> None:
        """Replace the reducers. None and an empty mapping differ in the JSON form only."""
        if reducers is not None and not isinstance(reducers, Mapping):
            raise TypeError(f"reducers must map state fields to reducers, not {type(reducers).__name__}")
        self._reducers = None if reducers is None else {}
        for field, reducer in (reducers or {}).items():
            self.set_reducer(field, reducer)

    def _definition(self) -> tuple[object, ...]:
        view = self._index()
        return self.name, self.entry, view.nodes, view.transitions, self._reducers or {}, frozenset(self._marks)

    def _index(self) -> View:
        if self._view is None:
            nodes = tuple(slot.node(slot.name in self._marks) for slot in self._slots)
            self._view = View(nodes, tuple(self._edges))
        return self._view


@dataclass(slots=True)
class _NodeSlot:
    name: str
    url: str
    limit: Limit | None = None
    retry: Retry | None = None
    time_budget: float | None = None
    cache: Cache | None = None
    executor: str = ""
    labels: frozenset[str] = frozenset()
    function: Task | None = None

    def node(self, fan_in: bool) -> Node:
        return Node(
            self.name,
            self.url,
            fan_in,
            limit=self.limit,
            retry=self.retry,
            time_budget=self.time_budget,
            cache=self.cache,
            executor=self.executor,
            labels=self.labels or frozenset(),
        )


def _resolve(graph: str, name: str, task: str | Task | None) -> tuple[str, Task | None, _NodeSlot | TaskMark]:
    """The URL, the function and the mark for the ``task`` argument of a node."""
    if task is None:
        return name, None, _NodeSlot(name, name)
    if isinstance(task, str):
        return as_text(task, "the URL of a task"), None, _NodeSlot(name, name)
    if not callable(task):
        raise TypeError(f"the task of a node must be a URL or a function, not {type(task).__name__}")
    from dwarf.workflow.tasks import node_mark

    mark = node_mark(task, graph, name)
    return mark.url, task, mark


def _condition(when: str | None, source: str, target: str) -> str:
    if when is None:
        return ""
    if callable(when):
        raise TypeError(
            f"a condition must be a str, such as 'amount > 100', not {type(when).__name__}: what only a function can "
            "decide, a task decides by flow.goto, or by writing a field that the condition names"
        )
    if not as_text(when, "a condition").strip():
        raise GraphError(
            f"the condition of the transition {source!r} -> {target!r} is empty: leave `when` out to go there always, "
            "and use default= for the last arm of a switch"
        )
    return as_text(when, "a condition")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def read_workflow(workflow: object) -> str | Graph:
    """The workflow: a name, or a Graph. InvalidRequest for anything else."""
    if isinstance(workflow, Graph):
        return workflow
    if not isinstance(workflow, str):
        hint = ""
        if callable(workflow):
            name = getattr(workflow, "__name__", "task")
            hint = f": Graph.of({name!r}, {name}) makes a graph of one function"
        raise InvalidRequest(f"a workflow is given by its name or as a Graph, not as {type(workflow).__name__}{hint}")
    if not workflow.strip():
        raise InvalidRequest("the name of the workflow is empty")
    return workflow
