"""How is a state edited on a page? As the text of its JSON, of which the kernel makes changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dwarf.errors import InvalidRequest, StateError
from dwarf.workflow.jsontext import loads
from dwarf.workflow.values import from_json
from dwarf.workflow.values.meaning import same

__all__ = ["MOST_EDITED", "changes_between", "pretty", "result_of"]

MOST_EDITED = 100_000  # characters of a state that is edited as a whole


def changes_between(base: Mapping[str, Any], text: str, *, whole: bool) -> dict[str, Any]:
    """The changes from ``base`` to an edited state: ``text`` is all of it, or only the changes. InvalidRequest."""
    try:
        edited = loads(text)
    except StateError as fault:
        raise InvalidRequest(f"the state is not JSON: {fault}") from None
    if not isinstance(edited, dict):
        raise InvalidRequest("the state is not a JSON object")
    changes: dict[str, Any] = {
        name: from_json(value)
        for name, value in edited.items()
        if not whole or name not in base or not same(base[name], value)
    }
    if whole:
        changes |= {name: None for name in base if name not in edited}
    return changes


def result_of(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A state with changes laid over it."""
    return {name: value for name, value in {**before, **changes}.items() if value is not None}


def pretty(value: Any) -> str:
    """Indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)
