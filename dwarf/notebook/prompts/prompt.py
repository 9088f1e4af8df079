"""What waits for an answer? One prompt, with what it asks, since when, and the way to answer it."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dwarf.errors import FlowNotFound
from dwarf.notebook.pictures.views import is_stop, stop_text
from dwarf.notebook.prompts.answers import NOTHING, default_of
from dwarf.notebook.prompts.facts import facts_of, text_of
from dwarf.notebook.prompts.forms import form_of
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.schemas import check, find_schema
from dwarf.workflow.schemas.tables import as_rows
from dwarf.workflow.values import state_to_json

if TYPE_CHECKING:
    from dwarf.engine import FlowHandle
    from dwarf.workflow.results import Step

__all__ = [
    "OVERDUE",
    "Prompt",
    "overdue",
    "title_of",
]

OVERDUE = "nobody answered in time"


class Prompt:
    """A question that a running flow has put. ``key`` is that of the waiting step.

    ``waiting_since`` is when it was put, and ``deadline`` when it times out, None where it does not.

    Example::

        (prompt,) = run.prompts
        print(prompt.title, prompt.schema, prompt.waiting_since)
        prompt.answer(True)
    """

    key: str
    title: str
    payload: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    flow_key: str
    node: str
    waiting_since: datetime
    deadline: datetime | None

    def __init__(self, step: Step, flow_key: str, send: Callable[[Prompt, Any], None]) -> None:
        self.key = step.key
        self.payload = dict(step.interrupt_payload or {})
        self.schema = find_schema(self.payload)
        self.flow_key = flow_key
        self.node = step.node
        self.title = title_of(self.payload, self.schema, step.node)
        self.waiting_since = step.updated_at
        self.deadline = step.interrupt_deadline
        self._send = send
        self._known_facts: list[dict[str, Any]] | None = None

    def answer(self, value: Any = ...) -> None:
        """Answer it; returns when the answer is stored. InvalidRequest, and nothing changes, where it does not fit.

        None is an answer like any other; left out, the answer is ``{}``.
        """
        self._send(self, self.check(value))

    def check(self, value: Any) -> Any:
        """The value as it would be stored; InvalidRequest where it does not fit the schema."""
        if self.schema is not None:
            value = as_rows(value, self.schema)
            check({} if value is ... else value, dict(self.schema))
        return value

    @property
    def default(self) -> Any:
        """The default answer, or None."""
        value = default_of(self.payload, self.schema)
        return None if value is NOTHING else value

    def form(self) -> dict[str, Any]:
        """The description of the form that asks this; of a breakpoint only a button."""
        if is_stop(self.payload):
            return {"fields": [], "buttons": [["Go on", {}, "main"]], "single": False}
        return form_of(self.payload, self.schema)

    def _facts(self) -> list[dict[str, Any]]:
        """What the payload tells the reader besides, whole; its description comes first, nameless."""
        if self._known_facts is None:
            self._known_facts = [] if is_stop(self.payload) else facts_of(self.payload)
        return self._known_facts

    def _same_question(self, other: Prompt) -> bool:
        """Whether the other prompt is this one, read again."""
        if self.key != other.key:
            return False
        try:
            return bool(self.payload == other.payload)
        except ValueError:  # frames and arrays are not simply equal
            return dumps(state_to_json(self.payload)) == dumps(state_to_json(other.payload))

    def __repr__(self) -> str:
        return f"<Prompt {self.title!r}: {self._what}>"

    @property
    def _what(self) -> str:
        return stop_text(self.payload) if is_stop(self.payload) else f"{self.node} waits for an answer"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        lines = "".join(
            f"<dt>{html.escape(fact['name'])}</dt><dd style='white-space: pre-wrap'>{html.escape(text_of(fact))}</dd>"
            for fact in self._facts()
        )
        shown = f"<p><b>{html.escape(self.title)}</b> ({html.escape(self._what)})</p><dl>{lines}</dl>"
        return {"text/plain": repr(self), "text/html": shown}


def title_of(payload: Mapping[str, Any], schema: Mapping[str, Any] | None, node: str) -> str:
    """The title of a question, which has one whatever its payload is."""
    for name in ("title", "question", "message", "prompt"):
        text = payload.get(name)
        if isinstance(text, str) and text.strip():
            return text.strip()
    text = (schema or {}).get("title")
    return text if isinstance(text, str) and text.strip() else node


async def overdue(handle: FlowHandle, gone: Iterable[Prompt]) -> set[str]:
    """The keys of those of a flow's prompts, none of which waits any more, whose time was over when they went on."""
    limits = {prompt.key: prompt.deadline for prompt in gone if prompt.deadline is not None}
    if not limits:
        return set()
    try:
        answered = {one.step_key: one.answered_at for one in await handle.answers()}
    except FlowNotFound:
        return set()
    return {key for key, limit in limits.items() if key in answered and answered[key] >= limit}
