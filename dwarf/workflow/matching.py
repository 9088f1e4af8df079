"""Matching stored answers to calls, when a task is run again from its top.

A task need not ask in the same order each time: branches under ``asyncio.gather`` overtake each other, and code is
edited while flows wait. So answers are matched by their questions, and not by counting calls. A call takes the first
unclaimed answer among, in this order,

1. answers to a question with the same ``key``;
2. answers to an identical payload (for a child flow: the same workflow and the same input);
3. answers to the same title and schema (the same workflow), but only for calls in the task's own coroutine or thread,
   whose calls come in the order of its code. Calls from child tasks and threads have no such order.
4. answers whose question was not stored, as in databases of the first version, which counted calls.

An answer with a key belongs only to calls with that key. An answer that does not fit the schema of the present call is
skipped.
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
    """The question of a call: to a person (``key`` and ``payload``), or to a workflow (``workflow`` and ``input``)."""

    kind: AnswerKind
    key: str = ""
    payload: Mapping[str, JSON] = field(default_factory=dict)
    workflow: str = ""
    input: str = ""


class AnswerBook:
    """The answers of a step. Each is claimed by at most one call of a run. Thread-safe."""

    __slots__ = ("_marks", "_open", "answers")

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = answers
        # ordered by answer: removing a key is atomic, and tells whether it was there
        self._open = dict.fromkeys(range(len(answers)), True)
        self._marks: dict[int, tuple[str, str]] = {}

    @property
    def unclaimed(self) -> tuple[int, ...]:
        """The positions of the unclaimed answers."""
        return tuple(self._open)

    def take(self, place: int) -> bool:
        """Claim the answer at a position. False if it is claimed already, or does not exist."""
        return self._open.pop(place, False)

    def claim(self, asked: Asked, *, own: bool, usable: Callable[[Answer], bool] = lambda _: True) -> Answer | None:
        """Claim the answer that belongs to a call. None if there is none and the question must be asked.

        ``own``: whether the call comes from the task's own coroutine or thread. ``usable`` tells whether the call can
        return an answer.
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
    """Two texts: one is equal for identical questions, the other for questions of the same title and schema."""
    if kind == "subgraph":
        return f"{given} {workflow}", workflow
    schema = payload.get("schema")
    if isinstance(schema, Mapping):
        schema = as_opened(schema)
        payload = {**payload, "schema": schema}
    return _text(payload), _text([title_of(payload), schema])


def title_of(payload: Mapping[str, JSON]) -> str:
    """The title of a question's payload; "" if it has none."""
    for name in _TITLES:
        text = payload.get(name)
        if isinstance(text, str) and text.strip():
            return text.strip()
    schema = payload.get("schema")
    text = schema.get("title") if isinstance(schema, Mapping) else None
    return text.strip() if isinstance(text, str) else ""


def as_opened(schema: JSON) -> JSON:
    """A schema in its earlier form, in which schemas of Python types did not list all possible members,
    nor the other names and forms of members.

    With it, questions asked by an earlier version match today's.
    """
    if isinstance(schema, Mapping):
        is_open = schema.get("additionalProperties") is not False
        return {
            name: as_opened(part)
            for name, part in schema.items()
            if name not in ("x-aliases", "x-converted") and (is_open or name != "additionalProperties")
        }
    if isinstance(schema, list):
        return [as_opened(part) for part in schema]
    return schema


def digest_of(state: Mapping[str, JSON]) -> str:
    """A digest of a child flow's input."""
    from hashlib import blake2b

    return blake2b(_text(state).encode(), digest_size=12).hexdigest()


def _text(value: JSON) -> str:
    """JSON text with sorted members, so that equal values have equal texts."""
    return dumps(_sorted(value))


def _sorted(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def caller() -> tuple[int, int]:
    """The identity of the caller: its thread, and the asyncio task in it (0 if there is none)."""
    asyncio = sys.modules.get("asyncio")  # if asyncio was never imported, there are no tasks
    loop = None if asyncio is None else asyncio._get_running_loop()
    task = None if asyncio is None or loop is None else asyncio.current_task(loop)
    return get_ident(), 0 if task is None else id(task)


def is_on_loop() -> bool:
    """Whether a coroutine is running, so that blocking would block its whole event loop."""
    return caller()[1] != 0
