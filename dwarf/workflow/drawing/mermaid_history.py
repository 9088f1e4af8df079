"""The executed steps of a flow as the text of a Mermaid diagram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from dwarf.workflow.drawing.mermaid import PRIMARY, SECONDARY, Colors, checked_direction, escape, style
from dwarf.workflow.parts import shown
from dwarf.workflow.results import NO_TIME, Step, SubFlow

__all__ = ["ATTENTION", "ERROR", "FlowRenderer", "duration_text"]

ERROR: Final = ("#f15922", "#f4f2ef")
ATTENTION: Final = ("#ed2e92", "#f4f2ef")


class FlowRenderer:
    """Renders a history. Child flows are drawn inside of a frame behind the step that started them.

    ``primary`` colours completed and running steps, ``secondary`` pending ones and the chrome, ``error`` failed and
    cancelled ones, ``attention`` interrupted ones. ``link_parameter`` links each step to ``?<parameter>=<step key>``;
    without it no key is in the text. InvalidRequest for an unknown direction; nothing else raises.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        *,
        direction: str = "TD",
        primary: Colors = PRIMARY,
        secondary: Colors = SECONDARY,
        error: Colors = ERROR,
        attention: Colors = ATTENTION,
        title: str = "",
        link_parameter: str = "",
    ) -> None:
        self.steps = steps
        self.direction = checked_direction(direction)
        self.primary = primary
        self.secondary = secondary
        self.error = error
        self.attention = attention
        self.title = title
        self.link_parameter = link_parameter

    def render(self) -> str:
        """The text of the diagram. An empty history shows the start and the end."""
        ended = _is_over(self.steps)
        whole = _Part(self, self.steps, "")
        lines = [*self._classes(), ""]
        if self.title:
            lines.append(f'_title{{{{"{escape(self.title)}"}}}}:::term -.-> _start')
        lines.append('_start((" ")):::term')
        if ended:
            lines.append('_end((" ")):::term')
        lines += whole.body()
        lines += [f"_start --> {head}" for head in whole.heads()]
        if ended:
            lines += [f"{tail} --> _end" for tail in whole.tails()]
        return "\n".join([f"flowchart {self.direction}", *(f"    {line}".rstrip() for line in lines)]) + "\n"

    def frame_style(self) -> str:
        """The style of the frame around a child flow."""
        fill, text = self.primary
        return f"fill:{fill},fill-opacity:0.06,stroke:none" + (f",color:{fill}" if text else "")

    def _classes(self) -> Iterator[str]:
        secondary_stroke = self.secondary[1] or self.secondary[0]
        styles = {
            "completed": style(*self.primary, self.primary[0]),
            "running": style(*self.primary, self.primary[0]),
            "pending": style(*self.secondary, secondary_stroke),
            "failed": style(*self.error, self.error[0]),
            "cancelled": style(*self.error, self.error[0]),
            "interrupted": style(*self.attention, self.attention[0]),
            "term": style(*self.secondary, secondary_stroke),
        }
        styles["running"] = ",".join(filter(None, (styles["running"], "stroke-dasharray:4 2")))
        for name, text in styles.items():
            if text:
                yield f"classDef {name} {text}"
        if self.primary[0]:
            yield f"linkStyle default stroke:{self.primary[0]}"


