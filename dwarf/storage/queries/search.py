"""Which rows a search must read.

Reading every flow takes a second for a million flows. But most texts of a flow are those of its workflow, and there are
few workflows: so these are searched first, and a search becomes several arms, each with an index. Errors and reasons
are searched among failed and cancelled flows, names and tag values among flows that have any. Only parts of keys are
searched in every flow, newest first, until the page is full; so is everything if there are too many workflows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select

from dwarf.core.plan import Plan
from dwarf.storage.queries.filters import Filters
from dwarf.storage.sql.expressions import search_terms
from dwarf.storage.sql.graphs import PlanOf, load_plan
from dwarf.storage.sql.script import Fetch, Script, Statement
from dwarf.storage.sql.tables import flows, graphs
from dwarf.workflow.status import Status

MOST_URLS = 64
MOST_GRAPHS = 256
MOST_ARMS = 16

NEXT_URL = Statement(
    "next_workflow_url", select(func.min(flows.c.workflow_url)).where(flows.c.workflow_url > bindparam("after"))
)
HASHES = Statement("graph_hashes", select(graphs.c.graph_hash).order_by(graphs.c.graph_hash).limit(MOST_GRAPHS + 1))

_KEY = re.compile(r"(\d+)-([1-9]\d{0,18})-([0-9a-f]*)", re.ASCII)
_KEY_PART = re.compile(r"[0-9a-f-]+", re.ASCII)


class SearchSource(NamedTuple):
    """The search of one list. ``coded``: a codec has encoded the payloads, so statements cannot search them."""

    shard: int
    plan_of: PlanOf
    coded: bool


@dataclass(frozen=True, slots=True)
class Arm:
    """Conditions in addition to those of the list, and their parameters. A flow matches if any arm does.

    ``within``, a folded text, must be in the error or the reason of a flow, which a statement cannot check.
    """

    conditions: frozenset[str] = frozenset()
    values: dict[str, Any] = field(default_factory=dict)
    within: str = ""


def arms_of(filters: Filters, source: SearchSource) -> Script[list[Arm]]:
    """The arms of a search. Together they find exactly the matching flows; without arms, none can match."""
    if filters.search:
        return (yield from _search_arms(filters, source))
    if not filters.node or filters.thread_id or filters.workflow_name:
        return [Arm()]
    plans = yield from _plans(source.plan_of)
    names = None if plans is None else {plan.name for plan in plans if filters.node in plan.nodes}
    if names is None or len(names) > MOST_ARMS:
        return [Arm()]
    return [Arm(frozenset({"arm_name"}), {"arm_name": name}) for name in sorted(names)]


def _search_arms(filters: Filters, source: SearchSource) -> Script[list[Arm]]:
    text = filters.search
    unicode = "" if text.isascii() else "_unicode"
    values = {**search_terms(text), "key_prefix": f"{source.shard}-"}
    beside = [*_texts(filters, source, values, unicode), *_key_arms(text.lower(), source.shard, values)]
    beside.append(Arm(frozenset({f"arm_tags{unicode}"}), values))
    everywhere = [Arm(frozenset({f"names_text{unicode}"}), values), *beside]
    if filters.thread_id:
        return everywhere
    urls = yield from _urls(filters)
    plans = None if urls is None else (yield from _plans(source.plan_of))
    if urls is None or plans is None:
        return everywhere
    folded = text.casefold()
    named = {plan.name for plan in plans if folded in plan.name.casefold()}
    with_node = {plan.name for plan in plans if any(folded in node.casefold() for node in plan.nodes)} - named
    arms = [Arm(frozenset({"arm_url"}), {"arm_url": url}) for url in urls if folded in url.casefold()]
    arms += [Arm(frozenset({"arm_name"}), {"arm_name": name}) for name in sorted(named)]
    arms += [
        Arm(frozenset({"arm_name", f"node_text{unicode}"}), {**values, "arm_name": name}) for name in sorted(with_node)
    ]
    return arms + beside if len(arms) <= MOST_ARMS else everywhere


def _texts(filters: Filters, source: SearchSource, values: dict[str, Any], unicode: str) -> list[Arm]:
    """Errors, which only failed flows have, and reasons, which only cancelled flows have."""
    statuses = [known for known in (Status.FAILED, Status.CANCELLED) if filters.status in (None, known)]
    if source.coded:
        return [Arm(frozenset({status.value}), within=filters.search.casefold()) for status in statuses]
    return [Arm(frozenset({f"{status.value}_text{unicode}"}), values) for status in statuses]


def _key_arms(text: str, shard: int, values: dict[str, Any]) -> list[Arm]:
    """The flows whose keys may contain a text. A text in the form of a key has a whole id, so it matches one flow at
    most.
    """
    key = _KEY.fullmatch(text)
    if key is None:
        return [Arm(frozenset({"key_text"}), values)] if _KEY_PART.fullmatch(text) else []
    if not str(shard).endswith(key[1]) or int(key[2]) >= 2**63:
        return []
    return [Arm(frozenset({"arm_key"}), {"arm_id": int(key[2]), "arm_token": f"{key[3]}%"})]


def _urls(filters: Filters) -> Script[list[str] | None]:
    """The existing workflow URLs; None for too many. Each is one step along their index."""
    if filters.workflow_url:
        return [filters.workflow_url]
    found: list[str] = []
    last = ""
    while len(found) <= MOST_URLS:
        ((url,),) = yield Fetch(NEXT_URL, {"after": last})
        if url is None:
            return found
        found.append(url)
        last = url
    return None


def _plans(plan_of: PlanOf) -> Script[list[Plan] | None]:
    """The graphs of the flows; None for too many."""
    hashes = yield Fetch(HASHES, {})
    if len(hashes) > MOST_GRAPHS:
        return None
    plans: list[Plan] = []
    for (graph_hash,) in hashes:
        plans.append((yield from load_plan(graph_hash, plan_of)))
    return plans
