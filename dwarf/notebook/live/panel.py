"""What does the page get when it asks about a step, or wants something done? Every request is checked here.

Steps are named by their ids, and only those of the flow that is shown are found: the page never sees a step's key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from dwarf.errors import InvalidRequest
from dwarf.notebook.bundles import view_of
from dwarf.notebook.kernel import name_cells
from dwarf.notebook.live.drift import drift_of
from dwarf.notebook.live.earlier import label_of
from dwarf.notebook.live.edited import MOST_EDITED, changes_between, pretty, result_of
from dwarf.notebook.live.origins import MOST_SOURCE, items_of, origin_of
from dwarf.notebook.live.output import describe_line
from dwarf.notebook.live.replies import reply_to
from dwarf.notebook.live.stops import describe_stop, edits, stop_card
from dwarf.notebook.messages import (
    ActionReply,
    ListedStep,
    NodeReply,
    Spoken,
    StepOrigin,
    StepReply,
    StepState,
    StopReply,
)
from dwarf.notebook.pictures.formatting import brief, duration_text, plain, plural
from dwarf.notebook.pictures.palette import look_of
from dwarf.notebook.pictures.subgraph_views import child_of
from dwarf.notebook.pictures.views import attempt_text, attempts_of, states_of
from dwarf.notebook.prompts.facts import facts_of
from dwarf.workflow.digests import CODE_LENGTH
from dwarf.workflow.output import ATTEMPTS, LogLine
from dwarf.workflow.results import NO_TIME, Step
from dwarf.workflow.status import Status
from dwarf.workflow.values import state_to_json
from dwarf.workflow.values.meaning import same

if TYPE_CHECKING:
    from datetime import datetime

    from dwarf.engine import FlowHandle
    from dwarf.notebook.live.flow_watcher import Card, FlowWatcher
    from dwarf.notebook.services import LabServices
    from dwarf.workflow.graph import Graph

__all__ = ["PAGE", "PanelController", "changes_between", "describe_step", "diff_of", "sort_steps"]

PAGE = 50  # steps on a page of a list
_SHOWN = 20_000  # characters of a state that is shown
_LINES = 500  # of output that are shown
_STREAM = 50_000  # characters of a stream that are shown
_DISPLAYS = 30
_CELL = 1_200  # characters of a value in a diff
_ORDER = tuple("failed interrupted running nested retrying delayed pending cancelled handled completed".split())

_log = logging.getLogger("dwarf.notebook")


class PanelController:
    """Answers the page of one view. ``handle`` runs on the lab's loop and never raises."""

    def __init__(
        self,
        lab: LabServices,
        watcher: FlowWatcher,
        show: Callable[[FlowWatcher], None],
        redraw: Callable[[], None] = lambda: None,
        earlier: Sequence[FlowWatcher] = (),
    ) -> None:
        self.lab = lab
        self.watcher = watcher
        self.opened: dict[str, int] = {}  # the subgraphs that stand open: paths, and the steps that called them or 0
        self._show = show
        self._others = earlier  # begun by the same cell before
        self._redraw = redraw

    async def handle(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to a message; what went wrong is told in it as ``fault``."""
        calls: dict[Any, Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]] = {
            "node": self._node,
            "step": self._step,
            "fork": self._fork,
            "retry": self._retry,
            "regraph": self._regraph,
            "cancel": self._cancel,
            "earlier": self._earlier,
            "show": self._show_here,
            "stop": self._stop,
            "stopped": self._stopped,
            "go": self._go_on,
            "unfold": self._unfold,
        }
        return await reply_to(message, calls.get(message.get("do"), _refuse)(message))

    # ------------------------------------------------------------ looking

    async def _node(self, message: Mapping[str, Any]) -> NodeReply | StepReply:
        name, steps = self._plane(message)
        own = [step for step in steps if step.node == name]
        told: NodeReply | StepReply
        if not own:
            told = {"title": name, "state": "idle", "about": "The flow has not come here."}
        elif len(own) == 1:
            told = await self._full(own[0], 0, str(message["node"]))
        else:
            told = await self._list(message, name, own, steps)
        if stops := (await self._stops(message, name)).get("stops"):
            told["stops"] = stops
        return told

    async def _list(
        self, message: Mapping[str, Any], name: str, own: Sequence[Step], steps: Sequence[Step]
    ) -> NodeReply:
        """A page of the steps of a node; ``steps`` are all of its flow."""
        state_of_step = self._state_of(steps)
        ordered = sort_steps(own, state_of_step)
        about, kinds = _counts(ordered, state_of_step), list(dict.fromkeys(map(state_of_step, ordered)))
        chosen = str(message.get("only") or "")
        if chosen == "slow":
            ordered.sort(key=lambda step: step.duration or timedelta(), reverse=True)
        elif chosen in kinds:
            ordered = [step for step in ordered if state_of_step(step) == chosen]
        page = min(max(_whole_number(message.get("page", 0), "page"), 0), (len(ordered) - 1) // PAGE)
        shown = ordered[page * PAGE : (page + 1) * PAGE]
        items = await items_of(shown, self.watcher)
        return {
            "title": name,
            "rows": [_row(step, state_of_step(step), items.get(step.id, "")) for step in shown],
            "page": page,
            "size": PAGE,
            "total": len(ordered),
            "about": about,
            "only": chosen,
            "kinds": kinds,
        }

    async def _step(self, message: Mapping[str, Any]) -> StepReply:
        step = self._known(message)
        _, steps = self._plane(message)
        return await self._full(step, sum(each.node == step.node for each in steps), str(message.get("node")))

    async def _full(self, step: Step, of: int, path: str = "") -> StepReply:
        full = await self.lab.engine.step(step.key)
        status = self.watcher.outcome.status if self.watcher.outcome is not None else Status.RUNNING
        state = self._state_of(self.watcher.steps)(full)
        told = describe_step(full, state, ended=status.terminal, most=self._most(full))
        functions: Mapping[str, Any] = getattr(self.lab.host, "functions", {})
        frozen = self.watcher.graph
        graph = self.lab.digests.graph(frozen.name) if frozen is not None else None
        origin = await asyncio.to_thread(origin_of, full, graph or frozen, functions)
        origin.update(self._edited(full, str(origin.get("source") or "")))
        pace = self.watcher.paces.describe(full)
        said = await self._said(full, state)
        reply = cast("StepReply", {"of": of if of > 1 else 0, **told, **pace, **origin, **said})
        if step.sub_flows:
            is_open = self.opened.get(path) in (0, step.id)
            reply["nested"] = "Close the subgraph" if is_open else "Open the subgraph in the picture"
        return reply

    def _edited(self, step: Step, source: str) -> StepOrigin:
        """Whether a step's function has been redefined since, and its source as it ran where that is known here."""
        digests = self.lab.digests
        now = digests.now().get(step.url, "")[:CODE_LENGTH]
        if not step.code or not now or now == step.code:
            return {}
        ran = plain(digests.source(step.url, step.code))[:MOST_SOURCE]
        if not ran or not source:
            return {"edited": "edited since this step ran"}
        (change,) = facts_of({"source": {"before": ran, "after": source}})
        return {"edited": "edited since this step ran", "ran": ran, "change": change}

    async def _said(self, step: Step, state: str) -> Spoken:
        """What the step has said and shown, where it has."""
        handle = self.watcher.handle
        lines, shown = await handle.logs(step=step), await handle.displays(step=step)
        streams: dict[str, str] = {}
        for line in lines:
            if line.source == "stream":
                streams[line.name] = streams.get(line.name, "") + line.text
        spoken = [line for line in lines if line.source != "stream"]
        told: Spoken = {}
        if step.attempt and any(line.logger == ATTEMPTS for line in spoken):
            told["attempts"] = _attempts(spoken, step, look_of(state).word)
        if spoken:
            told["output"] = [describe_line(line) for line in spoken[-_LINES:]]
            told["left_out"] = max(0, len(spoken) - _LINES)
        if streams:
            told["streams"] = [[plain(name), _cut_head(plain(text), _STREAM)] for name, text in streams.items()]
        if shown:
            told["displays"] = [{"name": plain(each.name), **view_of(each.data)} for each in shown[-_DISPLAYS:]]
        return told

    def _most(self, step: Step) -> int:
        """How many attempts the task of a step has; 0 where its graph does not say."""
        graph = self.watcher.graph
        return attempts_of(graph).get(step.node, 0) if graph is not None else 0

    def _state_of(self, steps: Sequence[Step]) -> Callable[[Step], str]:
        return states_of(steps, self.watcher.graph)

    def _plane(self, message: Mapping[str, Any]) -> tuple[str, Sequence[Step]]:
        """The name of the node that is meant, and the steps of its flow."""
        graph, steps = self.watcher.graph, self.watcher.steps
        *outer, last = [_whole_number(part, "node") for part in str(message.get("node")).split("/")]
        path = ""
        for place in outer:
            path = f"{path}/{place}" if path else str(place)
            child = child_of(steps, _node_of(graph, place), self.opened.get(path, 0))
            if child is None:
                raise InvalidRequest("no subgraph stands open there")
            graph, steps = self.watcher.known_graph(child), child.steps
        return _node_of(graph, last), steps

    async def _unfold(self, message: Mapping[str, Any]) -> ActionReply:
        """Open a node's subgraph in the picture, or that of one of its steps; shut it, if it is open."""
        name, steps = self._plane(message)
        path = "/".join(str(int(part)) for part in str(message["node"]).split("/"))
        step = _whole_number(message.get("step") or 0, "step")
        if self.opened.get(path) == step or (path in self.opened and not step):
            self.opened = {known: each for known, each in self.opened.items() if not f"{known}/".startswith(f"{path}/")}
        else:
            child = child_of(steps, name, step)
            if child is None:
                raise InvalidRequest(f"{name!r} has called no subgraph")
            await self.watcher.graph_of(child.flow_key)
            self.opened = {**self.opened, path: step}
        self._redraw()
        return {}

    def _known(self, message: Mapping[str, Any]) -> Step:
        wanted = _whole_number(message.get("step"), "step")
        found = self.watcher.find(wanted)
        if found is None:
            raise InvalidRequest("the flow has no such step")
        return found

    # ------------------------------------------------------------ acting

    async def _fork(self, message: Mapping[str, Any]) -> ActionReply:
        step = self._known(message)
        at = message.get("at", "input")
        full = await self.lab.engine.step(step.key)
        base = state_to_json(full.state or {})
        if at == "after":
            base = result_of(base, state_to_json(full.changes or {}))
        changes = changes_between(base, str(message.get("text") or "{}"), whole=message.get("whole") is not False)
        run = await self.lab.follow(lambda: self.lab.engine.fork(step.key, changes, at=at))
        return self._begun(run, f"A new run goes on from {step.node!r}; it is shown below.")

    async def _retry(self, _: Mapping[str, Any]) -> ActionReply:
        run = await self.lab.follow(self.watcher.handle.retry_failed)
        return self._begun(run, "A new run goes on where this one failed; it is shown below.")

    async def _regraph(self, _: Mapping[str, Any]) -> ActionReply:
        """Go on with the graph as it is now: where the flow failed or waits, or else behind the last step of it."""
        graph = drift_of(self.watcher, self.lab.digests).graph
        if graph is None:
            raise InvalidRequest("the graph is still the one that the flow began with")
        handle = self.watcher.handle
        status = (await handle.fingerprint())[1]
        if status in (Status.FAILED, Status.CANCELLED):
            run = await self.lab.follow(lambda: handle.retry_failed(graph=graph))
            return self._begun(run, "A new run goes on with the new graph where this one failed; it is shown below.")
        step, at = await self._last_place(handle)
        run = await self.lab.follow(lambda: self.lab.engine.fork(step, at=at, graph=graph))
        return self._begun(run, f"A new run goes on with the new graph from {step.node!r}; it is shown below.")

    async def _last_place(self, handle: FlowHandle) -> tuple[Step, Literal["input", "after"]]:
        """The oldest step that waits for an answer, or the last one that has completed."""
        steps = await handle.history()
        own = {step.key for step in steps}
        for step in await handle.interrupts():
            if step.key in own:
                return step, "input"
        done = [step for step in steps if step.status is Status.COMPLETED]
        if not done:
            raise InvalidRequest("nothing has completed yet that could be gone on from: start the workflow anew")
        return max(done, key=lambda step: step.id), "after"

    async def _stops(self, message: Mapping[str, Any], node: str) -> ActionReply:
        """Whether the flow stops before and after a node, where that can be said: not for subgraphs, nor at the end."""
        outcome = self.watcher.outcome
        if "/" in str(message.get("node")) or outcome is None or outcome.status.terminal:
            return {}
        await self.watcher.read_stops()
        before, after = self.watcher.stops
        return {"stops": {"before": node in before, "after": node in after}}

    async def _stop(self, message: Mapping[str, Any]) -> ActionReply:
        """Have the flow stop before or after a node from now on, or no more."""
        name, _ = self._plane(message)
        at = str(message.get("at"))
        await self.watcher.read_stops()
        known = dict(zip(("before", "after"), self.watcher.stops, strict=True))
        if at not in known or not await self._stops(message, name):
            raise InvalidRequest("the flow can stop before or after a node of its own, while it goes on")
        nodes = known[at] ^ {name}
        await self.watcher.set_stops(before=nodes if at == "before" else None, after=nodes if at == "after" else None)
        return await self._stops(message, name)

    async def _stopped(self, message: Mapping[str, Any]) -> StopReply:
        return await describe_stop(self.watcher.engine, self._stop_card(message).prompt, self.watcher.steps)

    async def _go_on(self, message: Mapping[str, Any]) -> ActionReply:
        """Go on from a breakpoint with what was edited; ``stepping``: to stop again before the next step."""
        card = self._stop_card(message)
        changes = await edits(self.watcher.engine, card.prompt, message)
        await self.watcher.go_on(card, changes, stepping=message.get("stepping") is True)
        return {}

    def _stop_card(self, message: Mapping[str, Any]) -> Card:
        return stop_card(next((each for each in self.watcher.cards if each.id == message.get("card")), None))

    async def _cancel(self, message: Mapping[str, Any]) -> ActionReply:
        await self.watcher.handle.cancel(str(message.get("reason") or ""))
        return {"said": "Cancelled."}

    async def _earlier(self, message: Mapping[str, Any]) -> ActionReply:
        """Show or end a run that the same cell has begun before."""
        found = next((each for each in self._others if label_of(each) == message.get("which")), None)
        if found is None:
            raise InvalidRequest("this view knows no such run")
        if message.get("act") == "cancel":
            await found.handle.cancel("cancelled from the notebook")
            return {"said": "Cancelled."}
        self._show(found)
        return {"said": "It is shown below."}

    async def _show_here(self, _: Mapping[str, Any]) -> ActionReply:
        self._show(self.watcher)
        return {"said": ""}

    def _begun(self, run: FlowWatcher, said: str) -> ActionReply:
        self._show(run)
        return {"said": said, "find": f'lab.get("{run.handle.key}")'}


def _node_of(graph: Graph | None, place: int) -> str:
    if graph is None or not 0 <= place < len(graph.nodes):
        raise InvalidRequest("the flow has no such node")
    return graph.nodes[place].name


def sort_steps(steps: Sequence[Step], state: Callable[[Step], str]) -> list[Step]:
    """What needs a look first: failed ones, then those under way, then the rest, each in the order of the history."""
    order = {name: place for place, name in enumerate(_ORDER)}
    return sorted(steps, key=lambda step: (order.get(state(step), len(order)), step.id))


def _row(step: Step, state: str, item: str) -> ListedStep:
    return {
        "step": step.id,
        "label": f"branch {step.ordinal + 1}",
        "item": item,
        "state": state,
        "attempt": str(step.attempt + 1),
        "began": _epoch(step.started_at),
        "took": duration_text(step.duration),
        "error": brief(step.error, 200),
    }


def _attempts(lines: Sequence[LogLine], step: Step, word: str) -> list[list[Any]]:
    """``[number, when it ended, how long it took, what came of it]`` for each attempt that is known, the last too."""
    told: list[list[Any]] = []
    for line in lines:
        took, _, error = line.text.partition(" failed after ")[2].partition(": ")
        if line.logger == ATTEMPTS and took:
            told.append([line.attempt + 1, line.time.timestamp(), took, plain(error)])
    if not told or told[-1][0] <= step.attempt:
        ended = _epoch(step.updated_at) if step.status.terminal else 0
        told.append([step.attempt + 1, ended, "", word])
    return told


def _counts(steps: Sequence[Step], state: Callable[[Step], str]) -> str:
    counts: dict[str, int] = {}
    for step in steps:
        counts[state(step)] = counts.get(state(step), 0) + 1
    told = ", ".join(f"{count:,} {look_of(name).word}" for name, count in counts.items())
    return f"{plural(len(steps), 'step')}: {told}."


def describe_step(step: Step, state: str, *, ended: bool, most: int = 0) -> StepState:
    """A step with state and changes, as the page shows it.

    ``ended``: whether its flow has ended. ``most``: how many attempts its task has, 0 where that is not said.
    """
    before, changes = state_to_json(step.state or {}), state_to_json(step.changes or {})
    text = pretty(before)
    result = pretty(result_of(before, changes))
    whole = max(len(text), len(result)) <= MOST_EDITED
    can_go_on = step.status is Status.COMPLETED
    return {
        "title": step.node,
        "step": step.id,
        "state": state,
        "attempt": attempt_text(step, most).removeprefix("attempt "),
        "again": _epoch(step.next_attempt_at),
        "created": _epoch(step.created_at),
        "began": _epoch(step.started_at),
        "finished": _epoch(step.updated_at) if step.status.terminal else 0,
        "took": duration_text(step.duration),
        "waited": duration_text(step.waited) if step.waited else "",
        "asks": brief((step.interrupt_payload or {}).get("title") or "", 200),
        "error": plain(step.error),
        "traceback": name_cells(plain(step.traceback)),
        "warnings": list(step.warnings),
        "url": step.url,
        "code": step.code,
        "cached": "taken over from an earlier step; the task was not run" if step.cached else "",
        "before": _cut(text, _SHOWN),
        "diff": diff_of(before, changes),
        "input": text if whole else "",
        "result": result if whole and can_go_on else "",
        "whole": whole,
        "can_go_on": can_go_on,
        "no_fork": "" if ended or step.status.stopped else "A step can be forked when it has ended, or waits.",
    }


def diff_of(before: Mapping[str, Any], changes: Mapping[str, Any]) -> list[list[str]]:
    """``[kind, field, before, after]`` for each field that differs; kinds are added, changed and removed."""
    rows = []
    for name, value in sorted(changes.items()):
        had = before.get(name) is not None
        if value is None:
            kind = "removed" if had else ""
        else:
            kind = "changed" if had and not same(before[name], value) else "" if had else "added"
        if kind:
            old = _cut(pretty(before[name]), _CELL) if had else ""
            rows.append([kind, name, old, "" if value is None else _cut(pretty(value), _CELL)])
    return rows


async def _refuse(message: Mapping[str, Any]) -> Mapping[str, Any]:
    raise InvalidRequest(f"the view cannot do {brief(message.get('do'))}")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}\n… {len(text) - length:,} characters more"


def _cut_head(text: str, length: int) -> str:
    return text if len(text) <= length else f"… {len(text) - length:,} characters before\n{text[-length:]}"


def _epoch(moment: datetime | None) -> float:
    return 0 if moment is None or moment <= NO_TIME else moment.timestamp()


def _whole_number(value: Any, what: str) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.lstrip("-").isdigit():
        raise InvalidRequest(f"{what} is not a number")
    return int(text)
