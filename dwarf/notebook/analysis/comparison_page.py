"""What does a comparison of two runs look like? One piece of HTML that takes the colours of the page around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dwarf.notebook.analysis.differences import Change, Place, line, place_text
from dwarf.notebook.pictures.formatting import brief, duration_text, plural, seconds_text
from dwarf.notebook.pictures.palette import look_of
from dwarf.notebook.pictures.svg import escape

if TYPE_CHECKING:
    from dwarf.notebook.analysis.comparing import RunDiff
    from dwarf.workflow.results import Step

__all__ = ["to_html"]

_MOST_ROWS = 200
_MOST_CHANGES = 60
_LEFT = "text-align:left;vertical-align:top;padding:2px 10px 2px 0"
_SIGNS = {"added": ("+", "#16a34a"), "removed": ("−", "#dc2626"), "changed": ("~", "#d97706")}


def to_html(diff: RunDiff) -> str:
    """The comparison: the two runs, their final states, their steps. What is the same is folded away."""
    parts = [*_heads(diff), *_outcomes(diff), *_steps(diff)]
    return f"<div class='dwarf-diff' style='max-width:900px;line-height:1.45'>{''.join(parts)}</div>"


def _heads(diff: RunDiff) -> Iterator[str]:
    left, right = diff.left, diff.right
    rows = [
        ("", left.label, right.label),
        ("workflow", left.graph.name, right.graph.name),
        (
            "status",
            *(
                f"{look_of(str(each.outcome.status)).sign}\N{NO-BREAK SPACE}{each.outcome.status}"
                for each in (left, right)
            ),
        ),
        ("time", *(seconds_text(each.span.total_seconds()) for each in (left, right))),
        ("steps", f"{len(left.steps):,}", f"{len(right.steps):,}"),
    ]
    if left.outcome.error or right.outcome.error:
        rows.append(("error", *(brief(diff.shown(each.outcome.error), 300) for each in (left, right))))
    yield from _table((), [[escape(cell) for cell in row] for row in rows], bold=True)


def _outcomes(diff: RunDiff) -> Iterator[str]:
    if not diff.outcomes:
        yield "<p><b>Final state</b>: the same</p>"
        return
    yield f"<p style='margin:10px 0 2px'><b>Final state</b>: {escape(plural(len(diff.outcomes), 'difference'))}</p>"
    yield from _changes(diff.outcomes)


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    rows = []
    for change in changes[:_MOST_CHANGES]:
        sign, colour = _SIGNS[change.kind]
        style = f"border-left:3px solid {colour};padding-left:6px"
        mark = f"<span style='{style}' title='{change.kind}'>{sign}&nbsp;{escape(change.where)}</span>"
        left, right = escape(brief(change.left, 200)), escape(brief(change.right, 200))
        rows.append([mark, "" if change.kind == "added" else left, "" if change.kind == "removed" else right])
    yield from _table(("field", "left", "right"), rows)
    if len(changes) > _MOST_CHANGES:
        yield f"<p>and {escape(plural(len(changes) - _MOST_CHANGES, 'further difference'))}, see .frame</p>"


def _steps(diff: RunDiff) -> Iterator[str]:
    differing = [pair for pair in diff._pairs if diff._differing(pair)]
    alike = [pair for pair in diff._pairs if not diff._differing(pair)]
    head = f"{plural(len(differing), 'step')} of {len(diff._pairs):,} differ" if differing else "all steps are alike"
    yield f"<p style='margin:10px 0 2px'><b>Steps</b>: {escape(head)}</p>"
    written = dict(diff.written)
    if differing:
        yield from _pairs(diff, differing, written)
    if alike:
        yield f"<details><summary>{escape(plural(len(alike), 'step'))} alike</summary>"
        yield from _pairs(diff, alike, written)
        yield "</details>"


def _pairs(
    diff: RunDiff, pairs: Sequence[tuple[Place, Step | None, Step | None]], written: dict[Place, list[Change]]
) -> Iterator[str]:
    rows = []
    for place, left, right in pairs[:_MOST_ROWS]:
        changes = written.get(place, [])
        told = "<br>".join(escape(line(change)) for change in changes[:8])
        if len(changes) > 8:
            told += f"<br>and {len(changes) - 8:,} more"
        for one, other in ((left, right), (right, left)):
            if one is not None and one.error and (other is None or other.error != one.error):
                told += ("<br>" if told else "") + escape(brief(diff.shown(one.error), 200))
        rows.append([escape(place_text(place)), _told(left), _told(right), _slower(left, right), told])
    yield from _table(("step", "left", "right", "time", "what differs"), rows)
    if len(pairs) > _MOST_ROWS:
        yield f"<p>and {escape(plural(len(pairs) - _MOST_ROWS, 'further step'))}, see .frame</p>"


def _told(step: Step | None) -> str:
    if step is None:
        return "<i>no such step</i>"
    again = f" · attempt {step.attempt + 1}" if step.attempt else ""
    words = [f"{look_of(str(step.status)).sign}\N{NO-BREAK SPACE}{step.status}{again}", duration_text(step.duration)]
    return escape(" · ".join(word for word in words if word))


def _slower(left: Step | None, right: Step | None) -> str:
    if left is None or right is None or left.duration is None or right.duration is None:
        return ""
    more = (right.duration - left.duration).total_seconds()
    return f"{'+' if more >= 0 else '−'}{escape(seconds_text(abs(more)))}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, bold: bool = False) -> Iterator[str]:
    """A table of cells that are HTML already."""
    yield "<table style='border-collapse:collapse;text-align:left;table-layout:auto;margin:0'>"
    if heads:
        yield (
            "<thead><tr>"
            + "".join(f"<th scope='col' style='{_LEFT}'>{escape(head)}</th>" for head in heads)
            + "</tr></thead>"
        )
    yield "<tbody>"
    for number, row in enumerate(rows):
        tag = "th" if bold and number == 0 else "td"
        cells = [f"<{tag} style='{_LEFT};overflow-wrap:break-word;max-width:340px'>{cell}</{tag}>" for cell in row]
        if bold:
            cells[0] = f"<th scope='row' style='{_LEFT}'>{row[0]}</th>"
        yield "<tr style='background:none'>" + "".join(cells) + "</tr>"
    yield "</tbody></table>"
