"""The inputs of a step's outcome as one text: steps with the same text have the same outcome."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dwarf.core.records import State, StepRecord
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.policies import Cache
from dwarf.workflow.values.meaning import canonical

__all__ = ["basis_text", "may_be_cached"]


def may_be_cached(step: StepRecord) -> bool:
    """Whether a step that is about to run may reuse an outcome, or store its own: it has neither parked nor asked.

    A further attempt of a declared Retry may too: an error voids the changes of the attempt before it. If the cache's
    key names only fields that are absent, which most often is a slip, inputs cannot be distinguished, and nothing is
    cached.
    """
    node = step.flow.plan.nodes[step.node]
    if node.cache is not None and node.cache.key and all(step.state.get(name) is None for name in node.cache.key):
        return False
    fresh = not step.answers and not step.changes and (not step.attempt or node.retry is not None)
    return node.cache is not None and fresh


def basis_text(
    cache: Cache, url: str, code: str, fields: Collection[str] | None, state: State, *, gathered: Mapping[str, str]
) -> str:
    """Everything that the outcome of a step depends on, as one text from which the cache key is made.

    ``code`` is the digest of the task's code, and ``fields`` are the fields that the task reads. ``gathered`` are
    fields that count as empty if absent; see ``NodePlan``.
    """
    wanted = cache.key if cache.key is not None else fields
    given = state if wanted is None else {name: state[name] for name in wanted if state.get(name) is not None}
    empty = sorted((name, str(how)) for name, how in gathered.items() if wanted is None or name in wanted)
    told = [
        url,
        code,
        cache.version,
        None if wanted is None else sorted(wanted),
        canonical(dict(given), exact=True),
        empty,
    ]
    return dumps(told)
