"""Who answers where nobody looks? Scripted answers, by the node or the title of a prompt."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dwarf.errors import ConfigError
from dwarf.notebook.pictures.views import is_stop
from dwarf.workflow.schemas.tables import is_table

if TYPE_CHECKING:
    from dwarf.notebook.prompts.prompt import Prompt

__all__ = [
    "Answers",
    "NOTHING",
    "VARIABLE",
    "default_of",
    "example_for",
]

VARIABLE = "DWARF_ANSWERS"


class _Nothing:
    """Stands for "no answer", since None is one."""

    def __repr__(self) -> str:
        return "no answer"


NOTHING = _Nothing()


class Answers:
    """Answers given in advance: ``{node or title: value, "*": "default"}``.

    A value may be a function of the Prompt. ``"*"`` answers every other prompt: with the prompt's default where it is
    the word ``"default"`` (a prompt without one stays open), else with its value; not a breakpoint, which has to be
    named. A function in place of the mapping is asked for every prompt.
    """

    def __init__(self, given: Mapping[str, Any] | Callable[[Prompt], Any] | None = None) -> None:
        self.given = _read_variable() if given is None else given
        if not callable(self.given) and not isinstance(self.given, Mapping):
            raise ConfigError(f"answers must map prompts to values, not be {type(self.given).__name__}")

    def answer_to(self, prompt: Prompt) -> Any:
        """The scripted answer, or NOTHING."""
        if callable(self.given):
            return self.given(prompt)
        for name in (prompt.title, prompt.node):
            if name in self.given:
                return _value(self.given[name], prompt)
        if "*" not in self.given or is_stop(prompt.payload):
            return NOTHING
        rest = self.given["*"]
        return default_of(prompt.payload, prompt.schema) if rest == "default" else _value(rest, prompt)

    def __bool__(self) -> bool:
        return callable(self.given) or bool(self.given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answers) and self.given == other.given

    __hash__ = None  # type: ignore[assignment]


def default_of(payload: Mapping[str, Any], schema: Mapping[str, Any] | None) -> Any:
    """The default of a prompt: that of its payload, of its schema, or of every field of its schema; else NOTHING."""
    if "default" in payload:
        return payload["default"]
    if schema is None:
        return NOTHING
    if is_table(schema):
        return payload.get("table", NOTHING)  # as it is
    if "default" in schema:
        return schema["default"]
    fields = schema.get("properties")
    if not isinstance(fields, Mapping) or not fields:
        return NOTHING
    needed = set(schema.get("required", ()))
    found = {
        name: field["default"] for name, field in fields.items() if isinstance(field, Mapping) and "default" in field
    }
    return found if needed <= set(found) else NOTHING


def example_for(prompt: Prompt) -> str:
    """Scripted answers, as JSON, that would answer the prompt: by its default, or by the name of its node."""
    if default_of(prompt.payload, prompt.schema) is not NOTHING:
        return '{"*": "default"}'
    kind = (prompt.schema or {}).get("type")
    value = {"boolean": "true", "integer": "1", "number": "1.5", "string": '"..."'}.get(str(kind), "...")
    return f"{{{json.dumps(prompt.node)}: {value}}} (the question has no default)"


def _value(value: Any, prompt: Prompt) -> Any:
    return value(prompt) if callable(value) else value


def _read_variable() -> Mapping[str, Any]:
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return {}
    try:
        given = json.loads(text)
    except ValueError as fault:
        raise ConfigError(f'{VARIABLE} must be JSON such as \'{{"*": "default"}}\': {fault}') from fault
    if not isinstance(given, dict):
        raise ConfigError(f'{VARIABLE} must be a JSON object such as \'{{"*": "default"}}\', not {text[:60]!r}')
    return given
