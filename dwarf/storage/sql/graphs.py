"""The frozen graph of a flow: read by its hash, and prepared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sqlalchemy import bindparam, select

from dwarf.core.plan import Plan
from dwarf.storage.sql.script import Fetch, Script, Statement
from dwarf.storage.sql.tables import graphs

GRAPH = Statement("graph_body", select(graphs.c.body).where(graphs.c.graph_hash == bindparam("graph_hash")))

PlanOf: TypeAlias = Callable[[str, str | None], "Plan | None"]


def load_plan(graph_hash: str, plan_of: PlanOf) -> Script[Plan]:
    """The prepared graph of a hash, read if it is not in the cache."""
    plan = plan_of(graph_hash, None)
    if plan is None:
        ((body,),) = yield Fetch(GRAPH, {"graph_hash": graph_hash})
        plan = plan_of(graph_hash, body)
        assert plan is not None
    return plan
