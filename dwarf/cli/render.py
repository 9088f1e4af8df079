"""How flows and steps look in a terminal, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.tree import Tree

    from dwarf.workflow.output import LogLine
    from dwarf.workflow.results import FlowSummary, Outcome, Step

STYLES: Mapping[Status, str] = {
    Status.PENDING: "dim",
    Status.RUNNING: "cyan",
    Status.INTERRUPTED: "yellow",
    Status.COMPLETED: "green",
    Status.FAILED: "bold red",
    Status.CANCELLED: "magenta",
}
SIGNS: Mapping[Status, str] = {
    Status.PENDING: "○",
    Status.RUNNING: "▶",
    Status.INTERRUPTED: "?",
    Status.COMPLETED: "✓",
    Status.FAILED: "✗",
    Status.CANCELLED: "–",
}
WIDE = 15  # more branches of one node than this are told in one line, but for those that need a look


def console() -> Console:
    """The standard output: colours on a terminal, none in a pipe or with NO_COLOR."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def emit(value: Any) -> None:
    """Print a value as JSON, for programs."""
    print(json.dumps(plain(value), ensure_ascii=False, indent=2))


def print_line(line: LogLine, as_json: bool) -> None:
    """Print a line that a task has said; streamed text as it is, without ends of lines of its own."""
    if as_json:
        print(json.dumps(plain(line), ensure_ascii=False), flush=True)
        return
    if line.source == "stream":
        print(line.text, end="", flush=True)
        return
    said = f"{line.level} {line.text}" if line.level else line.text
    print(f"{line.time.astimezone():%H:%M:%S} {line.node}  {said}", flush=True)


def plain(value: Any) -> Any:
    """A value of the engine as plain JSON; what JSON does not know becomes text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if not field.name.startswith("_")]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    return str(value)


def short(value: Any, most: int = 60) -> str:
    """A value on one line."""
    text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def ago(moment: datetime | None) -> str:
    """How long ago something was, in the largest unit that tells enough."""
    if moment is None or moment.year < 1971:
        return ""
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def labels(tags: Mapping[str, str]) -> str:
    """Tags on one line."""
    return ", ".join(f"{tag}={value}" for tag, value in tags.items())


def spent(duration: timedelta | None) -> str:
    """A duration, in a unit that reads well."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"


def flows_table(flows: Iterable[FlowSummary]) -> Table:
    """A table of flows, one a line."""
    from rich.table import Table
    from rich.text import Text

    flows = list(flows)
    named = any(flow.name for flow in flows)
    tagged = any(flow.tags for flow in flows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (
        "key",
        "workflow",
        *(("name",) if named else ()),
        *(("tags",) if tagged else ()),
        "status",
        "at",
        "changed",
        "what",
    ):
        table.add_column(heading, no_wrap=heading in ("key", "status", "changed"), overflow="fold")
    for flow in flows:
        said = flow.error or flow.cancel_reason
        table.add_row(
            flow.flow_key,
            Text(flow.workflow_name or flow.workflow_url),
            *((Text(flow.name),) if named else ()),
            *((Text(labels(flow.tags)),) if tagged else ()),
            Text(str(flow.status), style=STYLES[flow.status]),
            Text(flow.node),
            ago(flow.updated_at),
            Text(short(said, 80)),
        )
    return table


def flow_tree(flow_key: str, name: str, outcome: Outcome, steps: Sequence[Step]) -> Tree:
    """A flow with its steps in order, children under those that called them."""
    from rich.text import Text
    from rich.tree import Tree

    head = Text.assemble((name, "bold"), f"  {flow_key}  ", (str(outcome.status), STYLES[outcome.status]))
    tree = Tree(head)
    _add_steps(tree, steps)
    said = outcome.error or outcome.cancel_reason
    if said:
        tree.add(Text(said, style=STYLES[outcome.status]))
    return tree


def _add_steps(tree: Tree, steps: Sequence[Step]) -> None:
    from rich.text import Text

    by_node: dict[str, list[Step]] = {}
    for step in steps:
        by_node.setdefault(step.node, []).append(step)
    told: set[str] = set()
    for step in steps:
        together = by_node[step.node]
        if len(together) > WIDE and step.status in (Status.COMPLETED, Status.PENDING):
            if step.node not in told:
                told.add(step.node)
                counts = {status: sum(each.status is status for each in together) for status in Status}
                words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
                tree.add(Text.assemble(("⋮ ", "dim"), (step.node, "bold"), f"  {len(together)} steps: {words}"))
            continue
        branch = tree.add(_step_line(step))
        for child in step.sub_flows:
            nested = branch.add(
                Text.assemble(
                    (child.workflow_name or child.workflow_url, "bold"), f"  {child.flow_key}  ", str(child.status)
                )
            )
            _add_steps(nested, child.steps)


def _step_line(step: Step) -> Any:
    from rich.text import Text

    line = Text.assemble((f"{SIGNS[step.status]} ", STYLES[step.status]), (step.node, "bold"))
    line.append(f"  {step.status}", style=STYLES[step.status])
    if step.attempt:
        line.append(f"  attempt {step.attempt + 1}")
    if step.duration is not None:
        line.append(f"  {spent(step.duration)}", style="dim")
    if step.progress is not None and step.status is Status.RUNNING:
        done, total, message = step.progress
        line.append(f"  {done:g}{'' if total is None else f' of {total:g}'} {message}".rstrip())
    line.append(f"  {step.key}", style="dim")
    if step.status is Status.INTERRUPTED and step.interrupt_payload is not None:
        line.append(f"\n  {short(step.interrupt_payload.get('title') or step.interrupt_payload, 100)}", style="yellow")
    if step.error:
        line.append(f"\n  {short(step.error, 400)}", style="red" if step.status is Status.FAILED else "dim")
    return line
