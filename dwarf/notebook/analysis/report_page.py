"""What stands in the file of a report? Everything escaped, in one page with a style sheet of its own, and no script."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from dwarf.notebook.analysis.reading import all_steps
from dwarf.notebook.analysis.said import output_html
from dwarf.notebook.bundles import view_html
from dwarf.notebook.kernel import name_cells
from dwarf.notebook.pictures.formatting import brief, duration_text, plural, seconds_text
from dwarf.notebook.pictures.palette import DARK, look_of
from dwarf.notebook.pictures.svg import escape
from dwarf.notebook.pictures.views import states_of
from dwarf.notebook.prompts.forms import answer_text
from dwarf.notebook.prompts.prompt import title_of
from dwarf.workflow.results import NO_TIME
from dwarf.workflow.schemas import find_schema

if TYPE_CHECKING:
    from dwarf.notebook.analysis.masking import Mask
    from dwarf.notebook.analysis.report import ReportFacts
    from dwarf.workflow.results import Step

__all__ = ["to_page"]

_MOST_OF_VALUE = 1_500  # characters
_MOST_FIELDS = 60
_MOST_OF_STATES = 2_000_000  # characters of states and changes in the whole file
_MOST_OF_TRACEBACK = 8_000
_MOST_ANSWERS = 300
_MOST_ERRORS = 100
_MOST_LINES = 200  # of a step's output
_MOST_OF_DISPLAYS = 8_000_000  # characters
# Nothing in the page may run, load or send anything, whatever the names and values in it are.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def to_page(facts: ReportFacts, picture: str, timeline: str) -> str:
    """The page. ``picture`` and ``timeline`` are SVG."""
    title = escape(f"{facts.graph.name or 'flow'} · {facts.outcome.status}")
    budget = _Budget(_MOST_OF_STATES)
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{title}</title><style>{_style()}</style></head><body><main>",
        *_head(facts),
        f"<section><h2>Graph</h2><div class='wide'>{picture}</div></section>" if facts.graph.nodes else "",
        f"<section><h2>Timeline</h2><div class='wide'>{timeline}</div></section>",
        *_errors(facts),
        *_warnings(facts),
        *_prompts(facts),
        *_nodes(facts),
        *_displays(facts),
        *_steps(facts, budget),
        *_result(facts, budget),
        f"<footer>made {_moment(facts.made_at)}</footer></main></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


@cache
def _style() -> str:
    sheet = (resources.files("dwarf.notebook") / "static" / "report.css").read_text(encoding="utf-8")
    dark = "".join(
        f'[fill="{light}"]{{fill:{dark}}}[stroke="{light}"]{{stroke:{dark}}}' for light, dark in DARK.items()
    )
    return f"{sheet}\n@media screen and (prefers-color-scheme: dark){{{dark}}}"


class _Budget:
    """How much of the states may still be written, in characters."""

    def __init__(self, characters: int) -> None:
        self.left = characters

    def take(self, text: str) -> str:
        self.left -= len(text)
        return text


def _head(facts: ReportFacts) -> Iterator[str]:
    outcome = facts.outcome
    look = look_of(str(outcome.status))
    yield f"<header><h1>{escape(facts.graph.name or 'flow')}</h1>"
    sign = f'<span aria-hidden="true">{escape(look.sign)}</span>'
    yield f'<p class="status {escape(look.key)}">{sign} {escape(look.word)}</p>'
    steps = list(all_steps(facts.steps))
    began = [step.started_at for step in steps if step.started_at is not None]
    ended = max((step.updated_at for step in steps), default=NO_TIME)
    waited = sum((one.answered_at - one.asked_at).total_seconds() for one in facts.answers if one.asked_at > NO_TIME)
    again = sum(step.attempt for step in steps)
    lines = [("name", brief(facts.name, 256))] if facts.name else []
    lines += [("flow", facts.label)]
    if facts.tags:
        lines.append(("tags", ", ".join(f"{tag}: {value}" for tag, value in facts.tags.items())))
    if began:
        lines += [("started", _moment(min(began))), ("last change", _moment(ended))]
        lines.append(("time", seconds_text((ended - min(began)).total_seconds())))
    if waited:
        lines.append(("of that, waiting for answers", seconds_text(waited)))
    cached = sum(step.cached for step in steps)
    more = [plural(again, "further attempt")] if again else []
    more += [f"{cached:,} taken over from earlier steps"] if cached else []
    lines.append(("steps", ", ".join([f"{len(steps):,}", *more])))
    if outcome.cancel_reason:
        lines.append(("cancelled because", brief(facts.mask.text(outcome.cancel_reason), 500)))
    yield "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in lines) + "</dl>"
    if outcome.error:
        yield f'<p class="error">{escape(brief(facts.mask.text(outcome.error), 1000))}</p>'
    yield "</header>"


def _errors(facts: ReportFacts) -> Iterator[str]:
    failed = [step for step in all_steps(facts.steps) if step.error]
    if not failed:
        return
    yield f"<section><h2>Errors</h2><p>{escape(plural(len(failed), 'step'))} with an error</p>"
    for step in failed[:_MOST_ERRORS]:
        yield f"<details{' open' if len(failed) <= 3 else ''}><summary><b>{escape(_name(facts, step))}</b> "
        yield f"{escape(brief(facts.mask.text(step.error), 300))}</summary>"
        traceback = name_cells(facts.mask.text(step.traceback or step.error))
        yield f"<pre>{escape(_cut(traceback, _MOST_OF_TRACEBACK))}</pre></details>"
    if len(failed) > _MOST_ERRORS:
        yield f"<p>and {escape(plural(len(failed) - _MOST_ERRORS, 'further step'))}</p>"
    yield "</section>"


def _warnings(facts: ReportFacts) -> Iterator[str]:
    warned = [(step, text) for step in all_steps(facts.steps) for text in step.warnings]
    if not warned:
        return
    yield "<section><h2>Warnings</h2><ul>"
    for step, text in warned[:_MOST_ERRORS]:
        yield f"<li><b>{escape(_name(facts, step))}</b> {escape(_cut(facts.mask.text(text), _MOST_OF_VALUE))}</li>"
    yield "</ul>"
    if len(warned) > _MOST_ERRORS:
        yield f"<p>and {len(warned) - _MOST_ERRORS:,} more</p>"
    yield "</section>"


def _prompts(facts: ReportFacts) -> Iterator[str]:
    if not facts.answers and not facts.waiting:
        return
    yield "<section><h2>Questions</h2><table><thead><tr>"
    yield (
        "".join(f'<th scope="col">{name}</th>' for name in ("question", "node", "put", "waited", "answer"))
        + "</tr></thead><tbody>"
    )
    for one in facts.answers[:_MOST_ANSWERS]:
        payload = dict(one.payload)
        schema = find_schema(payload)
        told = "nobody answered in time" if one.timed_out else answer_text(one.value, schema)
        waited = one.answered_at - one.asked_at if one.asked_at > NO_TIME else None
        cells = [title_of(payload, schema, one.node), one.node, _moment(one.asked_at), duration_text(waited), told]
        yield _cells([brief(facts.mask.text(cell), 400) for cell in cells])
    for prompt in facts.waiting:
        waited_so_far = f"{duration_text(facts.made_at - prompt.waiting_since)} so far"
        cells = [
            facts.mask.text(prompt.title),
            prompt.node,
            _moment(prompt.waiting_since),
            waited_so_far,
            "? waits for an answer",
        ]
        yield _cells([brief(cell, 400) for cell in cells])
    yield "</tbody></table>"
    if len(facts.answers) > _MOST_ANSWERS:
        yield f"<p>and {escape(plural(len(facts.answers) - _MOST_ANSWERS, 'further answer'))}</p>"
    yield "</section>"


def _nodes(facts: ReportFacts) -> Iterator[str]:
    """A line for each node, where that says more than the steps one by one."""
    groups: dict[tuple[str, str], list[Step]] = {}
    for step in all_steps(facts.steps):
        groups.setdefault((facts.within.get(step.id, ""), step.node), []).append(step)
    if all(len(group) == 1 for group in groups.values()):
        return
    yield "<section><h2>Nodes</h2><table><thead><tr>"
    yield (
        "".join(f'<th scope="col">{name}</th>' for name in ("node", "steps", "how they went", "mean time", "longest"))
        + "</tr></thead><tbody>"
    )
    state = states_of(facts.steps, facts.graph)
    for (within, node), group in groups.items():
        counts = Counter(state(step) for step in group)
        times = [step.duration.total_seconds() for step in group if step.duration is not None]
        went = ", ".join(f"{look_of(name).sign} {count:,} {look_of(name).word}" for name, count in counts.items())
        name = f"{within}/{node}" if within else node
        mean, most = (seconds_text(sum(times) / len(times)), seconds_text(max(times))) if times else ("", "")
        yield _cells([name, f"{len(group):,}", went, mean, most])
    yield "</tbody></table></section>"


def _displays(facts: ReportFacts) -> Iterator[str]:
    if not facts.displays:
        return
    yield "<section><h2>Displays</h2>"
    budget = _Budget(_MOST_OF_DISPLAYS)
    for each in facts.displays:
        name = " · ".join(part for part in (each.node, each.name) if part)
        shown = view_html(each.data)
        if len(shown) > budget.left:
            shown = "<p>Left out, to keep this file small.</p>"
        yield f"<figure><figcaption>{escape(facts.mask.text(name))}</figcaption>{budget.take(shown)}</figure>"
    yield "</section>"


def _output(facts: ReportFacts, step: Step, budget: _Budget) -> str:
    lines = facts.lines.get(step.key)
    if not lines or budget.left <= 0:
        return ""
    return budget.take(f"<h3>Output</h3><pre>{output_html(lines, _MOST_LINES, facts.mask.text)}</pre>")


def _steps(facts: ReportFacts, budget: _Budget) -> Iterator[str]:
    count = sum(1 for _ in all_steps(facts.steps))
    yield '<section class="steps"><h2>Steps</h2>'
    if count > len(facts.shown):
        words = f"{len(facts.shown):,} of {count:,} steps: of nodes with many, the first ones and those that failed."
        yield f"<p>{escape(words)}</p>"
    names = "".join(f"<span>{name}</span>" for name in ("", "step", "status", "", "began after", "took"))
    yield f'<div class="names" aria-hidden="true">{names}</div>'
    start = min((step.started_at for step in all_steps(facts.steps) if step.started_at is not None), default=NO_TIME)
    state = states_of(facts.steps, facts.graph)
    for step in facts.shown:
        look = look_of(state(step))
        again = "cached" if step.cached else f"attempt {step.attempt + 1}" if step.attempt else ""
        begun = (
            seconds_text((step.started_at - start).total_seconds()) if step.started_at is not None else "not started"
        )
        line = (
            f'<span class="mark {escape(look.key)}" title="{escape(look.word)}">{escape(look.sign)}</span>'
            f"<b>{escape(_name(facts, step))}</b><span>{escape(look.word)}</span><span>{escape(again)}</span>"
            f"<span>{escape(begun)}</span><span>{escape(duration_text(step.duration))}</span>"
        )
        yield f"<details><summary>{line}</summary>"
        full = facts.full.get(step.id)
        if full is not None and budget.left > 0:
            yield budget.take(_values("Began with", full.state, facts.mask))
            yield budget.take(_values("Wrote", full.changes, facts.mask))
        else:
            yield "<p>State and changes are left out, to keep this file small.</p>"
        yield _output(facts, step, budget)
        if step.error:
            yield f'<h3>Error</h3><p class="error">{escape(_cut(facts.mask.text(step.error), _MOST_OF_VALUE))}</p>'
        yield "</details>"
    yield "</section>"


def _result(facts: ReportFacts, budget: _Budget) -> Iterator[str]:
    if facts.outcome.state:
        yield "<section><h2>Final state</h2>" if facts.outcome.status.terminal else "<section><h2>State so far</h2>"
        yield budget.take(_values("", facts.outcome.state, facts.mask)) + "</section>"


def _values(title: str, state: Mapping[str, Any] | None, mask: Mask) -> str:
    head = f"<h3>{escape(title)}</h3>" if title else ""
    if not state:
        return f"{head}<p>nothing</p>"
    rows = []
    for name, value in list(state.items())[:_MOST_FIELDS]:
        shown = "deleted" if value is None else _cut(_json(mask.value(value)), _MOST_OF_VALUE)
        rows.append(f"<tr><th scope='row'>{escape(mask.text(str(name)))}</th><td><pre>{escape(shown)}</pre></td></tr>")
    more = len(state) - _MOST_FIELDS
    rest = f"<p>and {escape(plural(more, 'further field'))}</p>" if more > 0 else ""
    return f"{head}<table class='values'><tbody>{''.join(rows)}</tbody></table>{rest}"


def _json(value: Any) -> str:
    if isinstance(value, str):
        return value
    if hasattr(value, "to_string") and hasattr(value, "head"):  # a table of pandas
        return f"{value.head(8)}\n{len(value):,} rows"
    try:
        flat = json.dumps(value, ensure_ascii=False, default=str)
        plain = isinstance(value, (list, tuple)) and not any(isinstance(part, (dict, list)) for part in value)
        return flat if plain or len(flat) <= 100 else json.dumps(value, ensure_ascii=False, indent=1, default=str)
    except (TypeError, ValueError):
        return repr(value)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text):,} characters)"


def _cells(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _name(facts: ReportFacts, step: Step) -> str:
    within = facts.within.get(step.id, "")
    number = f" #{step.ordinal + 1}" if step.ordinal else ""
    return (f"{within}/{step.node}" if within else step.node) + number


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment > NO_TIME else ""
