"""What must hold in a database at every moment between two transactions, checked with plain SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from dwarf.engine import Engine
from dwarf.storage.sql.script import Fetch, Row, Script, Statement

_LIVE = "('pending', 'running', 'interrupted')"
_TERMINAL = "('completed', 'failed', 'cancelled')"

# Each query names the rows that break its rule. The numbers are those of the specification's global invariants.
_RULES = {
    "I-1 a flow that has ended has a live step": f"""
        SELECT s.step_id, s.node, s.status, f.status FROM dwarf_steps s JOIN dwarf_flows f ON f.flow_id = s.flow_id
        WHERE f.status IN {_TERMINAL} AND f.delete_after_ms = 0 AND s.status IN {_LIVE}""",
    "I-2 a step that has ended is parked": f"""
        SELECT step_id, node, status FROM dwarf_steps WHERE status IN {_TERMINAL} AND parked <> 0""",
    "I-3 a running flow has no live step": f"""
        SELECT f.flow_id, f.workflow_name FROM dwarf_flows f WHERE f.status = 'running' AND NOT EXISTS
        (SELECT 1 FROM dwarf_steps s WHERE s.flow_id = f.flow_id AND s.status IN {_LIVE})""",
    "I-3 an interrupted flow has no interrupted step": """
        SELECT f.flow_id, f.workflow_name FROM dwarf_flows f WHERE f.status = 'interrupted' AND NOT EXISTS
        (SELECT 1 FROM dwarf_steps s WHERE s.flow_id = f.flow_id AND s.status = 'interrupted')""",
    "I-3 an interrupted step is in a flow that is not interrupted": """
        SELECT s.step_id, s.node, f.status FROM dwarf_steps s JOIN dwarf_flows f ON f.flow_id = s.flow_id
        WHERE s.status = 'interrupted' AND f.status <> 'interrupted'""",
    "I-4 a cohort has counted too much": """
        SELECT step_id, node, cohort_size, cohort_arrivals, cohort_failures FROM dwarf_steps
        WHERE cohort_arrivals > cohort_size OR cohort_failures > cohort_arrivals""",
    "I-5 a child flow has lost its caller": """
        SELECT c.flow_id, c.parent_flow_id, c.parent_step_id FROM dwarf_flows c WHERE c.parent_flow_id <> 0 AND (
            NOT EXISTS (SELECT 1 FROM dwarf_flows p
                        WHERE p.flow_id = c.parent_flow_id AND p.root_flow_id = c.root_flow_id)
            OR NOT EXISTS (SELECT 1 FROM dwarf_steps s
                           WHERE s.step_id = c.parent_step_id AND s.flow_id = c.parent_flow_id))""",
    "I-6 a root flow is not its own root": """
        SELECT flow_id, root_flow_id FROM dwarf_flows WHERE parent_flow_id = 0 AND root_flow_id <> flow_id""",
    "I-6 a flow has no root": """
        SELECT flow_id, root_flow_id FROM dwarf_flows
        WHERE root_flow_id NOT IN (SELECT flow_id FROM dwarf_flows WHERE parent_flow_id = 0)""",
    "I-7 a link leads into another flow": """
        SELECT s.step_id, s.node, o.step_id FROM dwarf_steps s
        JOIN dwarf_steps o ON o.step_id IN (s.predecessor_id, s.successor_id) WHERE o.flow_id <> s.flow_id""",
    "I-7 a link leads nowhere": """
        SELECT step_id, node, predecessor_id, successor_id FROM dwarf_steps s
        WHERE (predecessor_id <> 0 AND NOT EXISTS (SELECT 1 FROM dwarf_steps o WHERE o.step_id = s.predecessor_id))
           OR (successor_id <> 0 AND NOT EXISTS (SELECT 1 FROM dwarf_steps o WHERE o.step_id = s.successor_id))""",
    "I-8 a pending step is leased": """
        SELECT step_id, node, lease_expires FROM dwarf_steps WHERE status = 'pending' AND lease_expires > 0""",
    "I-8 a running step is not leased": """
        SELECT step_id, node FROM dwarf_steps WHERE status = 'running' AND parked = 0 AND lease_expires = 0""",
    "I-9 a step has two successors that are not branches": """
        SELECT predecessor_id, COUNT(*) FROM dwarf_steps WHERE predecessor_id <> 0 AND lineage_id <> predecessor_id
        GROUP BY predecessor_id HAVING COUNT(*) > 1""",
    "I-10 a trunk step has ended and nothing follows, but its flow goes on": """
        SELECT s.step_id, s.node FROM dwarf_steps s JOIN dwarf_flows f ON f.flow_id = s.flow_id
        WHERE s.status = 'completed' AND s.lineage_id = 0 AND s.successor_id = 0
          AND f.status IN ('running', 'interrupted')""",
    "I-11 a caller has not exactly one live child": """
        SELECT s.step_id, s.node, COUNT(c.flow_id) FROM dwarf_steps s LEFT JOIN dwarf_flows c
            ON c.parent_step_id = s.step_id AND c.status IN ('running', 'interrupted')
        WHERE s.parked = 1 GROUP BY s.step_id, s.node HAVING COUNT(c.flow_id) <> 1""",
    "I-11 a live child has a caller that is not parked": """
        SELECT c.flow_id, s.step_id, s.status FROM dwarf_flows c JOIN dwarf_steps s ON s.step_id = c.parent_step_id
        WHERE c.status IN ('running', 'interrupted') AND s.parked = 0""",
    "a caller and its child disagree about being interrupted": """
        SELECT s.step_id, s.node, s.status, c.status FROM dwarf_steps s JOIN dwarf_flows c
            ON c.parent_step_id = s.step_id AND c.status IN ('running', 'interrupted')
        WHERE s.parked = 1 AND s.status <> c.status""",
    "a waiting step has an answer's deadline without waiting": """
        SELECT step_id, node, status FROM dwarf_steps WHERE interrupt_deadline > 0 AND status <> 'interrupted'""",
    "a large value is kept for nobody": """
        SELECT blob_hash FROM dwarf_blobs WHERE blob_hash NOT IN (SELECT blob_hash FROM dwarf_blob_refs)""",
    "a row refers to a large value that is gone, or is gone itself": """
        SELECT r.flow_id, r.holder_id, r.blob_hash FROM dwarf_blob_refs r WHERE
            NOT EXISTS (SELECT 1 FROM dwarf_blobs b WHERE b.blob_hash = r.blob_hash)
            OR NOT EXISTS (SELECT 1 FROM dwarf_flows f WHERE f.flow_id = r.flow_id)
            OR (r.holder_id <> -r.flow_id AND NOT EXISTS
                (SELECT 1 FROM dwarf_steps s WHERE s.step_id = r.holder_id AND s.flow_id = r.flow_id)
                AND NOT EXISTS
                (SELECT 1 FROM dwarf_displays d WHERE d.display_id = r.holder_id AND d.flow_id = r.flow_id))""",
    "something is said or shown by no step": """
        SELECT o.step_id, o.flow_id FROM dwarf_output o WHERE NOT EXISTS
            (SELECT 1 FROM dwarf_steps s WHERE s.step_id = o.step_id AND s.flow_id = o.flow_id)
        UNION ALL SELECT d.step_id, d.flow_id FROM dwarf_displays d WHERE NOT EXISTS
            (SELECT 1 FROM dwarf_steps s WHERE s.step_id = d.step_id AND s.flow_id = d.flow_id)""",
}
_STATEMENTS = {rule: Statement("invariant", text(query)) for rule, query in _RULES.items()}


def _offenders() -> Script[dict[str, list[Row]]]:
    found: dict[str, list[Row]] = {}
    for rule, statement in _STATEMENTS.items():
        rows: list[Row] = yield Fetch(statement, {})
        if rows:
            found[rule] = rows
    return found


def _fetch(statement: Statement, parameters: dict[str, Any]) -> Script[list[Row]]:
    rows: list[Row] = yield Fetch(statement, parameters)
    return rows


async def query(engine: Engine, words: str, **parameters: Any) -> list[Row]:
    """The rows of a plain query, over all shards of a running engine."""
    statement = Statement("query", text(words))
    found: list[Row] = []
    for runtime in engine._runtimes.values():
        found += await runtime.database.read(lambda: _fetch(statement, parameters))
    return found


async def check_invariants(engine: Engine) -> None:
    """AssertionError, naming rule and rows, for anything that is broken in the databases of a running engine."""
    for shard, runtime in engine._runtimes.items():
        broken = await runtime.database.read(_offenders)
        report = "\n".join(f"  {rule}: {rows[:5]}" for rule, rows in broken.items())
        assert not broken, f"invariants are broken on shard {shard} (first rows of each):\n{report}"
