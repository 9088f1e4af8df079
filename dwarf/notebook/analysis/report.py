"""How is a run told to somebody without a notebook? As one HTML file that needs no network, no script and no kernel."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dwarf.notebook.analysis.masking import Mask
from dwarf.notebook.analysis.reading import all_steps
from dwarf.notebook.analysis.said import by_step
from dwarf.notebook.pictures.picture import draw_run
from dwarf.notebook.pictures.svg import escape
from dwarf.notebook.pictures.timeline import draw_timeline
from dwarf.notebook.prompts.prompt import Prompt
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.engine import FlowHandle
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.output import Display, LogLine
    from dwarf.workflow.results import Answered, Outcome, Step

__all__ = ["ReportFacts", "Report", "make_report", "read_facts"]

MOST_SHOWN = 500  # steps with a line of their own
MOST_STATES = 300  # steps of which state and changes are shown
_NARROW = 40  # a node with no more steps than this is shown whole
_OF_WIDE = 15  # steps of a wider one that are shown, besides those that failed
_FAILED_OF_WIDE = 60


class Report(str):
    """The text of the file. In a notebook it displays as the page; ``save`` writes it.

    Example::

        report = run.report("monday.html")
        print(report.path, len(report))
    """

    path: Path | None = None

    def save(self, path: str | os.PathLike[str]) -> Self:
        """Write the file. The report itself, whose ``path`` is then set."""
        self.path = Path(path)
        self.path.write_text(self, encoding="utf-8")
        return self

    def __repr__(self) -> str:
        where = f" in {self.path}" if self.path is not None else ""
        return f"<Report, {len(self.encode()) / 1000:,.0f} kB{where}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # or IPython would print the whole page

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if self.path is not None:
            href = escape(self.path.as_posix())
            shown = f'<p>Report: <a href="{href}" target="_blank" rel="noopener">{escape(self.path.name)}</a></p>'
        else:
            style = "width:100%;height:640px;border:1px solid #94a3b8;border-radius:8px"
            shown = f'<iframe sandbox title="Report" style="{style}" srcdoc="{escape(str(self))}"></iframe>'
        return {"text/html": shown, "text/plain": repr(self)}


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """All that a report tells. ``shown`` are the steps with a line of their own, ``full`` those with states, by id."""

    label: str  # the flow without the secret part of its key
    graph: Graph
    outcome: Outcome
    steps: Sequence[Step]
    within: Mapping[int, str]
    shown: Sequence[Step]
    full: Mapping[int, Step]
    answers: Sequence[Answered]
    waiting: Sequence[Prompt]
    mask: Mask
    made_at: datetime
    lines: Mapping[str, Sequence[LogLine]] = field(default_factory=dict)  # by the key of their step
    displays: Sequence[Display] = ()
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


async def read_facts(handle: FlowHandle, graph: Graph) -> ReportFacts:
    """Read what a report tells of a flow, as it is now."""
    read = (handle.snapshot(), handle.history(), handle.answers(), handle.summary())
    outcome, steps, answers, summary = await asyncio.gather(*read)
    lines, displays = await asyncio.gather(handle.logs(), handle.displays())
    waiting = await handle.interrupts() if outcome.status is Status.INTERRUPTED else ()
    shown = choose(list(all_steps(steps)))
    wanted = shown[:MOST_STATES]
    full = await handle.steps(only=wanted) if wanted else []
    return ReportFacts(
        label=handle.key.rpartition("-")[0],
        name=summary.name,
        tags=summary.tags,
        graph=graph,
        outcome=outcome,
        steps=steps,
        within=dict(_paths(steps)),
        shown=shown,
        full={step.id: step for step in full},
        answers=answers,
        lines=by_step(lines),
        displays=displays,
        waiting=[Prompt(step, handle.key, lambda prompt, value: None) for step in waiting],
        mask=Mask(answers),
        made_at=datetime.now(UTC),
    )


def choose(steps: Sequence[Step]) -> list[Step]:
    """The steps with a line of their own, in order: all of a narrow node; of a wide one the first, and what failed."""
    counts: dict[str, int] = {}
    for step in steps:
        counts[step.node] = counts.get(step.node, 0) + 1
    taken: dict[tuple[str, bool], int] = {}
    shown = []
    for step in steps:
        failed = step.status is Status.FAILED
        most = _NARROW if counts[step.node] <= _NARROW else _FAILED_OF_WIDE if failed else _OF_WIDE
        group = (step.node, failed)
        taken[group] = taken.get(group, 0) + 1
        if taken[group] <= most:
            shown.append(step)
    return shown[:MOST_SHOWN]


def _paths(steps: Sequence[Step], within: str = "") -> list[tuple[int, str]]:
    """Of each step, the nodes whose subgraphs it stands in."""
    found = []
    stack = [(step, within) for step in steps]
    while stack:
        step, path = stack.pop()
        found.append((step.id, path))
        below = f"{path}/{step.node}" if path else step.node
        stack += [(child, below) for flow in step.sub_flows for child in flow.steps]
    return found


def make_report(facts: ReportFacts) -> Report:
    """The page."""
    from dwarf.notebook.analysis.report_page import to_page

    moment = facts.made_at
    asked = frozenset(one.node for one in facts.answers) | {prompt.node for prompt in facts.waiting}
    masked = facts.mask.steps(facts.steps)
    outcome = _without_secrets(facts.outcome, facts.mask)
    picture = draw_run(facts.graph, masked, outcome, asked=asked, now=moment, folded=True)
    timeline = draw_timeline(masked, title="", asked=asked, answers=facts.answers, now=moment)
    return Report(to_page(facts, str(picture), str(timeline)))


def _without_secrets(outcome: Outcome, mask: Mask) -> Outcome:
    return replace(outcome, error=mask.text(outcome.error), cancel_reason=mask.text(outcome.cancel_reason))
