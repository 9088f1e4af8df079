"""Which stored answer belongs to which call, when a task is run again from its top.

A task need not ask in the same order each time: branches under ``asyncio.gather`` overtake each other, and code is
edited while flows wait. So an answer is not found by counting calls but by the question it was given to. A call takes
the first answer that nobody has taken yet among, in this order,

1. those given to a question of the same ``key``;
2. those given to the identical payload (for a child flow: the same workflow and the same input);
3. those given to the same title and schema (the same workflow), but only for calls of the task's own coroutine or
   thread, whose calls come in the order of its code. Calls from child tasks and threads have no order to go by.
4. those whose question was not kept, as in databases of the first version, which counted calls.

An answer with a key belongs to calls with that key alone. An answer that the call cannot use, because it does not fit
the schema that is asked for now, is passed over.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any, TypeAlias

from dwarf.workflow.jsontext import dumps
from dwarf.workflow.signals import Answer, AnswerKind

JSON: TypeAlias = Any

_TITLES = ("title", "question", "message", "prompt")


@dataclass(frozen=True, slots=True)
class Asked:
    """What one call asks: of a person (``key`` and ``payload``), or of a workflow (``workflow`` and ``input``)."""

    kind: AnswerKind
    key: str = ""
    payload: Mapping[str, JSON] = field(default_factory=dict)
    workflow: str = ""
    input: str = ""


class AnswerBook:
    """The answers of a step, each taken by at most one call of a run. Calls may come from any thread."""

    __slots__ = ("_marks", "_open", "answers")

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = answers
        # a dict in the order of the answers: removing a key is atomic, and tells whether it was there
        self._open = dict.fromkeys(range(len(answers)), True)
        self._marks: dict[int, tuple[str, str]] = {}

    @property
    def unclaimed(self) -> tuple[int, ...]:
        """The places of the answers that no call has taken."""
        return tuple(self._open)

    def take(self, place: int) -> bool:
        """Take the answer at a place; False where it is taken already, or there is none."""
        return self._open.pop(place, False)

    def claim(self, asked: Asked, *, own: bool, usable: Callable[[Answer], bool] = lambda _: True) -> Answer | None:
        """Take the answer that belongs to a call; None where there is none, so that the question is to be put.

        ``own``: whether the call comes from the task's own coroutine or thread. ``usable`` tells of an answer that
        belongs to the call whether it can be returned.
        """
        tried: set[int] = set()
        for place in self._candidates(asked, own):
            if place not in tried:
                tried.add(place)
                if usable(self.answers[place]) and self.take(place):
                    return self.answers[place]
        return None

    def _candidates(self, asked: Asked, own: bool) -> Iterator[int]:
        kept = [place for place in self.unclaimed if self.answers[place].kind == asked.kind]
        if asked.key:
            yield from (place for place in kept if self.answers[place].key == asked.key)
        free = [place for place in kept if not self.answers[place].key]
        known = [place for place in free if _is_known(self.answers[place])]
        if known:
            whole, outline = _marks(asked.kind, asked.payload, asked.workflow, asked.input)
            yield from (place for place in known if self._marks_of(place)[0] == whole)
            if own:
                yield from (place for place in known if self._marks_of(place)[1] == outline)
        yield from (place for place in free if not _is_known(self.answers[place]))

    def _marks_of(self, place: int) -> tuple[str, str]:
        marks = self._marks.get(place)
        if marks is None:
            answer = self.answers[place]
            marks = self._marks[place] = _marks(answer.kind, answer.asked or {}, answer.workflow, answer.input)
        return marks


def _is_known(answer: Answer) -> bool:
    return bool(answer.workflow) if answer.kind == "subgraph" else answer.asked is not None


def _marks(kind: AnswerKind, payload: Mapping[str, JSON], workflow: str, given: str) -> tuple[str, str]:
    """Two texts that are equal for the identical question, and for one of the same title and schema."""
    if kind == "subgraph":
        return f"{given} {workflow}", workflow
    schema = payload.get("schema")
    if isinstance(schema, Mapping):
        schema = as_opened(schema)
        payload = {**payload, "schema": schema}
    return _text(payload), _text([title_of(payload), schema])


def title_of(payload: Mapping[str, JSON]) -> str:
    """The title of a question, as its payload has it; "" where it has none."""
    for name in _TITLES:
        text = payload.get(name)
        if isinstance(text, str) and text.strip():
            return text.strip()
    schema = payload.get("schema")
    text = schema.get("title") if isinstance(schema, Mapping) else None
    return text.strip() if isinstance(text, str) else ""


def as_opened(schema: JSON) -> JSON:
    """A schema as it was before those of Python types named all members there may be.

    Questions that were put then are those that are put now.
    """
    if isinstance(schema, Mapping):
        is_open = schema.get("additionalProperties") is not False
        return {name: as_opened(part) for name, part in schema.items() if is_open or name != "additionalProperties"}
    if isinstance(schema, list):
        return [as_opened(part) for part in schema]
    return schema


def digest_of(state: Mapping[str, JSON]) -> str:
    """A short text that tells the input of a child flow from others."""
    from hashlib import blake2b

    return blake2b(_text(state).encode(), digest_size=12).hexdigest()


def _text(value: JSON) -> str:
    """JSON text in which members stand in one order, so that equal values have equal texts."""
    return dumps(_sorted(value))


def _sorted(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def caller() -> tuple[int, int]:
    """Who runs now: the thread, and the asyncio task in it (0 where there is none)."""
    asyncio = sys.modules.get("asyncio")  # where nobody has imported it there are no tasks
    loop = None if asyncio is None else asyncio._get_running_loop()
    task = None if asyncio is None or loop is None else asyncio.current_task(loop)
    return get_ident(), 0 if task is None else id(task)


def is_on_loop() -> bool:
    """Whether a coroutine runs now, so that all who share its event loop wait."""
    return caller()[1] != 0