class _Part:
    """One history, the whole flow's or that of a child; ``prefix`` keeps the identifiers of different ones apart."""

    def __init__(self, renderer: FlowRenderer, steps: Sequence[Step], prefix: str) -> None:
        self.renderer = renderer
        self.prefix = prefix
        self.steps = {step.id: step for step in steps if step.id}
        self.children = {
            step.id: [
                _ChildFrame(flow, f"{self.name(step.id)}_sg{mark}", _Part(renderer, flow.steps, prefix))
                for mark, flow in _numbered(step)
                for prefix in (f"{self.name(step.id)}_sub{mark}",)
            ]
            for step in self.steps.values()
        }
        self.edges = self._find_edges()

    def name(self, step_id: int) -> str:
        return f"{self.prefix}s{step_id}"

    def heads(self) -> list[str]:
        """Where the flow enters: the steps that no edge leads to."""
        targets = {target for _, target in self.edges}
        return [self.name(step_id) for step_id in self.steps if step_id not in targets]

    def tails(self) -> list[str]:
        """Where the flow leaves: the steps that no edge leads from, or the tails of their children."""
        sources = {source for source, _ in self.edges}
        return [name for step_id in self.steps if step_id not in sources for name in self.exits(step_id)]

    def exits(self, step_id: int) -> list[str]:
        """Where edges out of a step begin: behind its last child, if it has any."""
        children = self.children[step_id]
        return (children[-1].part.tails() if children else []) or [self.name(step_id)]

    def body(self) -> Iterator[str]:
        """The nodes, then the edges between them, then the ways into the children."""
        siblings: dict[int, list[Step]] = {}
        for step in self.steps.values():
            siblings.setdefault(step.predecessor_id, []).append(step)
        done: set[int] = set()
        for step in self.steps.values():
            group = siblings[step.predecessor_id]
            if not step.predecessor_id or len(group) < 2:
                yield from self._node(step)
            elif step.predecessor_id not in done:
                done.add(step.predecessor_id)
                frame = f"{self.prefix}fo_s{step.predecessor_id}"
                yield f'subgraph {frame} [" "]'
                for member in group:
                    yield from (f"    {line}" for line in self._node(member))
                yield from ("end", f"style {frame} fill:none,stroke:none")
        for source, target in self.edges:
            for exit_name in self.exits(source):
                yield _arrow(exit_name, _wait(self.steps[source], self.steps[target]), self.name(target))
        for step_id, children in self.children.items():
            yield from _ways_into(self.name(step_id), children)

    def _node(self, step: Step) -> Iterator[str]:
        name = self.name(step.id)
        yield f'{name}["{self._label(step)}"]:::{step.status or "pending"}'
        if self.renderer.link_parameter and step.key:
            yield f'click {name} "?{self.renderer.link_parameter}={step.key}"'
        for child in self.children[step.id]:
            title = escape(child.flow.workflow_name or shown(child.flow.workflow_url)) or " "
            yield f'subgraph {child.frame} ["{title}"]'
            yield from (f"    {line}" for line in child.part.body())
            yield from ("end", f"style {child.frame} {self.renderer.frame_style()}")

    def _label(self, step: Step) -> str:
        label = escape(shown(step.node)) or " "
        if not (step.status and step.status.terminal) or step.started_at is None or step.updated_at == NO_TIME:
            return label
        taken = step.updated_at - step.started_at
        for child in self.children[step.id]:
            taken -= _wall_time(child.flow.steps)
        return f"{label}\n{duration_text(taken)}"

    def _find_edges(self) -> list[tuple[int, int]]:
        found: dict[tuple[int, int], None] = {}
        for step in self.steps.values():
            for source, target in ((step.predecessor_id, step.id), (step.id, step.successor_id)):
                if source != target and source in self.steps and target in self.steps:
                    found[source, target] = None
        return list(found)


class _ChildFrame:
    def __init__(self, flow: SubFlow, frame: str, part: _Part) -> None:
        self.flow = flow
        self.frame = frame
        self.part = part


def _numbered(step: Step) -> Iterator[tuple[str, SubFlow]]:
    """A step's children that have steps, each with its mark: "" for the first, "2" for the second."""
    shown_flows = [flow for flow in step.sub_flows if any(each.id for each in flow.steps)]
    for number, flow in enumerate(shown_flows, 1):
        yield "" if number == 1 else str(number), flow


def _ways_into(caller: str, children: Sequence[_ChildFrame]) -> Iterator[str]:
    """From the caller into its first child, and from each child into the next one."""
    exits = [caller]
    for child in children:
        part = child.part
        heads = set(part.heads())
        for step in part.steps.values():
            if part.name(step.id) in heads:
                for exit_name in exits:
                    yield _arrow(exit_name, _delay(step), part.name(step.id))
        exits = part.tails() or exits


def _is_over(steps: Sequence[Step]) -> bool:
    """Whether every step is final, those of child flows included."""
    return all(
        step.status and step.status.terminal and all(_is_over(flow.steps) for flow in step.sub_flows)
        for step in steps
        if step.id
    )


def _wall_time(steps: Sequence[Step]) -> timedelta:
    """How long a child's steps took altogether, from the first creation to the last change; 0 until all are final."""
    times = list(_times(steps))
    if not times or not _is_over(steps):
        return timedelta()
    return max(end for _, end in times) - min(start for start, _ in times)


def _times(steps: Sequence[Step]) -> Iterator[tuple[datetime, datetime]]:
    for step in steps:
        if NO_TIME not in (step.created_at, step.updated_at):
            yield step.created_at, step.updated_at
        for flow in step.sub_flows:
            yield from _times(flow.steps)


def _wait(source: Step, target: Step) -> str:
    """How long the target waited after its predecessor, as a label; "" where that is not known."""
    if target.started_at is None or not target._has_started or source.updated_at == NO_TIME:
        return ""
    return duration_text(target.started_at - source.updated_at)


def _delay(step: Step) -> str:
    """How long the first step of a child waited for its start, as a label; "" where it did not."""
    if step.started_at is None or step.created_at == NO_TIME or step.started_at <= step.created_at:
        return ""
    return duration_text(step.started_at - step.created_at)


def _arrow(source: str, label: str, target: str) -> str:
    return f'{source} -- "{label}" --> {target}' if label else f"{source} --> {target}"


def duration_text(duration: timedelta) -> str:
    """A duration in its two largest units, for people: 7ms, 1.51s, 2m5s, 3h, 1d4h. A negative one reads 0ms."""
    if duration < timedelta(seconds=1):
        return f"{max(duration // timedelta(milliseconds=1), 0)}ms"
    if duration < timedelta(minutes=1):
        return f"{duration.total_seconds():.3g}s"
    seconds = duration // timedelta(seconds=1)
    for size, unit, next_size, next_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            count, rest = divmod(seconds, size)
            return f"{count}{unit}" + (f"{rest // next_size}{next_unit}" if rest >= next_size else "")
    raise AssertionError("a duration of a minute or more has a unit")
