"""What is going on, over all flows? A live table, newest first, with what can be done to each of them."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dwarf.errors import DwarfError, FlowNotFound, InvalidRequest
from dwarf.notebook.dashboards.listview import ListView
from dwarf.notebook.dashboards.overtime import SAMPLE, describe_flows
from dwarf.notebook.live.opened import OpenedRun
from dwarf.notebook.messages import DashboardState, ForkOffer, ListedFlow
from dwarf.notebook.pictures.formatting import brief, plural, seconds_text
from dwarf.notebook.pictures.palette import look_of
from dwarf.notebook.pictures.views import where_stopped
from dwarf.workflow.results import NO_TIME, Step
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from datetime import datetime

    from dwarf.engine import FlowHandle
    from dwarf.notebook.services import LabServices
    from dwarf.workflow.results import FlowSummary

__all__ = ["Dashboard"]

PAGE = 20
MOST_STEPS = 200  # offered as places to fork at
MOST_FOUND = 1000  # counted where a search has to read what it counts
_COUNT_EASE = 20  # counting may take one part in so many of the time
_LEAST_PAUSE = 2.0  # seconds between two looks at the last flows
_EMPTY = "There are no flows."
_REASON = "cancelled from the notebook"


class Dashboard(ListView):
    """The flows of the database, newest first, in pages; displayed, it is live.

    The filters are those of Engine.flows, less ``limit``; the reader may narrow further by status, workflow and text.
    A flow can be opened, cancelled, retried, forked at a step, and deleted.

    Example::

        lab.dashboard(workflow_name="Orders")
    """

    script = "dashboard.js"

    def __init__(self, lab: LabServices, filters: Mapping[str, Any]) -> None:
        if "limit" in filters:
            raise InvalidRequest("the dashboard takes no limit: it shows page after page")
        super().__init__(lab)
        self._filters = {name: value for name, value in filters.items() if name != "status"}
        self._status = str(filters.get("status") or "")
        self._workflow = self._search = ""
        self._cursors = [""]  # of the pages up to the one that is shown
        self._next = ""
        self._flows: list[FlowSummary] = []
        self._counts: dict[Status, int] = {}
        self._counted: tuple[object, float] = (None, 0.0)  # for which question, and until when that is fresh enough
        self._last: list[FlowSummary] = []  # the newest of all statuses, which have a bar
        self._looked: tuple[object, float] = (None, 0.0)  # as ``_counted``
        self._words: dict[str, str] = {}  # by flow key: where a flow of the page stands at a breakpoint
        self._stops_read: tuple[object, float] = (None, 0.0)  # as ``_counted``
        self._names: set[str] = set()
        self._notice = ""
        self._wrong = ""
        self._fork: ForkOffer = {}
        self._fork_steps: list[Step] = []
        self._opened: OpenedRun | None = None
        lab.call(self._check())

    async def _check(self) -> None:
        """Raise for a wrong filter now, and not at every look."""
        self._lab.engine.flows(**self._question(), status=self._status or None)

    # ------------------------------------------------------------ reading

    def _question(self) -> dict[str, Any]:
        """The filters, but for the status."""
        asked = dict(self._filters)
        if self._workflow:
            asked["workflow_name"] = self._workflow
        if self._search.strip():
            asked["search"] = self._search.strip()
        return asked

    async def _look(self, *, eased: bool = False) -> None:
        asked = self._question()
        query = self._lab.engine.flows(**asked, status=self._status or None)
        async for page, cursor in query.pages(PAGE, self._cursors[-1]):
            self._flows, self._next = page, cursor
            break
        if not self._flows and len(self._cursors) > 1:
            self._cursors = self._cursors[:-1]  # what was on the page has gone
            await self._look(eased=eased)
            return
        self._names |= {flow.workflow_name for flow in self._flows if flow.workflow_name}
        await self._look_for_stops(eased=eased)
        await self._count(asked, eased=eased)
        await self._look_over_time(asked, eased=eased)

    async def _look_for_stops(self, *, eased: bool) -> None:
        """Tell the flows of the page that stand at a breakpoint from those that wait for an answer."""
        halted = [flow for flow in self._flows if flow.status is Status.INTERRUPTED]
        page = [(flow.flow_key, flow.updated_at) for flow in halted]
        key, until = self._stops_read
        begun = time.monotonic()
        if eased and key == page and begun < until:
            return
        words = {}
        for flow in halted:
            try:
                steps = await self._lab.engine.flow(flow.flow_key).interrupts()
            except FlowNotFound:  # deleted since the page was read; the next look has another page
                continue
            words[flow.flow_key] = brief(where_stopped(steps), 80)
        self._words = words
        now = time.monotonic()
        self._stops_read = page, now + _COUNT_EASE * (now - begun)

    def _word(self, flow: FlowSummary) -> str:
        """What a row says of its flow's status."""
        return self._words.get(flow.flow_key) or look_of(str(flow.status)).word

    async def _look_over_time(self, asked: dict[str, Any], *, eased: bool) -> None:
        key, until = self._looked
        begun = time.monotonic()
        if eased and key == asked and begun < until:
            return
        self._last = [flow async for flow in self._lab.engine.flows(**asked, limit=SAMPLE)]
        now = time.monotonic()
        self._looked = asked, now + max(_COUNT_EASE * (now - begun), _LEAST_PAUSE)

    async def _count(self, asked: dict[str, Any], *, eased: bool) -> None:
        key, until = self._counted
        begun = time.monotonic()
        if eased and key == asked and begun < until:
            return
        counts = dict.fromkeys(Status, 0)
        if asked.get("search"):
            async for flow in self._lab.engine.flows(**asked, limit=MOST_FOUND):
                counts[flow.status] += 1
        else:
            counts |= await self._lab.engine.count(**asked)
        self._counts = counts
        now = time.monotonic()
        self._counted = asked, now + _COUNT_EASE * (now - begun)

    def _find(self, row: object) -> FlowSummary | None:
        return next((flow for flow in [*self._flows, *self._last] if _row_id(flow) == row), None)

    # ------------------------------------------------------------ acting

    async def _receive(self, message: Mapping[str, Any]) -> None:
        kind = str(message.get("type"))
        if kind == "run":
            if self._opened is not None and isinstance(message.get("message"), Mapping):
                self._opened.receive(message["message"])
            return
        self._notice = self._wrong = ""
        if kind == "filter":
            self._status = str(message.get("status", self._status))
            self._workflow = str(message.get("workflow", self._workflow))
            self._search = str(message.get("search", self._search))  # as it is typed: the field shows it
            self._cursors = [""]
        elif kind == "older" and self._next:
            self._cursors = [*self._cursors, self._next]
        elif kind == "newer":
            self._cursors = self._cursors[:-1] or [""]
        elif kind == "close":
            self._close_run()
        elif kind == "close-fork":
            self._fork = {}
        else:
            await self._act(kind, message)
        await self._refresh()
        self._push()

    async def _act(self, kind: str, message: Mapping[str, Any]) -> None:
        flow = self._find(message.get("row"))
        if flow is None:
            return
        handle = self._lab.engine.flow(flow.flow_key)
        try:
            if kind == "open":
                await self._open_run(handle)
            elif kind == "cancel":
                await handle.cancel(_REASON)
                self._notice = f"{_name(flow)} is cancelled."
            elif kind == "delete":
                await handle.delete()
                self._notice = f"{_name(flow)} is deleted."
                if self._opened is not None and self._opened.key == flow.flow_key:
                    self._close_run()
            elif kind == "retry":
                await handle.retry_failed()
                self._notice = f"What failed in {_name(flow)} runs again in a new flow."
            elif kind == "ask-fork":
                await self._ask_fork(flow, handle)
            elif kind == "fork":
                await self._make_fork(flow, message)
        except (DwarfError, ValueError) as fault:
            self._wrong = str(fault) or type(fault).__name__

    async def _ask_fork(self, flow: FlowSummary, handle: FlowHandle) -> None:
        steps = sorted(await handle.history(), key=lambda step: step.id)
        self._fork_steps = [step for step in steps if step._has_started][-MOST_STEPS:]
        labels = [_step_label(step) for step in self._fork_steps]
        failed = [place for place, step in enumerate(self._fork_steps) if step.status is Status.FAILED]
        self._fork = {"row": _row_id(flow), "name": _name(flow), "steps": labels, "chosen": (failed or [0])[0]}

    async def _make_fork(self, flow: FlowSummary, message: Mapping[str, Any]) -> None:
        place, text = int(message.get("step") or 0), str(message.get("changes") or "").strip()
        changes = json.loads(text) if text else {}
        if not isinstance(changes, dict):
            raise InvalidRequest('the changes must be a JSON object, such as {"amount": 5}')
        handle = await self._lab.engine.fork(self._fork_steps[place], changes)
        self._fork = {}
        self._notice = f"{_name(flow)} goes on from {self._fork_steps[place].node} in a new flow."
        await self._open_run(handle)

    async def _open_run(self, handle: FlowHandle) -> None:
        async def known() -> FlowHandle:
            return handle

        watcher = await self._lab.follow(known)
        self._close_run()
        if not self.closed:
            self._opened = OpenedRun(self._lab, watcher, self._place, self._go_live())

    def _close_run(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def close(self) -> None:
        """Stop looking; what is shown stays as a table."""
        if self._opened is not None:
            self._opened.close()
        super().close()

    # ------------------------------------------------------------ showing

    def _traits(self) -> DashboardState:
        counts: list[list[Any]] = [[str(status), count] for status, count in self._counts.items() if count]
        return {
            "counts": counts,
            "total": sum(count for _, count in counts),
            "capped": bool(self._question().get("search")) and sum(self._counts.values()) >= MOST_FOUND,
            "status": self._status,
            "rows": [_row(flow, self._words.get(flow.flow_key, "")) for flow in self._flows],
            "page": len(self._cursors),
            "more": bool(self._next),
            "workflows": sorted(self._names),
            "workflow": self._workflow,
            "search": self._search,
            "over": describe_flows(self._last),
            "notice": self._notice,
            "fault": self._wrong or self._fault,
            "empty": self._empty,
            "fork": self._fork,
            "opened": _public(self._opened.key) if self._opened is not None else "",
        }

    @property
    def _empty(self) -> str:
        if self._flows:
            return ""
        return "No flow fits the filter." if self._status or self._question() else _EMPTY

    def _title(self) -> str:
        counts = [f"{count:,} {look_of(str(status)).word}" for status, count in self._counts.items() if count]
        return " · ".join([plural(sum(self._counts.values()), "flow"), *counts])

    def _table(self) -> str:
        left = "style='text-align:left'"
        heads = "".join(f"<th {left}>{name}</th>" for name in ("status", "workflow", "node", "created", "took", ""))
        rows = "".join(f"<tr>{_cells(flow, self._word(flow), left)}</tr>" for flow in self._flows)
        table = f"<table><tr>{heads}</tr>{rows}</table>" if rows else f"<div>{self._empty}</div>"
        return f"<div><b>{html.escape(self._fault or self._title())}</b>{table}</div>"

    def _text(self) -> str:
        lines = [self._fault or self._title()]
        for flow in self._flows:
            told = flow.error or flow.cancel_reason
            words = [self._word(flow), _name(flow), flow.node, _took(flow), brief(told, 60)]
            lines.append("  " + " · ".join(word for word in words if word))
        return "\n".join([*lines, *([self._empty] if self._empty else [])])


def _public(flow_key: str) -> str:
    """A flow's key without its secret part: enough to tell flows apart, and no key to any of them."""
    return "-".join(flow_key.split("-", 2)[:2])


def _row_id(flow: FlowSummary) -> str:
    return _public(flow.flow_key)


def _name(flow: FlowSummary) -> str:
    named = f"{flow.name} · " if flow.name else ""
    return f"{named}{flow.workflow_name or flow.workflow_url} {_row_id(flow)}"


def _epoch(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None and moment > NO_TIME else 0.0


def _row(flow: FlowSummary, word: str = "") -> ListedFlow:
    return {
        "id": _row_id(flow),
        "status": str(flow.status),
        "word": word,
        "workflow": flow.workflow_name or flow.workflow_url,
        "name": brief(flow.name, 120),
        "tags": [brief(f"{tag}: {value}", 80) for tag, value in flow.tags.items()],
        "node": flow.node,
        "created": _epoch(flow.created_at),
        "ended": _epoch(flow.updated_at) if flow.status.terminal else 0.0,
        "told": brief(flow.error or flow.cancel_reason, 300),
    }


def _took(flow: FlowSummary) -> str:
    row = _row(flow)
    return seconds_text(row["ended"] - row["created"]) if row["ended"] and row["created"] else ""


def _cells(flow: FlowSummary, word: str, left: str) -> str:
    look = look_of(str(flow.status))
    pill = f"background:{look.fill};color:{look.ink};border:1px solid {look.line};border-radius:9px;padding:0 7px"
    tags = ", ".join(f"{tag}: {value}" for tag, value in flow.tags.items())
    words = [
        " · ".join(filter(None, (_name(flow), brief(tags, 120)))),
        flow.node,
        f"{flow.created_at:%Y-%m-%d %H:%M:%S} UTC",
        _took(flow),
    ]
    words.append(brief(flow.error or flow.cancel_reason, 120))
    cells = "".join(f"<td {left}>{html.escape(word)}</td>" for word in words)
    return f"<td {left}><span style='{pill};white-space:nowrap'>{look.sign} {html.escape(word)}</span></td>{cells}"


def _step_label(step: Step) -> str:
    word = look_of(str(step.status)).word
    return f"{step.node} · {word}" + (f" · attempt {step.attempt + 1}" if step.attempt else "")
