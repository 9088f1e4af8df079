"""Which texts must not stand in a file that is handed on? Answers to questions that are marked as secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dwarf.notebook.prompts.forms import has_secret
from dwarf.workflow.schemas import find_schema

if TYPE_CHECKING:
    from dwarf.workflow.results import Answered, Step

__all__ = ["MASK", "Mask"]

MASK = "•••"
_LEAST = 3  # shorter secrets are masked only where they are a whole value: anything contains an "a"


class Mask:
    """Hides the secrets among the answers of a run, wherever they turn up: in states, changes, errors and titles."""

    def __init__(self, answers: Iterable[Answered]) -> None:
        found = {text for one in answers for text in _secrets(one.value, find_schema(dict(one.payload)))}
        self._whole = frozenset(found)
        # the forms in which a text may stand in JSON or in Python's own notation are masked as well
        forms = {form for text in found if len(text) >= _LEAST for form in (text, _inside(repr(text)), _json(text))}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    @property
    def hides(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self._whole)

    def text(self, text: str) -> str:
        """A text with the secrets in it masked."""
        if text in self._whole:
            return MASK
        return self._pattern.sub(MASK, text) if self._pattern is not None else text

    def value(self, value: Any) -> Any:
        """A value with every part of it that is a secret masked; texts and names that hold one, too."""
        if not self._whole:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(name): self.value(part) for name, part in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(part) for part in value]
        if isinstance(value, (bool, type(None))):
            return value
        shown = str(value)
        masked = self.text(shown)
        return value if masked == shown else masked

    def steps(self, steps: Sequence[Step]) -> list[Step]:
        """Steps whose errors give no secret away: these stand in the titles of what is drawn."""
        if not self._whole:
            return list(steps)
        return [
            replace(
                step,
                error=self.text(step.error),
                sub_flows=tuple(replace(flow, steps=tuple(self.steps(flow.steps))) for flow in step.sub_flows),
            )
            if step.error or step.sub_flows
            else step
            for step in steps
        ]


def _inside(quoted: str) -> str:
    return quoted[1:-1]


def _json(text: str) -> str:
    from dwarf.workflow.jsontext import dumps

    return _inside(dumps(text))


def _secrets(value: Any, schema: Mapping[str, Any] | None) -> Iterator[str]:
    """The texts of the parts of an answer that its schema marks as secret; of all parts, where it cannot be told."""
    if schema is None or not has_secret(schema):
        return
    fields = schema.get("properties")
    if isinstance(value, Mapping) and isinstance(fields, Mapping) and "$defs" not in schema:
        for name, part in value.items():
            known = fields.get(name)
            if isinstance(known, Mapping) and not has_secret(known) and "$ref" not in known:
                continue
            yield from _texts(part)
        return
    yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for part in value:
            yield from _texts(part)
    elif value is not None and not isinstance(value, bool) and str(value):
        yield str(value)
