"""When did what run? The steps of a run as bars over time: a row for each node, those of subgraphs under their caller.

A bar is the time in the task itself, where that was measured and the task ran once; else it goes from the first start
of a step to its end. A pale line leads to it while the step was due and did not run: for its turn, or for a thread.
Parts in which the step waited for a person are striped, and so is the time a step slept before its start; the part in
which a subgraph ran is light.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dwarf.notebook.pictures.formatting import duration_text, plural, seconds_text
from dwarf.notebook.pictures.gantt import WAITS, Bar, GanttRow, draw_gantt
from dwarf.notebook.pictures.palette import look_of
from dwarf.notebook.pictures.svg import Svg
from dwarf.notebook.pictures.views import due_at, state_of
from dwarf.workflow.results import NO_TIME
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.workflow.results import Answered, Step

__all__ = ["draw_timeline"]

Waits = Mapping[int, Sequence["Answered"]]  # by the id of the step


@dataclass(slots=True)
class _NodeSteps:
    """The steps of one node; ``level`` counts the subgraphs it stands in."""

    node: str
    level: int
    steps: list[Step] = field(default_factory=list)


def draw_timeline(
    steps: Sequence[Step],
    *,
    title: str = "",
    asked: Collection[str] = (),
    answers: Sequence[Answered] = (),
    width: float = 860.0,
    now: datetime | None = None,
) -> Svg:
    """The timeline of a history. Running steps end at ``now``.

    ``answers``: the questions that have been answered. ``asked``: nodes known to have put questions; bars of theirs of
    which no answer is known stand out as a whole.
    """
    moment = now or datetime.now(UTC)
    groups = list(_groups(steps, 0))
    waits: dict[int, list[Answered]] = {}
    for one in answers:
        waits.setdefault(one.step_id, []).append(one)
    rows = [_row(group, waits, frozenset(asked), moment) for group in groups]
    bars = [bar for row in rows for bar in row.bars]
    begun = sum(step.started_at is not None for group in groups for step in group.steps)
    start, end = min((bar.began for bar in bars), default=moment), max((bar.ended for bar in bars), default=moment)
    summary = f"{plural(begun, 'step')} in {seconds_text((end - start).total_seconds())}" if begun else ""
    text = _text(groups, start, moment)
    return draw_gantt(rows, title=title, summary=summary, now=moment, text=text, width=width)


def _groups(steps: Sequence[Step], level: int) -> Iterator[_NodeSteps]:
    groups: dict[str, _NodeSteps] = {}
    for step in steps:
        groups.setdefault(step.node, _NodeSteps(step.node, level)).steps.append(step)
    for group in sorted(groups.values(), key=lambda group: min(_began(step) for step in group.steps)):
        yield group
        children = [child for step in group.steps for flow in step.sub_flows for child in flow.steps]
        if children:
            yield from _groups(children, level + 1)


def _began(step: Step) -> datetime:
    return step.started_at or (step.created_at if step.created_at > NO_TIME else step.updated_at)


def _ended(step: Step, now: datetime) -> datetime:
    return max(step.updated_at, _began(step)) if step.status.terminal else max(now, _began(step))


def _row(group: _NodeSteps, waits: Waits, asked: frozenset[str], now: datetime) -> GanttRow:
    bars = [bar for step in group.steps for bar in _bars(step, waits.get(step.id, ()), asked, now)]
    count = f" · {len(group.steps):,} ×" if len(group.steps) > 1 else ""
    row = GanttRow(group.node, group.level, bars, hint=group.node + count)
    if bars:
        only = group.steps[0].duration if len(group.steps) == 1 else None
        length = only if only is not None else max(bar.ended for bar in bars) - min(bar.began for bar in bars)
        again = sum(step.attempt for step in group.steps)
        tries = (
            f" · {again + 1} attempts" if again and len(group.steps) == 1 else f" · {again:,} again" if again else ""
        )
        row.note = seconds_text(length.total_seconds()) + count + tries
    return row


def _bars(step: Step, waits: Sequence[Answered], asked: frozenset[str], now: datetime) -> Iterator[Bar]:
    """What is drawn of one step: its sleep before the start, and the time from its first start to its end."""
    due = step.not_before
    until = min(step.started_at or now, now)
    if due is not None and NO_TIME < step.created_at < min(due, until) and (step.started_at is None or due <= until):
        asleep = min(due, until)
        yield Bar(
            step.created_at, asleep, "delayed", _words(step, WAITS["delayed"], step.created_at, asleep), striped=True
        )
    if step.started_at is None:
        return
    parked = bool(waits) or step.node in asked or bool(step.sub_flows)
    began, ended = (step.started_at, _ended(step, now)) if parked else _span(step, now)
    state = state_of(step, now)
    if state == "completed" and step.node in asked and not waits:
        state = "interrupted"
    parts = [*_children(step, now), *(_waited(step, one) for one in waits if one.asked_at > NO_TIME)]
    if step.status is Status.INTERRUPTED and not step.parked:
        parts.append(_part(step, "interrupted", step.updated_at, ended))
    elif step.status is Status.PENDING and step.attempt and due is not None and due > step.updated_at:
        parts.append(_part(step, "retrying", step.updated_at, min(due, ended)))
    marks = ((due, f"attempt {step.attempt + 1} from here on"),) if step.attempt and due and began < due < ended else ()
    words = _words(step, look_of(state).word, began, ended)
    yield Bar(
        began,
        ended,
        state,
        words,
        hollow=not step.status.terminal,
        within=tuple(parts),
        marks=marks,
        due=min(due_at(step), began) if due_at(step) > NO_TIME else None,
    )


def _span(step: Step, now: datetime) -> tuple[datetime, datetime]:
    """When the task ran: a step whose task ran once, without a break, ran as long as was measured.

    It is claimed before it has a thread, and written when others are; neither is the task's own time.
    """
    began, ended = _began(step), _ended(step, now)
    if step.ran is None or step.waited is None or step.attempt or not step.status.terminal or due_at(step) > began:
        return began, ended
    begun = min(max(due_at(step) + step.waited, began), ended)
    return min(begun, max(ended - step.ran, began)), min(begun + step.ran, ended)


def _children(step: Step, now: datetime) -> Iterator[Bar]:
    for flow in step.sub_flows:
        if flow.steps:
            began = min(_began(child) for child in flow.steps)
            ended = max(_ended(child, now) for child in flow.steps)
            name = flow.workflow_name or flow.workflow_url
            yield Bar(began, ended, "nested", f"{step.node} · in {name} · {_length(began, ended)}")


def _waited(step: Step, one: Answered) -> Bar:
    return _part(step, "interrupted", one.asked_at, max(one.answered_at, one.asked_at))


def _part(step: Step, state: str, began: datetime, ended: datetime) -> Bar:
    return Bar(began, ended, state, f"{step.node} · {WAITS[state]} · {_length(began, ended)}", striped=True)


def _words(step: Step, word: str, began: datetime, ended: datetime) -> str:
    words = [step.node, word, duration_text(step.duration) or _length(began, ended)]
    if step.waited:
        words.append(f"waited {duration_text(step.waited)} to run")
    if step.attempt:
        words.append(f"attempt {step.attempt + 1}")
    if step.error:
        words.append(step.error[:200])
    return " · ".join(words)


def _length(began: datetime, ended: datetime) -> str:
    return seconds_text((ended - began).total_seconds())


def _text(groups: Sequence[_NodeSteps], start: datetime, now: datetime) -> str:
    lines = []
    for group in groups:
        indent = "  " * group.level
        begun = [step for step in group.steps if step.started_at is not None]
        if not begun:
            lines.append(f"{'':>9}  {indent}{group.node}: not started")
            continue
        first = min(_began(step) for step in begun)
        last = max(_ended(step, now) for step in begun)
        count = f" ×{len(group.steps):,}" if len(group.steps) > 1 else ""
        only = begun[0].duration if len(begun) == 1 else None
        took = _length(first, last) if only is None else duration_text(only)
        lines.append(f"{_length(start, first):>9}  {indent}{group.node}{count}: {took}")
    return "\n".join(lines) or "no steps yet"
