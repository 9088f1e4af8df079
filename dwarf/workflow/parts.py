"""The parts of a graph: nodes, transitions and limits, as plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from dwarf.errors import GraphError
from dwarf.workflow.policies import Cache, Retry

__all__ = ["END", "Limit", "Node", "Transition", "View", "as_text", "shown"]

END: Final = "END"
"""The terminal pseudo-node: a transition to it ends the flow. It is not a node itself."""

_UNITS: Final = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_RATE: Final = re.compile(r"\s*([0-9]{1,9})\s*/\s*(second|minute|hour|day)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A bound on the running steps of a task, over all flows and replicas of one database.

    At most ``concurrency`` steps at a time, and at most ``rate`` starts per period, written ``"60/minute"`` with the
    periods second, minute, hour and day. ``key`` names a state field: then each value of that field has its own limit.
    GraphError for a limit that cannot be parsed or that limits nothing.

    >>> from dwarf import Graph, Limit
    >>> graph = Graph("Mail").add_node("Send", "mail.send", limit=Limit(rate="60/minute", key="customer"))
    >>> graph.nodes[0].limit.rate
    '60/minute'
    """

    concurrency: int | None = None
    rate: str | None = None
    key: str = ""

    def __post_init__(self) -> None:
        if self.concurrency is None and self.rate is None:
            raise GraphError("a limit needs a concurrency, a rate, or both")
        if self.concurrency is not None:
            if isinstance(self.concurrency, bool) or not isinstance(self.concurrency, int):
                raise TypeError(f"the concurrency of a limit must be an int, not {type(self.concurrency).__name__}")
            if self.concurrency < 1:
                raise GraphError(f"the concurrency of a limit must be at least 1, not {self.concurrency}")
        as_text(self.key, "the key of a limit")
        if self.rate is not None:
            as_text(self.rate, "the rate of a limit")
            count, _ = self._allowance or (0, 0)
            if count < 1:
                raise GraphError(
                    f"{self.rate!r} is not a rate; write a count from 1 and a period, "
                    "such as '60/minute' (second, minute, hour or day)"
                )

    @property
    def _allowance(self) -> tuple[int, int] | None:
        """The rate as (starts, period in milliseconds), or None."""
        match = _RATE.fullmatch(self.rate or "")
        return (int(match[1]), _UNITS[match[2]]) if match else None


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a graph. ``name`` identifies it there, ``url`` is the task that the host executes.

    Several nodes may share a URL. ``fan_in`` marks the node at which the branches of a fan-out meet. ``retry`` is the
    policy for further attempts after an error, and ``time_budget`` the seconds for one attempt; None for the flow's.
    ``cache``: its steps reuse the outcomes of earlier ones with the same code and input. ``executor`` names the
    executor of its host that runs it; "" for none. ``labels``: only engines that have all of them run it.

    >>> from dwarf import Graph
    >>> Graph("Pay").add_node("Ask", "shop.ask").nodes[0].url
    'shop.ask'
    """

    name: str
    url: str
    fan_in: bool = False
    limit: Limit | None = None
    retry: Retry | None = None
    time_budget: float | None = None
    cache: Cache | None = None
    executor: str = ""
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Transition:
    """An edge of a graph, from node name to node name (or END).

    ``when`` is its condition ("" means always). ``switch`` marks an arm of a switch, ``goto`` an edge taken only by
    ``flow.goto``, ``on_error`` the way to an error handler. ``for_each`` names the state field with the list to fan out
    over, and ``item`` the field in which each branch finds its element.

    >>> from dwarf import END, Graph
    >>> Graph("Pay").add_node("Ask").add_transition("Ask", END, when="approved").transitions[0].when
    'approved'
    """

    source: str
    target: str
    when: str = ""
    switch: bool = False
    goto: bool = False
    on_error: bool = False
    for_each: str = ""
    item: str = ""


@dataclass(slots=True)
class View:
    """The present nodes and transitions of a graph, and properties derived from them."""

    nodes: tuple[Node, ...]
    transitions: tuple[Transition, ...]
    outgoing: dict[str, tuple[Transition, ...]] = field(init=False)
    sources: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        outgoing: dict[str, list[Transition]] = {}
        width: dict[str, int] = {}
        for edge in self.transitions:
            outgoing.setdefault(edge.source, []).append(edge)
            if not (edge.goto or edge.on_error or edge.switch):
                width[edge.source] = width.get(edge.source, 0) + (2 if edge.for_each else 1)
        self.outgoing = {name: tuple(edges) for name, edges in outgoing.items()}
        self.sources = frozenset(name for name, count in width.items() if count > 1)


MOST_LABELS = 8


def as_labels(labels: object, what: str) -> frozenset[str]:
    """Labels. GraphError for invalid texts, and for too many."""
    if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable):
        raise GraphError(f'{what} are a list of texts, such as ["gpu"], not {labels!r}')
    found = frozenset(as_text(label, f"one of {what}") for label in labels)
    for label in found:
        if not label or len(label) > 30 or not label.isprintable() or "," in label or " " in label:
            raise GraphError(f"a label is a text of up to 30 characters without spaces and commas, not {label!r}")
    if len(found) > MOST_LABELS:
        raise GraphError(f"{what} are at most {MOST_LABELS}, not {len(found)}")
    return found


def as_node_name(value: object, what: str) -> str:
    """``as_text`` of a node's name; where a function is given instead, the TypeError says how its node is named."""
    if callable(value) and not isinstance(value, str):
        name = getattr(value, "__name__", "task")
        raise TypeError(
            f"{what} must be a str, not {type(value).__name__}: name the node, as in add_node({name!r}, {name}), and "
            f"use its name; Graph.of('Name', {name}, ...) makes a chain of the functions themselves"
        )
    return as_text(value, what)


def as_text(value: object, what: str) -> str:
    """``value`` as a plain str. TypeError for another type, GraphError for a lone surrogate, which cannot be stored."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {type(value).__name__}")
    text = value if type(value) is str else str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise GraphError(f"{what} holds a lone surrogate, which cannot be stored: {text[:80]!r}") from None
    return text


def shown(name: str) -> str:
    """A name for display: without a leading ``scheme://``, unless nothing would be left."""
    return name.partition("://")[2] or name
