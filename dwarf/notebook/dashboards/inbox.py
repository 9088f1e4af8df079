"""Which prompts wait, over all flows? A live list of cards, oldest first, that can be answered on the spot."""

from __future__ import annotations

import asyncio
import html
import itertools
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dwarf.errors import FlowNotFound, InvalidRequest, StateConflict
from dwarf.notebook.dashboards.listview import ListView
from dwarf.notebook.live.comms import free_comm
from dwarf.notebook.live.flow_watcher import Card
from dwarf.notebook.live.replies import reply_to
from dwarf.notebook.live.stops import answer_stop
from dwarf.notebook.live.wire import describe_card
from dwarf.notebook.messages import CardState, InboxState
from dwarf.notebook.pictures.formatting import plural, seconds_text
from dwarf.notebook.pictures.views import is_stop
from dwarf.notebook.prompts.facts import text_of
from dwarf.notebook.prompts.forms import answer_text
from dwarf.notebook.prompts.prompt import OVERDUE, Prompt, overdue

if TYPE_CHECKING:
    from dwarf.notebook.services import LabServices
    from dwarf.workflow.results import FlowSummary

__all__ = ["Inbox"]

MOST_READ = 200  # flows whose prompts are read
MOST_CARDS = 30
MOST_CLOSED = 5
_EMPTY = "No prompt waits for an answer."


class _Waiting:
    """A flow that waits, as last read."""

    def __init__(self, summary: FlowSummary, mark: object, prompts: Sequence[Prompt]) -> None:
        self.summary = summary
        self.mark = mark
        self.prompts = prompts


class _Entry:
    """A prompt in the list."""

    def __init__(self, card: Card, summary: FlowSummary, number: int) -> None:
        self.card = card
        self.workflow = summary.workflow_name or summary.workflow_url
        self.name = summary.name
        self.tags = summary.tags
        self.id = f"prompt-{number}"
        self.closed_at = 0.0

    @property
    def where(self) -> str:
        node = self.card.prompt.node
        return " · ".join(
            part for part in (self.name, self.workflow, node if node != self.card.prompt.title else "") if part
        )


