"""How do flows get on over time? The last ones by duration and status, and by workflow how often and how fast.

From the columns of lists alone: no state is read, and no more than the last ``SAMPLE`` flows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dwarf.notebook.messages import OverTime
from dwarf.notebook.pictures.formatting import brief
from dwarf.workflow.results import NO_TIME
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.workflow.results import FlowSummary

__all__ = ["SAMPLE", "STRIP", "describe_flows", "quantile"]

SAMPLE = 300  # flows that are looked at
STRIP = 100  # of them, those that have a bar
_MOST_WORKFLOWS = 6
_STATUSES = tuple(Status)


def describe_flows(flows: Sequence[FlowSummary]) -> OverTime:
    """The last flows, newest first, for the page.

    ``bars`` are ``[id, status, created, ended, workflow]``, oldest first, times in epoch seconds, with the place of
    the status in ``statuses`` and of the workflow in ``names``. ``rates`` are ``[workflow, flows, share of success,
    median, 95th percentile]``, in seconds and None where none has ended.
    """
    names = list(dict.fromkeys(_workflow(flow) for flow in flows))
    place = {name: number for number, name in enumerate(names)}
    bars = [
        [
            "-".join(flow.flow_key.split("-", 2)[:2]),
            _STATUSES.index(flow.status),
            round(flow.created_at.timestamp(), 2),
            round(flow.updated_at.timestamp(), 2) if flow.status.terminal else 0,
            place[_workflow(flow)],
        ]
        for flow in reversed(flows[:STRIP])
    ]
    groups: dict[str, list[FlowSummary]] = {}
    for flow in flows:
        groups.setdefault(_workflow(flow), []).append(flow)
    busiest = sorted(groups, key=lambda name: -len(groups[name]))[:_MOST_WORKFLOWS]
    return {
        "bars": bars,
        "statuses": [str(status) for status in _STATUSES],
        "names": [brief(name, 60) for name in names],
        "rates": [_rate(name, groups[name]) for name in busiest],
        "looked": len(flows),
    }


def _rate(name: str, flows: Sequence[FlowSummary]) -> list[Any]:
    ended = [flow for flow in flows if flow.status in (Status.COMPLETED, Status.FAILED)]
    done = [flow for flow in ended if flow.status is Status.COMPLETED]
    took = sorted(max((flow.updated_at - flow.created_at).total_seconds(), 0.0) for flow in done if _is_timed(flow))
    share = round(len(done) / len(ended), 4) if ended else None
    return [brief(name, 60), len(flows), share, quantile(took, 0.5), quantile(took, 0.95)]


def quantile(values: Sequence[float], share: float) -> float | None:
    """The least of these sorted values that so large a share of them does not exceed; None where there are none."""
    return round(values[max(-int(-share * len(values) // 1) - 1, 0)], 3) if values else None


def _is_timed(flow: FlowSummary) -> bool:
    return flow.created_at > NO_TIME


def _workflow(flow: FlowSummary) -> str:
    return flow.workflow_name or flow.workflow_url
