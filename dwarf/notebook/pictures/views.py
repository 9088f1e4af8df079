"""What is there to see of a flow? Its steps, summed up for each node: pure data for every kind of picture."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dwarf.notebook.pictures.formatting import plain, plural, seconds_text
from dwarf.notebook.pictures.palette import look_of
from dwarf.workflow.results import NO_TIME
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.results import Outcome, Step

__all__ = [
    "FlowView",
    "NodeView",
    "due_at",
    "flow_view",
    "handlers_of",
    "is_stop",
    "loudest",
    "node_views",
    "state_of",
    "stop_text",
    "taken_edges",
    "where_stopped",
]

# The order in which one state of a group of branches outdoes another in the colour of their node.
_LOUDEST = tuple("interrupted running nested retrying delayed pending failed cancelled completed handled".split())
_SETTLED = frozenset({"completed", "failed", "cancelled", "handled"})
# The order in which the shares of a group stand in its bar: what is done first, what has not begun last.
_SHARES = tuple("completed handled failed cancelled interrupted running nested retrying pending delayed".split())
_HOPS = 200
_SHORT = 16  # characters of a message that are seen whole in the node


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as seen now.

    ``state`` names a look, ``word`` and ``rest`` stand under the name, with a clock between them: ``since`` counts up
    from a moment and ``until`` down to one (epoch seconds, 0: neither). ``parts`` are the shares of a group of
    branches by state, ``asked`` and ``nested`` say that the node has put a question or run a subgraph, ``stops_before``
    and ``stops_after`` that the flow stops there.
    """

    state: str = "idle"
    word: str = ""
    rest: str = ""
    since: float = 0.0
    until: float = 0.0
    parts: tuple[tuple[str, int], ...] = ()
    detail: str = ""
    asked: bool = False
    nested: bool = False
    stops_before: bool = False
    stops_after: bool = False

    def text(self, now: float) -> str:
        """The line with its clock read at ``now`` (epoch seconds)."""
        if self.until > now:
            return " · ".join(part for part in (f"{self.word} in {seconds_text(self.until - now)}", self.rest) if part)
        clock = seconds_text(now - self.since) if self.since else ""
        return " · ".join(part for part in (self.word, clock, self.rest) if part)


@dataclass(frozen=True, slots=True)
class FlowView:
    """The flow as a whole: ``state`` names a look; times are epoch seconds, ``ended`` 0 while it goes on.

    ``word`` takes the place of the look's own where that would mislead: a flow at a breakpoint waits for no answer.
    """

    state: str = "pending"
    began: float = 0.0
    ended: float = 0.0
    steps: int = 0
    error: str = ""
    word: str = ""

    def text(self, now: float) -> str:
        """Status and elapsed time, such as ``completed · 4.2 s · 66 steps``."""
        parts = [self.word or look_of(self.state).word]
        if self.began:
            parts.append(seconds_text((self.ended or now) - self.began))
        if self.steps:
            parts.append(plural(self.steps, "step"))
        return " · ".join(parts)


def state_of(step: Step, now: datetime | None = None) -> str:
    """The look of one step: its status, told apart where a status alone says too little."""
    if step.status is Status.RUNNING and step.parked:
        return "nested"
    if step.status is Status.PENDING:
        due = step.not_before is not None and step.not_before > (now or datetime.now(UTC))
        return "retrying" if step.attempt else "delayed" if due else "pending"
    return str(step.status)


def due_at(step: Step) -> datetime:
    """When the step was to run: its creation, or the end of its first delay; NO_TIME where neither is known."""
    return max(step.created_at, step.not_before if step.not_before is not None and not step.attempt else NO_TIME)


def loudest(states: Collection[str]) -> str:
    """The state of a group that matters most."""
    return next((name for name in _LOUDEST if name in states), "idle")


def flow_view(outcome: Outcome | None, steps: Sequence[Step], since: float = 0.0) -> FlowView:
    """The view of a whole flow from its outcome and its history.

    ``since``: when it began (epoch seconds), where that is not the first step's time: a fork has steps of its origin.
    """
    state = str(outcome.status) if outcome is not None else "pending"
    error = plain(outcome.error or outcome.cancel_reason) if outcome is not None else ""
    began = min((step.created_at for step in steps if step.created_at > NO_TIME), default=NO_TIME).timestamp()
    began = max(began, since)
    ended = 0.0
    if outcome is not None and outcome.status.terminal:
        ended = max((step.updated_at for step in steps), default=NO_TIME).timestamp()
        ended = max(ended, began)
    word = where_stopped(steps) if state == "interrupted" else ""
    return FlowView(state, began, ended, len(steps), error, word)


def where_stopped(steps: Iterable[Step]) -> str:
    """Where a flow has stopped, such as ``stopped before Charge (breakpoint)``; "" where a question waits, too."""
    places: dict[str, None] = {}
    for step in _leaves(steps):
        if step.status is Status.INTERRUPTED:
            if not is_stop(step.interrupt_payload):
                return ""
            places[stop_text(step.interrupt_payload)] = None
    first, *more = places or [""]
    return f"{first} and at {plural(len(more), 'other breakpoint')}" if more else first


