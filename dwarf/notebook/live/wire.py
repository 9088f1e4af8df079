"""How is a view told to the front end? In small JSON: a message holds the whole state, so it must not weigh much."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dwarf.notebook.messages import CardState, FlowState, PlaneState
from dwarf.notebook.pictures.layout_plan import LayoutPlan
from dwarf.notebook.pictures.palette import LOOKS, look_of
from dwarf.notebook.pictures.subgraph_views import Plane, ways_of
from dwarf.notebook.pictures.views import (
    FlowView,
    NodeView,
    is_stop,
)
from dwarf.notebook.summary import public_key

if TYPE_CHECKING:
    from dwarf.notebook.live.flow_watcher import Card

__all__ = [
    "ASKED",
    "NESTED",
    "REDEFINED",
    "STOPS_AFTER",
    "STOPS_BEFORE",
    "describe_card",
    "describe_cards",
    "describe_flow",
    "describe_node",
    "describe_planes",
]

ASKED, NESTED, REDEFINED, STOPS_BEFORE, STOPS_AFTER = 1, 2, 4, 16, 32
_MOST_OPEN = 30
_MOST_CLOSED = 20
_NUMBERS = {key: number for number, key in enumerate(LOOKS)}


def describe_node(view: NodeView, *, redefined: bool = False) -> list[Any]:
    """``[state, word, rest, since, until, parts, flags, detail]``, cut after the last that says something.

    States are numbers in the order of the looks, a word that is the look's own is left out, times are epoch seconds.
    """
    look = look_of(view.state)
    flags = view.asked * ASKED | view.nested * NESTED | redefined * REDEFINED
    flags |= view.stops_before * STOPS_BEFORE | view.stops_after * STOPS_AFTER
    told: list[Any] = [
        _NUMBERS.get(view.state, 0),
        "" if view.word == look.word else view.word,
        view.rest,
        round(view.since, 2),
        round(view.until, 2),
        [[_NUMBERS.get(state, 0), count] for state, count in view.parts],
        flags,
        "\n".join(view.detail.split("\n")[2:]),
    ]
    while told and not told[-1]:
        told.pop()
    return told


def describe_flow(whole: FlowView, now: float, *, drift: Sequence[str] = (), regraph: bool = False) -> FlowState:
    """The flow as a whole; ``now`` lets the page set its clock by the kernel's."""
    error = f"{look_of(whole.state).sign} {whole.error}" if whole.error else ""
    told: FlowState = {
        "state": _NUMBERS.get(whole.state, 0),
        "began": whole.began,
        "ended": whole.ended,
        "steps": whole.steps,
        "error": error,
        "now": round(now, 2),
        "drift": list(drift),
        "regraph": regraph,
    }
    if whole.word:
        told["word"] = whole.word
    return told


def describe_card(card: Card) -> CardState:
    """A prompt's card as the JavaScript side reads it. No answer is in it but the words that may be shown."""
    prompt = card.prompt
    told: CardState = {
        "id": card.id,
        "key": public_key(prompt.key),
        "title": prompt.title,
        "node": "" if prompt.node == prompt.title else prompt.node,
        "facts": prompt._facts(),
        "form": prompt.form(),
        "deadline": prompt.deadline.timestamp() if prompt.deadline else 0,
        "error": card.error,
        "faults": card.faults,
        "closed": card.closed,
    }
    if is_stop(prompt.payload):
        told["stop"] = str(prompt.payload["breakpoint"])
    return told


def describe_cards(cards: Sequence[Card]) -> list[CardState]:
    """The cards to show: of very many the oldest open ones and the last closed ones."""
    open_cards = [card.id for card in cards if not card.closed][:_MOST_OPEN]
    closed = [card.id for card in cards if card.closed][-_MOST_CLOSED:]
    shown = {*open_cards, *closed}
    return [describe_card(card) for card in cards if card.id in shown]


def describe_ways(ways: Iterable[bool]) -> str:
    """Which edges have been taken, a character for each."""
    return "".join("1" if way else "0" for way in ways)


def describe_plane(
    names: Iterable[str], views: Mapping[str, NodeView], ways: Iterable[bool], redefined: Iterable[str] = ()
) -> PlaneState:
    """One picture's nodes, in the order of its graph, and its edges."""
    changed = frozenset(redefined)
    idle = NodeView()
    nodes = [describe_node(views.get(name, idle), redefined=name in changed) for name in names]
    return {"nodes": nodes, "taken": describe_ways(ways)}


def describe_planes(
    plane: Plane, plan: LayoutPlan, path: str = "", redefined: Collection[str] = ()
) -> dict[str, PlaneState]:
    """Every plane by its path, as the JavaScript side reads it. ``redefined``: nodes of the outermost one."""
    told = {path: describe_plane([card.name for card in plan.cards], plane.views, ways_of(plane, plan), redefined)}
    for place, card in enumerate(plan.cards):
        child = plane.inner.get(card.name)
        if card.inner is not None and child is not None:
            told |= describe_planes(child, card.inner, f"{path}/{place}" if path else str(place))
    return told
