"""The answers of a step in their stored form, in the order in which its task asked.

Each answer is stored with the changes that the task had made since the question before it, so that a fork can put the
step back to the moment of any of its questions. A person's answer is also stored with its question, and with the times
of both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from dwarf.core.records import JSON, State
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.matching import title_of
from dwarf.workflow.signals import Answer

MOST_MISSES = 10
"""How many answers in a row may wake a step in vain because its questions change; see ``misses_after``."""
MOST_MISSES_OF_KEYS = 100
"""The same for questions with keys. The limit is higher, as many concurrent questions may overtake each other for a
while.
"""

_WROTE = "wrote"
_SHOWN = 80  # characters of a title in a message


def times(asked_at: int, answered_at: int) -> dict[str, JSON]:
    """When a question was asked and answered, in epoch milliseconds."""
    return {"askedAt": asked_at, "answeredAt": answered_at}


def with_answer(
    answers: Sequence[JSON], answer: Answer, changes: State, put: Mapping[str, JSON] | None = None
) -> list[JSON]:
    """The answers with one more. ``changes`` are the changes of the step when it asked; ``put`` are the ``times``."""
    if not answer.asked:
        answer = replace(answer, asked=None)  # with times beside it, None says that the payload was empty
    entry = answer.to_json() | dict(put or {})
    if changes:
        before = changes_at(answers, len(answers))
        wrote = {name: value for name, value in changes.items() if name not in before or _differ(before[name], value)}
        if wrote:
            entry[_WROTE] = wrote
    return [*answers, entry]


def _differ(one: JSON, other: JSON) -> bool:
    return dumps(one) != dumps(other)  # Python treats True and 1 as equal


def changes_at(answers: Sequence[JSON], count: int) -> dict[str, JSON]:
    """The changes of the step when it asked for the last of its first ``count`` answers."""
    changes: dict[str, JSON] = {}
    for entry in answers[:count]:
        changes.update(entry.get(_WROTE, {}))
    return changes


def names_text(answers: Sequence[Mapping[str, JSON]]) -> str | None:
    """The names of the answering persons in their stored form, in the order of the answers. Answers without a name are
    left out.
    """
    names = [entry["by"] for entry in answers if entry.get("by")]
    return dumps(names) if names else None


def misses_after(answers: Sequence[Answer], unclaimed: Collection[int]) -> int:
    """How many answers in a row have woken the step in vain, after a run that has parked again.

    An answer is in vain if the next run does not claim it. A run that claims the answer that woke it, or one that was
    missed before, shows that the questions stay the same, and the count starts again at zero.
    """
    if not answers:
        return 0
    last, missed = len(answers) - 1, answers[-1].misses
    recent = range(max(last - missed, 0), last + 1)
    return missed + 1 if all(place in unclaimed for place in recent) else 0


def gives_up(misses: int, key: str = "", misfit: str = "") -> str:
    """Why a step that missed this many answers must not ask again, or "". ``misfit``: why it missed the last one."""
    if misses < (MOST_MISSES_OF_KEYS if key and not misfit else MOST_MISSES):
        return ""
    if misfit:
        return f"{misses} answers in a row did not fit what the task asks for: {misfit}"
    if key:
        return f"the key of the question changes at each run: {misses} answers in a row were claimed by no call"
    return f"the question changes at each run: give it a key ({misses} answers in a row were claimed by no call)"


def left_over(answers: Sequence[Answer], unclaimed: Sequence[int]) -> str:
    """A warning that names the questions whose answers a returning task has not claimed."""
    names = ", ".join(dict.fromkeys(_name(answers[place]) for place in unclaimed))
    return f"the task returned without claiming the answers to: {names}"


def _name(answer: Answer) -> str:
    if answer.kind == "subgraph":
        return f"the child flow {answer.workflow!r}" if answer.workflow else "a child flow"
    title = title_of(answer.asked or {})
    name = answer.key or (title if len(title) <= _SHOWN else title[: _SHOWN - 1] + "…")
    return repr(name) if name else "a question without a title"
