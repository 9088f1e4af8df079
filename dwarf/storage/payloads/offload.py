"""Moving large values out of a JSON text and back (the claim-check pattern).

A value whose own text is longer than a limit is stored as a blob, and its name replaces it in the text: ``{"$dwarf":
"blob", "v": <hash>}``. Only these parts of a text can be replaced:

``members``: the members of an object, as the fields of a state.
``interrupt``: the members of the payload that is shown, and the default.
``answers``: of each answer, the members of its value (or the value, where it is no plain object), of the payload that
was shown, and of what the task had written before.

A user's value that looks like such a name is escaped before it is stored, like all tags in users' values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from secrets import token_hex
from typing import Any, Final

from dwarf.storage.sql.rows import Whole
from dwarf.workflow.jsontext import JSON, dumps, loads
from dwarf.workflow.values import TAG

__all__ = [
    "Gaps",
    "cut",
    "may_hold_blobs",
    "names_in",
]

BLOB: Final = "blob"
_SIGN: Final = f'"{TAG}":"{BLOB}"'  # as written by dumps; no text of a user contains it inside a string
_HASH: Final = re.compile("[0-9a-f]{64}")
_LONGEST_ESCAPE: Final = 6  # characters of JSON text for one character of a string

_Place = tuple[Any, Any]  # a container, and the key of a part in it


def may_hold_blobs(text: str) -> bool:
    """Whether a closer look is needed. Fast."""
    return _SIGN in text


def cut(text: str, parts: str, limit: int, name: Callable[[str], str], *, raw: bool) -> tuple[str, dict[str, str]]:
    """The text without its large parts, and these parts by name. ``name`` makes the name of a blob from its text.

    ``raw``: names in the text are names of blobs. They stay, and are returned without a text.
    """
    document = dict(text.source) if isinstance(text, Whole) else loads(text)
    bodies: dict[str, str] = {}
    changed = False
    for container, key in list(_places(document, parts)):
        value = container[key]
        known = _name_of(value)
        if known is not None and raw:
            bodies.setdefault(known, "")
            continue
        if isinstance(value, dict) and value.get(TAG) == BLOB:
            value = container[key] = {TAG: "dict", "v": value}
            changed = True
        if not _may_be_long(value, limit):
            continue
        body = dumps(value)
        if len(body) > limit:
            known = name(body)
            bodies[known] = body
            container[key] = {TAG: BLOB, "v": known}
            changed = True
    return (dumps(document) if changed else str(text)), bodies


def names_in(text: str, parts: str) -> list[str]:
    """The names of blobs in a text."""
    return Gaps(loads(text), parts).names if text and may_hold_blobs(text) else []


class Gaps:
    """The places of a document that contain names of blobs. Filling them modifies the document."""

    def __init__(self, document: JSON, parts: str) -> None:
        self._document = document
        found = [(place, _name_of(place[0][place[1]])) for place in _places(self._document, parts)]
        self._places = [place for place, known in found if known is not None]
        self.names = [known for _, known in found if known is not None]

    def filled(self, bodies: Mapping[str, str]) -> str:
        """Its text with the blobs in their places. KeyError for a blob that is not among the bodies."""
        # The text of a blob is put in as it was stored, and neither parsed nor written anew.
        mark = token_hex(8)  # in no text by chance
        for number, (container, key) in enumerate(self._places):
            container[key] = f"{mark}{number}"
        pieces = [bodies[known] for known in self.names]
        return re.sub(f'"{mark}([0-9]+)"', lambda found: pieces[int(found[1])], dumps(self._document))

    def renamed(self, names: Mapping[str, str]) -> JSON:
        """The document with other names of the blobs. KeyError for a blob without one."""
        for (container, key), known in zip(self._places, self.names, strict=True):
            container[key] = {TAG: BLOB, "v": names[known]}
        return self._document


def _places(document: JSON, parts: str) -> Iterator[_Place]:
    if parts == "members":
        yield from _members(document)
    elif parts == "interrupt" and isinstance(document, dict):
        yield from _members(document.get("payload"))
        if "default" in document:
            yield document, "default"
    elif parts == "answers" and isinstance(document, list):
        for answer in document:
            yield from _members(answer.get("wrote"))
            yield from _members(answer.get("asked"))
            value = answer.get("value")
            if isinstance(value, dict) and (answer.get("kind") == "subgraph" or TAG not in value):
                yield from _members(value)  # a child's final state: its fields may have any name
            elif "value" in answer:
                yield answer, "value"


def _members(value: JSON) -> Iterator[_Place]:
    if isinstance(value, dict):
        for key in value:
            yield value, key


def _name_of(value: JSON) -> str | None:
    """The name in place of a blob."""
    if isinstance(value, dict) and value.get(TAG) == BLOB and len(value) == 2:
        known = value.get("v")
        if isinstance(known, str) and _HASH.fullmatch(known):
            return known
    return None


def _may_be_long(value: JSON, limit: int) -> bool:
    if isinstance(value, str):
        # a bound on the length: to write each short value, only to measure it, would cost as much as to write the row
        return len(value) * _LONGEST_ESCAPE + 2 > limit
    return bool(value) and isinstance(value, (dict, list))
