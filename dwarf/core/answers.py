"""The answers of a step, as they are kept on it: in the order in which its task asked.

Beside each answer stands what the task had written since the question before, so that a fork can put the step back to
the moment of any of its questions. Beside a person's answer stands the question too, and when it was put and answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dwarf.core.records import JSON, State
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.signals import Answer

_WROTE = "wrote"


def question(payload: State, asked_at: int, answered_at: int) -> dict[str, JSON]:
    """What is kept of a question beside its answer. Times in epoch milliseconds."""
    kept: dict[str, JSON] = {"askedAt": asked_at, "answeredAt": answered_at}
    if payload:
        kept["asked"] = payload
    return kept


def with_answer(
    answers: Sequence[JSON], answer: Answer, changes: State, put: Mapping[str, JSON] | None = None
) -> list[JSON]:
    """The answers and one more. ``changes`` are those of the step at the moment it asked, ``put`` the ``question``."""
    entry = answer.to_json() | dict(put or {})
    if changes:
        before = changes_at(answers, len(answers))
        wrote = {name: value for name, value in changes.items() if name not in before or _differ(before[name], value)}
        if wrote:
            entry[_WROTE] = wrote
    return [*answers, entry]


def _differ(one: JSON, other: JSON) -> bool:
    return dumps(one) != dumps(other)  # to Python, True equals 1


def changes_at(answers: Sequence[JSON], count: int) -> dict[str, JSON]:
    """What the step had written when it asked for the last of its first ``count`` answers."""
    changes: dict[str, JSON] = {}
    for entry in answers[:count]:
        changes.update(entry.get(_WROTE, {}))
    return changes