def stop_text(payload: Mapping[str, Any] | None) -> str:
    """The words for what a breakpoint asks."""
    told = payload or {}
    return f"stopped {told.get('breakpoint')} {told.get('node')} (breakpoint)"


def _leaves(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        if step.sub_flows:
            for flow in step.sub_flows:
                yield from _leaves(flow.steps)
        else:
            yield step


def node_views(
    steps: Sequence[Step],
    *,
    handlers: Mapping[str, str] | None = None,
    attempts: Mapping[str, int] | None = None,
    asked: Collection[str] = (),
    now: datetime | None = None,
) -> dict[str, NodeView]:
    """The view of every node that has steps.

    ``handlers``: the error handler of each node that has one. ``attempts``: the most attempts of each node that says
    so. ``asked``: nodes known to have put a question earlier.
    """
    now = now or datetime.now(UTC)
    by_id = {step.id: step for step in steps}
    groups: dict[str, list[Step]] = {}
    for step in steps:
        groups.setdefault(step.node, []).append(step)
    return {
        node: _view(
            _Group(
                node,
                group,
                by_id,
                now=now,
                handler=(handlers or {}).get(node, ""),
                most=(attempts or {}).get(node, 0),
                asked=node in asked,
            )
        )
        for node, group in groups.items()
    }


def attempts_of(graph: Graph) -> dict[str, int]:
    """The most attempts of each node that has a Retry."""
    return {node.name: node.retry.max_attempts for node in graph.nodes if node.retry is not None}


def attempt_text(step: Step, most: int) -> str:
    """Which attempt a step is at, such as ``attempt 2 of 5``."""
    return f"attempt {step.attempt + 1}" + (f" of {most}" if most > step.attempt else "")


def handlers_of(graph: Graph) -> dict[str, str]:
    """The error handler of each node that has one which nothing else leads to."""
    handlers = {each.source: each.target for each in graph.transitions if each.on_error}
    plain = {(each.source, each.target) for each in graph.transitions if not each.on_error}
    return {source: target for source, target in handlers.items() if (source, target) not in plain}


def states_of(steps: Iterable[Step], graph: Graph | None) -> Callable[[Step], str]:
    """What tells the look of each of these steps of one flow; a step whose error was handled is told apart."""
    handlers = handlers_of(graph) if graph is not None else {}
    nodes = {step.id: step.node for step in steps}

    def state(step: Step) -> str:
        handler = handlers.get(step.node)
        is_handled = handler and step.status is Status.COMPLETED and nodes.get(step.successor_id) == handler
        return "handled" if is_handled else state_of(step)

    return state


def taken_edges(steps: Iterable[Step]) -> set[tuple[str, str]]:
    """The pairs of nodes between which the flow has gone."""
    known = list(steps)
    by_id = {step.id: step for step in known}
    taken: set[tuple[str, str]] = set()
    for step in known:
        if before := by_id.get(step.predecessor_id):
            taken.add((before.node, step.node))
        if after := by_id.get(step.successor_id):
            taken.add((step.node, after.node))
    return taken


@dataclass(slots=True)
class _Group:
    """The steps of one node: the latest lap of a loop, and how many laps there were."""

    node: str
    steps: list[Step]
    by_id: Mapping[int, Step]
    now: datetime
    handler: str
    most: int  # attempts, 0 where nobody says how many
    asked: bool
    current: list[Step] = field(default_factory=list)
    laps: int = 1

    def __post_init__(self) -> None:
        self.asked = self.asked or any(
            (step.interrupt_payload or step.status is Status.INTERRUPTED) and not is_stop(step.interrupt_payload)
            for step in self.steps
        )
        passed = _passed(self.steps, self.by_id) if len(self.steps) > 1 else set()
        self.current = [step for step in self.steps if step.id not in passed]
        self.laps = max(1, round(len(self.steps) / max(len(self.current), 1)))

    def state_of(self, step: Step) -> str:
        """The look of a step; one whose error went to the handler of its node is told apart."""
        state = state_of(step, self.now)
        after = self.by_id.get(step.successor_id) if self.handler and state == "completed" else None
        return "handled" if after is not None and after.node == self.handler else state


def _passed(steps: Sequence[Step], by_id: Mapping[int, Step]) -> set[int]:
    """The ids of the steps of one node that belong to earlier laps of a loop.

    A branch may loop by itself: then a later lap descends from the earlier one. Or the loop goes round a whole
    fan-out: then an earlier lap's successors lead to an ancestor of the latest step.
    """
    passed = {_same_node_before(step, by_id) for step in steps}
    above: set[int] = set()
    ancestor = by_id.get(max(steps, key=lambda step: step.id).predecessor_id)
    while ancestor is not None and ancestor.id not in above:
        above.add(ancestor.id)
        ancestor = by_id.get(ancestor.predecessor_id)
    leads: dict[int, bool] = {}
    for step in steps:
        way: list[int] = []
        after = by_id.get(step.successor_id)
        while after is not None and after.id not in leads and after.id not in above and len(way) < _HOPS:
            way.append(after.id)
            after = by_id.get(after.successor_id) if after.successor_id not in way else None
        found = after is not None and (after.id in above or leads.get(after.id, False))
        leads.update(dict.fromkeys(way, found))
        if found:
            passed.add(step.id)
    return passed


def _same_node_before(step: Step, by_id: Mapping[int, Step]) -> int:
    """The id of the step of the same node that this one descends from, or -1."""
    before = by_id.get(step.predecessor_id)
    for _ in range(_HOPS):
        if before is None:
            return -1
        if before.node == step.node:
            return before.id
        before = by_id.get(before.predecessor_id)
    return -1


def _view(group: _Group) -> NodeView:
    counts: dict[str, int] = {}
    for step in group.current:
        state = group.state_of(step)
        counts[state] = counts.get(state, 0) + 1
    state = loudest(counts)
    nested = any(step.sub_flows or step.parked for step in group.steps)
    detail = _detail(group, counts)
    if len(group.current) == 1:
        return replace(_single(group, state), detail=detail, asked=group.asked, nested=nested)
    parts = tuple((name, counts[name]) for name in _SHARES if name in counts)
    word = _several(group, counts)
    return NodeView(state, word, parts=parts, detail=detail, asked=group.asked, nested=nested)


def _single(group: _Group, state: str) -> NodeView:
    step = group.current[0]
    word = look_of(state).word
    rest: list[str] = []
    if state == "nested" and step.sub_workflow_name:
        word = f"in {step.sub_workflow_name}"
    if state == "interrupted" and is_stop(step.interrupt_payload):
        word = f"stopped {(step.interrupt_payload or {}).get('breakpoint')} it"
    if state == "running" and step.progress is not None:
        done, total, message = step.progress
        word = f"{done:,.0f} of {total:,.0f}" if total else f"{done:,.0f} done"
        rest += [message] if message else []
    if step.cached:
        rest.append("cached")
    elif state in _SETTLED and step.duration is not None:
        rest.append(seconds_text(step.duration.total_seconds()))
    if step.attempt:
        rest.append(attempt_text(step, group.most))
    if group.laps > 1:
        rest.append(f"lap {group.laps}")
    since = step.started_at.timestamp() if state in ("running", "nested") and step.started_at else 0.0
    waits = state in ("retrying", "delayed") and step.not_before is not None
    until = step.not_before.timestamp() if waits and step.not_before else 0.0
    return NodeView(state, word, " · ".join(rest), since, until, _progress(step, state))


def _progress(step: Step, state: str) -> tuple[tuple[str, int], ...]:
    """A running step's own progress in thousandths, drawn like the shares of a group."""
    if state != "running" or step.progress is None or not step.progress[1]:
        return ()
    done = round(1000 * min(max(step.progress[0] / step.progress[1], 0.0), 1.0))
    return (("running", done), ("pending", 1000 - done))


def _several(group: _Group, counts: Mapping[str, int]) -> str:
    total = len(group.current)
    settled = sum(count for name, count in counts.items() if name in _SETTLED)
    words = [f"{settled:,} of {total:,}"]
    words += [f"{counts[name]:,} {name}" for name in ("failed", "cancelled", "handled") if name in counts]
    words += [f"{counts['interrupted']:,} waiting"] if "interrupted" in counts else []
    words += [f"{counts['retrying']:,} retrying"] if "retrying" in counts else []
    cached = sum(step.cached for step in group.current)
    words += [f"{cached:,} cached"] if cached else []
    if settled == total and "cancelled" not in counts:
        began = [step.started_at for step in group.current if step.started_at]
        if began:
            words.append(seconds_text((max(step.updated_at for step in group.current) - min(began)).total_seconds()))
    return " · ".join(words)


def _detail(group: _Group, counts: Mapping[str, int]) -> str:
    """What a pointer resting on the node tells: counts of every state, attempts, and the first error."""
    lines = [group.node]
    lines.append(", ".join(f"{count:,} {look_of(name).word}" for name, count in counts.items()))
    if group.laps > 1:
        lines.append(plural(len(group.steps), "step") + " over all laps")
    attempts = sum(step.attempt for step in group.steps)
    if attempts:
        lines.append(plural(attempts, "further attempt"))
    cached = sum(step.cached for step in group.steps)
    if cached:
        lines.append(f"{plural(cached, 'outcome')} taken over from earlier steps")
    message = next((step.progress[2] for step in group.current if step.progress), "")
    if len(message) > _SHORT:
        lines.append(plain(message))
    error = next((step.error for step in group.steps if step.error), "")
    if error:
        lines.append(plain(error)[:300])
    return "\n".join(lines)


def is_stop(payload: Mapping[str, Any] | None) -> bool:
    """Whether this is what a breakpoint asks, and not a task."""
    return payload is not None and payload.get("breakpoint") in ("before", "after") and "node" in payload
