"""What does the page get at a breakpoint? The state of the step that has stopped; it goes back with changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dwarf.errors import InvalidRequest, StateConflict
from dwarf.notebook.live.edited import MOST_EDITED, changes_between, pretty, result_of
from dwarf.notebook.messages import ActionReply, StopReply
from dwarf.notebook.pictures.views import is_stop
from dwarf.workflow.status import Status
from dwarf.workflow.values import state_to_json

if TYPE_CHECKING:
    from dwarf.notebook.live.flow_watcher import Card, FlowWatcher

__all__ = ["describe_stop", "go_on"]


async def describe_stop(watcher: FlowWatcher, message: Mapping[str, Any]) -> StopReply:
    """The state with which the flow goes on from a breakpoint, as the page edits it, and how many branches wait."""
    card = _card(watcher, message)
    state = await _state(watcher, card)
    text = pretty(state)
    whole = len(text) <= MOST_EDITED
    node = card.prompt.node
    alike = [step for step in watcher.steps if step.node == node and step.status is Status.INTERRUPTED]
    return {"input": text if whole else "", "whole": whole, "count": len(alike)}


async def go_on(watcher: FlowWatcher, message: Mapping[str, Any]) -> ActionReply:
    """Go on with what was edited; ``stepping``: to stop again before the next step."""
    card = _card(watcher, message)
    text, changes = message.get("text"), {}
    if text is not None:
        state = await _state(watcher, card)
        changes = changes_between(state, str(text), whole=message.get("whole") is not False)
    await watcher.go_on(card, changes, stepping=message.get("stepping") is True)
    return {}


async def _state(watcher: FlowWatcher, card: Card) -> dict[str, Any]:
    """What the step begins with, or behind its task what it has come to."""
    full = await watcher.engine.step(card.prompt.key)
    state = state_to_json(full.state or {})
    if card.prompt.payload["breakpoint"] == "before":
        return state
    return result_of(state, state_to_json(full.changes or {}))


def _card(watcher: FlowWatcher, message: Mapping[str, Any]) -> Card:
    card = next((each for each in watcher.cards if each.id == message.get("card")), None)
    if card is None or not is_stop(card.prompt.payload):
        raise InvalidRequest("the flow has not stopped there")
    if card.closed:
        raise StateConflict(f"the flow has gone on meanwhile: {card.closed}")
    return card