class Inbox(ListView):
    """Every prompt that waits, over all flows of the database, those of other processes too. Oldest first.

    The filters are those of Engine.flows, less ``status`` and ``limit``. Displayed, it is live and can be answered by
    keyboard; ``prompts`` are those that wait now.

    Example::

        inbox = lab.inbox(tags={"team": "office"})
        for prompt in inbox.prompts:
            prompt.answer(True)
    """

    script = "inbox.js"

    def __init__(self, lab: LabServices, filters: Mapping[str, Any]) -> None:
        for name in ("status", "limit"):
            if name in filters:
                raise InvalidRequest(f"the inbox takes no {name}: it lists what is interrupted")
        super().__init__(lab)
        self._filters = {**filters, "status": "interrupted"}
        self._numbers = itertools.count()
        self._flows: dict[str, _Waiting] = {}
        self._entries: dict[str, _Entry] = {}  # by the step's key; replaced, never changed in place
        self._waiting = 0  # flows
        self._search = ""
        self._workflow = ""
        lab.call(self._check())

    async def _check(self) -> None:
        """Raise for a wrong filter now, and not at every look."""
        self._lab.engine.flows(**self._filters)

    @property
    def prompts(self) -> Sequence[Prompt]:
        """The prompts that wait now, oldest first, of at most 200 flows."""
        self._lab.call(self._refresh())
        return [entry.card.prompt for entry in self._open()]

    # ------------------------------------------------------------ reading

    async def _look(self, *, eased: bool = False) -> None:
        found = [summary async for summary in self._lab.engine.flows(**self._filters)]
        found.sort(key=lambda summary: summary.updated_at)
        self._waiting = len(found)
        shown = {entry.card.prompt.flow_key for entry in self._open()[:MOST_CARDS]}
        limit = asyncio.Semaphore(16)

        async def read(summary: FlowSummary) -> _Waiting | None:
            async with limit:
                return await self._read(summary, again=summary.flow_key in shown)

        read_now = await asyncio.gather(*(read(summary) for summary in found[:MOST_READ]))
        self._flows = {each.summary.flow_key: each for each in read_now if each is not None}
        await self._close_overdue()
        self._merge()

    async def _close_overdue(self) -> None:
        """Close the cards of questions that went on by themselves when their time was over."""
        waiting = {prompt.key for flow in self._flows.values() for prompt in flow.prompts}
        gone: dict[str, list[Card]] = {}
        for entry in self._entries.values():
            if not entry.card.closed and entry.card.prompt.key not in waiting:
                gone.setdefault(entry.card.prompt.flow_key, []).append(entry.card)
        for key, cards in gone.items():
            late = await overdue(self._lab.engine.flow(key), [card.prompt for card in cards])
            for card in cards:
                if card.prompt.key in late:
                    card.closed = OVERDUE

    async def _read(self, summary: FlowSummary, *, again: bool) -> _Waiting | None:
        """The prompts of a flow. Those of a flow that is shown may change while its status does not."""
        key = summary.flow_key
        handle, known = self._lab.engine.flow(key), self._flows.get(key)
        try:
            if known is not None and known.summary.updated_at == summary.updated_at:
                mark = await handle.fingerprint() if again else known.mark
                if mark == known.mark:
                    return known
            mark = await handle.fingerprint()
            steps = await handle.interrupts()
        except FlowNotFound:
            return None
        return _Waiting(summary, mark, [Prompt(step, key, self._lab.send_answer) for step in steps])

    def _merge(self) -> None:
        """Open a card for each new prompt, and close those of prompts that wait no longer."""
        entries: dict[str, _Entry] = {}
        for flow in self._flows.values():
            for prompt in flow.prompts:
                known = self._entries.get(prompt.key)
                if known is None or known.card.closed or not known.card.prompt._same_question(prompt):
                    known = _Entry(Card(prompt, 0), flow.summary, next(self._numbers))
                entries[prompt.key] = known
        gone = [entry for entry in self._entries.values() if entry not in entries.values()]
        for entry in gone:
            if not entry.card.closed:
                entry.card.closed = "answered elsewhere"
            entry.closed_at = entry.closed_at or time.monotonic()
        gone.sort(key=lambda entry: entry.closed_at)
        kept = {f"closed {entry.id}": entry for entry in gone[-MOST_CLOSED:]}
        self._entries = {**kept, **entries}

    def _open(self) -> list[_Entry]:
        waiting = [entry for entry in self._entries.values() if not entry.card.closed]
        return sorted(waiting, key=lambda entry: entry.card.prompt.waiting_since)

    def _matching(self) -> list[_Entry]:
        text = self._search.casefold()

        def fits(entry: _Entry) -> bool:
            prompt = entry.card.prompt
            words = [
                prompt.title,
                entry.workflow,
                entry.name,
                *entry.tags.values(),
                prompt.node,
                *(f"{fact['name']} {text_of(fact)}" for fact in prompt._facts()),
            ]
            return self._workflow in ("", entry.workflow) and text in "\n".join(words).casefold()

        return [entry for entry in self._open() if fits(entry)]

    # ------------------------------------------------------------ answering

    async def _receive(self, message: Mapping[str, Any]) -> None:
        kind = message.get("type")
        if kind == "filter":
            self._search = str(message.get("search", self._search))
            self._workflow = str(message.get("workflow", self._workflow))
            self._push()
        elif kind == "answer":
            entry = next((each for each in self._entries.values() if each.id == message.get("id")), None)
            if entry is not None and not entry.card.closed:
                await self._answer(entry, message.get("value", ...))
        elif kind == "ask":
            self._widget.send(await reply_to(message, self._ask(message)))
            free_comm(self._widget)

    async def _ask(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the card of a breakpoint asks."""
        card = next((each.card for each in self._entries.values() if each.id == message.get("card")), None)
        reply = await answer_stop(self._lab, card, message)
        if message.get("do") != "stopped":
            await self._changed()
        return reply

    async def _answer(self, entry: _Entry, value: Any) -> None:
        card = entry.card
        try:
            await self._lab.deliver(card.prompt, await asyncio.to_thread(card.prompt.check, value))
            card.closed = answer_text(value, card.prompt.schema)
        except (StateConflict, FlowNotFound):
            card.closed = "answered elsewhere"
        except Exception as fault:  # noqa: BLE001  a person sees it, and may try again
            card.refuse(str(fault) or type(fault).__name__)
        self._push()
        await self._changed()

    # ------------------------------------------------------------ showing

    def _title(self) -> str:
        prompts = [prompt for flow in self._flows.values() for prompt in flow.prompts]
        stopped = len({prompt.flow_key for prompt in prompts if is_stop(prompt.payload)})
        count = sum(not is_stop(prompt.payload) for prompt in prompts)
        if self._waiting > MOST_READ:
            return f"{plural(self._waiting, 'flow')} wait for an answer"
        told = [f"{plural(count, 'prompt')} wait{'s' if count == 1 else ''} for an answer"] if count else []
        if stopped:
            told.append(f"{plural(stopped, 'flow')} {'is' if stopped == 1 else 'are'} stopped at a breakpoint")
        return ", ".join(told)

    def _empty(self, shown: int) -> str:
        waiting = len(self._matching())
        if not waiting:
            return "No prompt fits the filter." if self._waiting and (self._search or self._workflow) else _EMPTY
        rest = waiting - shown
        return f"The oldest {shown:,} are shown." if rest > 0 or self._waiting > MOST_READ else ""

    def _traits(self) -> InboxState:
        fitting = self._matching()[:MOST_CARDS]
        closed = [entry for entry in self._entries.values() if entry.card.closed]
        return {
            "title": self._title(),
            "empty": self._empty(len(fitting)),
            "fault": self._fault,
            "workflows": sorted({flow.summary.workflow_name for flow in self._flows.values()}),
            "workflow": self._workflow,
            "search": self._search,
            "cards": [_describe(entry) for entry in [*closed, *fitting]],
        }

    def _table(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(entry.card.prompt.title)}</td><td>{html.escape(entry.where)}</td>"
            f"<td>{entry.card.prompt.waiting_since:%Y-%m-%d %H:%M} UTC</td></tr>"
            for entry in self._matching()[:MOST_CARDS]
        )
        title = html.escape(self._title() or self._fault or _EMPTY)
        table = f"<table><tr><th>prompt</th><th>flow</th><th>waits since</th></tr>{rows}</table>" if rows else ""
        return f"<div><b>{title}</b>{table}</div>"

    def _text(self) -> str:
        lines = [self._title() or self._fault or _EMPTY]
        now = time.time()
        for entry in self._matching()[:MOST_CARDS]:
            since = seconds_text(now - entry.card.prompt.waiting_since.timestamp())
            lines.append(f"  {entry.card.prompt.title} ({entry.where}, since {since})")
        return "\n".join(lines)


def _describe(entry: _Entry) -> CardState:
    prompt = entry.card.prompt
    return describe_card(entry.card) | {
        "id": entry.id,
        "node": entry.where,
        "since": prompt.waiting_since.timestamp(),
    }
