"""What is happening to a flow? One coroutine on the lab's loop that watches it, keeps what it saw, and answers prompts.

Everything here but the constructor runs on the lab's loop. What it keeps is replaced, never changed in place, so other
threads may read it at any time.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dwarf.errors import EngineClosed, FlowNotFound, InvalidRequest, StateConflict
from dwarf.notebook.live.listeners import Listeners
from dwarf.notebook.live.output import Heard
from dwarf.notebook.live.pace import Paces
from dwarf.notebook.pictures.formatting import plural
from dwarf.notebook.pictures.views import is_stop
from dwarf.notebook.prompts.answers import NOTHING, Answers
from dwarf.notebook.prompts.forms import answer_text
from dwarf.notebook.prompts.prompt import OVERDUE, Prompt, overdue
from dwarf.surroundings import user_name
from dwarf.workflow.parts import END
from dwarf.workflow.results import Outcome, Step, SubFlow
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.engine import Engine, FlowHandle
    from dwarf.workflow.graph import Graph

__all__ = ["Card", "FlowWatcher", "gone_on", "steps_after"]

_MOST_NOTES = 20
_MOST_NAMED = 10
_MOST_TURNS = 50
_REST_PER_STEP = 0.000_2  # seconds
_LEAST_REST = 0.1
_MOST_REST = 2.0
_LAST_WORDS = 5.0  # seconds
_STUCK_AFTER = 2.0  # seconds without a change, and between looks

_log = logging.getLogger("dwarf.notebook")


class Card:
    """A prompt as a front end shows it: open, refused with an error, or closed with a word on how."""

    def __init__(self, prompt: Prompt, number: int) -> None:
        self.prompt = prompt
        self.id = f"card-{number}"
        self.error = ""
        self.faults = 0
        self.closed = ""
        self.scripted: bool | None = None  # None until the script has been asked

    def refuse(self, error: str) -> None:
        """Show an error; the count tells a second refusal with the same words from the first."""
        self.error = error
        self.faults += 1


class FlowWatcher:
    """A flow under observation. ``ended`` is done when the flow has ended for good."""

    def __init__(
        self, engine: Engine, handle: FlowHandle, answers: Answers, send: Callable[[Prompt, Any], None]
    ) -> None:
        self.engine = engine
        self.handle = handle
        self.answers = answers
        self.graph: Graph | None = None
        self.outcome: Outcome | None = None
        self.steps: Sequence[Step] = ()
        self.cards: tuple[Card, ...] = ()
        self.asked: frozenset[str] = frozenset()
        self.ended: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
        self.listeners = Listeners()
        self.began = 0.0  # epoch seconds, where the first step does not tell: a fork has steps from before it began
        self.functions: dict[str, str] = {}  # the digests of the host's functions as the flow was first seen here
        self._graphs: dict[str, Graph] = {}  # of child flows, by their keys
        self._send = send
        self._waiting: frozenset[tuple[str, object]] = frozenset()
        self.paces = Paces()
        self.stops: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())  # before and after nodes
        self.heard = Heard(handle, self._tell)  # what its tasks say; nobody listens before ``listen``
        self.stuck: tuple[str, ...] = ()  # what steps wait for that no process has, a line for each
        self._listening: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # between a look at the prompts and what is made of it, none may be answered

    @property
    def label(self) -> str:
        """The part of the flow's key that is no secret."""
        return self.handle.key.rpartition("-")[0]

    @property
    def prompts(self) -> list[Prompt]:
        """The prompts that wait, as last seen, oldest first."""
        return [card.prompt for card in self.cards if not card.closed]

    @property
    def notes(self) -> list[str]:
        """A line for each prompt that has been closed, of very many the last ones; then what steps wait for in vain."""
        lines = [f"✔ {_ask(card.prompt.title)} {card.closed}" for card in self.cards if card.closed]
        left_out = len(lines) - _MOST_NOTES
        if left_out > 0:
            lines = [f"✔ {plural(left_out, 'further answer')}", *lines[left_out:]]
        return [*lines, *self.stuck]

    @property
    def lost(self) -> bool:
        """Whether the following ended before the flow did."""
        return self.ended.done() and self.ended.exception() is not None

    async def open(self) -> None:
        """Read what the flow looks like now. FlowNotFound where there is none."""
        self.outcome = await self.handle.snapshot()
        self.graph = await self.handle.graph()
        self.steps = await self.handle.history()
        if any(step.status.terminal for step in self.steps):
            self.began = await self._creation()
        if self.outcome.status.terminal:
            self._finish(self.outcome)
        elif self.outcome.status is Status.INTERRUPTED:
            await self._read_prompts()

    async def _creation(self) -> float:
        """When the flow was created, where it is among the newest of its thread; else 0."""
        async for summary in self.engine.flows(thread=self.handle.key, limit=_MOST_TURNS):
            if summary.flow_key == self.handle.key:
                return summary.created_at.timestamp()
        return 0.0

    async def run(self) -> None:
        """Watch until the end. Nothing is raised: the error is that of the future ``ended``."""
        looking = asyncio.create_task(self._look_for_stuck(), name="dwarf-stuck")
        try:
            async for update in self.handle.watch():
                self.outcome, self.steps = update.outcome, update.steps
                self.paces.note(self.steps)
                await self._look_at_prompts()
                self._tell()
                if update.outcome.status.terminal:
                    break
                await self._rest()
            await self._conclude()
        except asyncio.CancelledError:
            self._fail(EngineClosed("the lab was closed; the flow is kept in its database"))
            raise
        except Exception as fault:  # noqa: BLE001  it becomes that of ``ended``
            _log.debug("a flow cannot be followed any further", exc_info=True)
            self._fail(fault)
        finally:
            looking.cancel()

    async def _look_for_stuck(self) -> None:
        """While nothing moves, and something is due, ask now and then whether any process can run it."""
        before: set[int] = set()
        while True:
            await asyncio.sleep(_STUCK_AFTER)
            due = {step.id for step in _all_steps(self.steps) if step.status is Status.PENDING}
            still, before = not due.isdisjoint(before), due
            told = await self.handle._stuck() if still else []
            found = tuple(f"{node} {what}" for node, what in told)
            if found != self.stuck:
                self.stuck = found
                self._tell()

    def listen(self) -> None:
        """Listen to what the tasks say, as views do."""
        if self._listening is None:
            self._listening = asyncio.create_task(self.heard.run(), name="dwarf-hear")

    async def all_heard(self) -> None:
        """Wait, when the flow has ended, until its last words are heard."""
        if self._listening is not None:
            await asyncio.wait({self._listening}, timeout=_LAST_WORDS)

    async def _rest(self) -> None:
        """Leave the loop to the flows for a while: many thousand steps take long to be read again at every change.

        The end of the flow ends the rest.
        """
        pause = min(len(self.steps) * _REST_PER_STEP, _MOST_REST)
        if pause < _LEAST_REST or self.outcome is None or self.outcome.stopped:
            return
        stopped = asyncio.ensure_future(self.handle.outcome())
        await asyncio.wait({stopped}, timeout=pause)
        stopped.cancel()
        await asyncio.gather(stopped, return_exceptions=True)

    async def _conclude(self) -> None:
        outcome = self.outcome
        if outcome is None or not outcome.status.terminal:
            outcome = await self.handle.snapshot()
        if not outcome.status.terminal:
            raise StateConflict(f"the flow could not be followed to its end; it is {outcome.status}")
        self.outcome = outcome
        self._close_gone(frozenset(), "no answer needed any more")
        self._finish(outcome)

    def _finish(self, outcome: Outcome) -> None:
        self.stuck = ()
        failed = [step for step in _all_steps(self.steps) if step.status is Status.FAILED and not step.sub_flows]
        if failed and outcome.status is Status.FAILED:
            self.outcome = outcome = replace(outcome, _failed_at=failed[0].node)
        if not self.ended.done():
            self.ended.set_result(outcome)
        self._tell()

    def _fail(self, fault: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(fault)
        self._tell()

    def _tell(self) -> None:
        self.listeners.tell()

    # ------------------------------------------------------------ prompts

    async def _look_at_prompts(self) -> None:
        """Read the prompts again where a step has begun or ended waiting, and answer what is scripted."""
        # with the time: a step that was answered and asks again is the same step with another question
        waiting = frozenset((step.key, step.updated_at) for step in _waiting_steps(self.steps))
        if waiting == self._waiting and not (self._is_interrupted and not self.prompts):
            return
        self._waiting = waiting
        await self._read_prompts()

    @property
    def _is_interrupted(self) -> bool:
        return self.outcome is not None and self.outcome.status is Status.INTERRUPTED

    async def _read_prompts(self) -> None:
        async with self._turn:
            found = [Prompt(step, self.handle.key, self._send) for step in await self.handle.interrupts()]
            known = {card.prompt.key: card for card in self.cards if not card.closed}
            fresh = [
                Card(prompt, len(self.cards) + index)
                for index, prompt in enumerate(found)
                if prompt.key not in known or not known[prompt.key].prompt._same_question(prompt)
            ]
            stale = {card.prompt.key for card in fresh}
            still = frozenset(prompt.key for prompt in found) - stale
            await self._close_overdue(still)
            self._close_gone(still, "answered elsewhere")
            self.cards = (*self.cards, *fresh)
            self.asked |= {prompt.node for prompt in found if not is_stop(prompt.payload)}
            if any(is_stop(prompt.payload) for prompt in found):
                await self.read_stops()
        for card in fresh:
            await self._answer_by_script(card)

    async def _close_overdue(self, still: frozenset[str]) -> None:
        """Close the cards of questions that went on by themselves when their time was over."""
        gone = [card for card in self.cards if not card.closed and card.prompt.key not in still]
        late = await overdue(self.handle, [card.prompt for card in gone])
        for card in gone:
            if card.prompt.key in late:
                card.closed = OVERDUE

    def _close_gone(self, still: frozenset[str], how: str) -> None:
        for card in self.cards:
            if not card.closed and card.prompt.key not in still:
                card.closed = how

    async def _answer_by_script(self, card: Card) -> None:
        try:
            value = self.answers.answer_to(card.prompt)
            card.scripted = value is not NOTHING
            if card.scripted:
                await self._store(card, value, by="")
        except (StateConflict, FlowNotFound) as fault:
            _log.debug("a scripted answer came too late: %s", fault)
        except Exception as fault:  # noqa: BLE001  an answer given as a function may raise anything
            card.scripted = False
            card.refuse(f"the scripted answer does not fit: {fault}")

    @property
    def unanswered(self) -> list[Card]:
        """The open cards to which no script has the answer."""
        return [card for card in self.cards if not card.closed and card.scripted is False]

    async def answer(self, value: Any, which: str | Prompt | None) -> None:
        """Answer the prompt that waits, or the one of this key, title or node.

        InvalidRequest where the answer does not fit, or where several wait and none is named.
        """
        await self._read_prompts()
        card = self._card(which)
        await self._store(card, value, by=user_name())

    async def answer_card(self, card_id: str, value: Any) -> None:
        """Answer from a front end: a fault is shown on the card, not raised."""
        card = next((card for card in self.cards if card.id == card_id), None)
        if card is None or card.closed:
            return
        try:
            await self._store(card, value, by=user_name())
        except StateConflict:
            card.closed = "answered elsewhere"
        except Exception as fault:  # noqa: BLE001  a person sees it, and may try again
            card.refuse(str(fault) or type(fault).__name__)
        self._tell()

    async def _store(self, card: Card, value: Any, *, by: str, then: frozenset[str] = frozenset()) -> None:
        # in a thread, since an answer may be large
        value = await asyncio.to_thread(card.prompt.check, value)
        stop = is_stop(card.prompt.payload)
        async with self._turn:
            await self.handle._resume(value, step=card.prompt.key, by=by, once=then)
            card.closed = gone_on(value) if stop else answer_text(value, card.prompt.schema) or "answered"
        self._tell()

    # ------------------------------------------------------------ where it stops

    async def read_stops(self) -> None:
        """Read where the flow stops."""
        self.stops = await self.handle.breakpoints()

    async def set_stops(self, *, before: Iterable[str] | None = None, after: Iterable[str] | None = None) -> None:
        """Have the flow stop before and after these nodes from now on, and show it."""
        await self.handle.set_breakpoints(before=before, after=after)
        await self.read_stops()
        self._tell()

    async def go_on(self, stop: Card | Prompt, changes: Mapping[str, Any], *, stepping: bool) -> None:
        """Go on from a breakpoint, with changes to the state; ``stepping``: as far as the next step."""
        if isinstance(stop, Prompt):
            await self._read_prompts()
            stop = self._card(stop)
        then = steps_after(self.graph, stop.prompt.node) if self.graph is not None and stepping else frozenset()
        await self._store(stop, dict(changes), by=user_name(), then=then)

    def _card(self, which: str | Prompt | None) -> Card:
        open_cards = [card for card in self.cards if not card.closed]
        if which is None and len(open_cards) > 1:
            raise InvalidRequest(_several(open_cards))
        if which is None and open_cards:
            return open_cards[0]
        names = which.key if isinstance(which, Prompt) else which
        for card in open_cards:
            if names in (card.prompt.key, card.prompt.title, card.prompt.node):
                return card
        if not open_cards:
            status = "unknown" if self.outcome is None else str(self.outcome.status)
            raise StateConflict(f"no prompt of this flow waits for an answer; its status is {status}")
        waiting = ", ".join(repr(card.prompt.title) for card in open_cards)
        raise StateConflict(f"no prompt {names!r} waits for an answer; these do: {waiting}")

    # ------------------------------------------------------------ reading

    async def read(self) -> None:
        """Bring outcome and steps up to date."""
        try:
            self.outcome, self.steps = await self.handle.snapshot(), await self.handle.history()
        except FlowNotFound:
            if self.outcome is None:
                raise

    async def refresh(self) -> None:
        """Bring outcome and prompts up to date."""
        await self.read()
        if self.prompts or self._is_interrupted:
            await self._read_prompts()

    async def graph_of(self, flow_key: str) -> Graph:
        """The graph of a child flow, as frozen on it."""
        if flow_key not in self._graphs:
            self._graphs[flow_key] = await self.engine.flow(flow_key).graph()
        return self._graphs[flow_key]

    def has_graph(self, child: SubFlow) -> bool:
        """Whether the graph of a child flow has been read."""
        return child.flow_key in self._graphs

    def known_graph(self, child: SubFlow) -> Graph | None:
        """The graph of a child flow, where it has been read; else the last one read of the same workflow."""
        graph = self._graphs.get(child.flow_key)
        if graph is None:
            graph = next((each for each in reversed(self._graphs.values()) if each.name == child.workflow_name), None)
        return graph

    def find(self, step_id: int) -> Step | None:
        """The step of this id, those of subgraphs included, as last seen."""
        return next((step for step in _all_steps(self.steps) if step.id == step_id), None)


def _several(cards: Sequence[Card]) -> str:
    titles = [card.prompt.title for card in cards]
    shown = [
        f"{card.prompt.title!r} of {card.prompt.node!r}" + (f" (key {card.prompt.key})" if again else "")
        for card, again in ((card, titles.count(card.prompt.title) > 1) for card in cards[:_MOST_NAMED])
    ]
    more = f" and {len(cards) - _MOST_NAMED} more" if len(cards) > _MOST_NAMED else ""
    return (
        f"{len(cards)} prompts wait: {', '.join(shown)}{more}. Say which one is answered: "
        "run.answer(value, prompt=...), by its title, node or key, or one of run.prompts"
    )


def steps_after(graph: Graph, node: str) -> frozenset[str]:
    """The nodes to which a step of this node may lead."""
    return frozenset(way.target for way in graph.transitions if way.source == node) - {END}


def gone_on(changes: Any) -> str:
    """What has come of a stop, on one line."""
    names = sorted(changes) if isinstance(changes, Mapping) else []
    return f"went on, with {', '.join(map(repr, names))} changed" if names else "went on"


def _ask(title: str) -> str:
    return title if title.endswith(("?", "!", ".", ":")) else f"{title}:"


def _all_steps(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        for flow in step.sub_flows:
            yield from _all_steps(flow.steps)


def _waiting_steps(steps: Sequence[Step]) -> Iterator[Step]:
    return (step for step in _all_steps(steps) if step.status is Status.INTERRUPTED)
