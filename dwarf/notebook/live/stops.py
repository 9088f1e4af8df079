"""What does the page get at a breakpoint? The state of the step that has stopped; it goes back with changes.

The card of a breakpoint is the same under a run's picture, in the inbox, beneath a map and in the line of a cell that
waits, and asks the same of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dwarf.errors import InvalidRequest, StateConflict
from dwarf.notebook.live.edited import MOST_EDITED, changes_between, pretty, result_of
from dwarf.notebook.messages import ActionReply, StopReply
from dwarf.notebook.pictures.views import is_stop
from dwarf.workflow.status import Status
from dwarf.workflow.values import state_to_json

if TYPE_CHECKING:
    from dwarf.engine import Engine
    from dwarf.notebook.live.flow_watcher import Card
    from dwarf.notebook.prompts.prompt import Prompt
    from dwarf.notebook.services import LabServices
    from dwarf.workflow.results import Step

__all__ = ["answer_stop", "describe_stop", "edits", "stop_card"]

_REASON = "cancelled from the notebook"


async def answer_stop(lab: LabServices, card: Card | None, message: Mapping[str, Any]) -> StopReply | ActionReply:
    """What the card of a breakpoint in a list asks for: its state, to go on, or the end of its flow."""
    prompt = stop_card(card).prompt
    kind = message.get("do")
    handle = lab.engine.flow(prompt.flow_key)
    if kind == "stopped":
        return await describe_stop(lab.engine, prompt, await handle.history())
    if kind == "cancel":
        await handle.cancel(_REASON)
        return {"said": "Cancelled."}
    if kind != "go":
        raise InvalidRequest("at a breakpoint a flow can be looked at, go on, or be cancelled")
    await lab.go_on(prompt, await edits(lab.engine, prompt, message), stepping=message.get("stepping") is True)
    return {}


async def describe_stop(engine: Engine, prompt: Prompt, steps: Sequence[Step]) -> StopReply:
    """The state with which the flow goes on from a breakpoint, as the page edits it, and how many branches wait."""
    text = pretty(await _state(engine, prompt))
    whole = len(text) <= MOST_EDITED
    alike = [step for step in steps if step.node == prompt.node and step.status is Status.INTERRUPTED]
    return {"input": text if whole else "", "whole": whole, "count": len(alike)}


async def edits(engine: Engine, prompt: Prompt, message: Mapping[str, Any]) -> dict[str, Any]:
    """The changes to the state with which the flow is to go on."""
    text = message.get("text")
    if text is None:
        return {}
    return changes_between(await _state(engine, prompt), str(text), whole=message.get("whole") is not False)


async def _state(engine: Engine, prompt: Prompt) -> dict[str, Any]:
    """What the step begins with, or behind its task what it has come to."""
    full = await engine.step(prompt.key)
    state = state_to_json(full.state or {})
    if prompt.payload["breakpoint"] == "before":
        return state
    return result_of(state, state_to_json(full.changes or {}))


def stop_card(card: Card | None) -> Card:
    """A card that is open and of a breakpoint; else InvalidRequest or StateConflict."""
    if card is None or not is_stop(card.prompt.payload):
        raise InvalidRequest("the flow has not stopped there")
    if card.closed:
        raise StateConflict(f"the flow has gone on meanwhile: {card.closed}")
    return card
