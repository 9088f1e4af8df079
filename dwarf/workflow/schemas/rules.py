"""What a JSON schema may say (draft 2020-12): checked when a question is put, so that no answer meets a faulty one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from time import thread_time
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from dwarf.workflow.conditions.patterns import BadPattern, compile_pattern

JSON: TypeAlias = Any

MOST_PARTS = 20_000  # sub-schemas of one schema; far more than any form can show

MOST_SECONDS = 2.0  # of computing; a schema of a megabyte takes 0.06 s, and a pattern that repeats much 0.0002 s
MOST_SECONDS_ON_LOOP = 0.1  # on an event loop, where all other tasks wait meanwhile
_MORE_TIME = "; a task that is a plain function (def) has more time, since it does not run on the event loop"

TYPES: Final = ("string", "number", "integer", "boolean", "array", "object", "null")
# where schemas stand within a schema
ONE: Final = frozenset(
    "additionalProperties unevaluatedProperties items contains unevaluatedItems propertyNames not if then else "
    "contentSchema".split()
)
SEVERAL: Final = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
NAMED: Final = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))


class SchemaFault(Exception):
    """An error of a schema, and its place: ``path`` from its root."""

    def __init__(self, reason: str, path: tuple[Any, ...] = ()) -> None:
        self.reason = reason
        self.path = path
        super().__init__(reason)


def _is_text(value: JSON) -> bool:
    return isinstance(value, str)


def _is_flag(value: JSON) -> bool:
    return isinstance(value, bool)


def _is_number(value: JSON) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: JSON) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _are_texts(value: JSON) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_type(value: JSON) -> bool:
    if isinstance(value, str):
        return value in TYPES
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one in TYPES for one in value)


_MEMBERS: Final[dict[str, tuple[str, Callable[[JSON], bool]]]] = {
    "type": (f"one of {', '.join(TYPES)}, or a list of them", _is_type),
    "enum": ("a list", lambda value: isinstance(value, list)),
    "required": ("a list of names", _are_texts),
    "multipleOf": ("a number above 0", lambda value: _is_number(value) and value > 0),
    "dependentRequired": (
        "lists of names by name",
        lambda value: isinstance(value, Mapping) and all(map(_are_texts, value.values())),
    ),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), ("a number", _is_number)),
    **dict.fromkeys(
        "minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains".split(),
        ("a whole number from 0", _is_count),
    ),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), ("true or false", _is_flag)),
    **dict.fromkeys(
        "title description pattern format contentEncoding contentMediaType $ref $dynamicRef $anchor $dynamicAnchor "
        "$id $schema $comment".split(),
        ("a text", _is_text),
    ),
}


def check_schema(schema: Mapping[str, JSON], *, on_loop: bool = False) -> None:
    """SchemaFault where this is no schema that answers can be checked against, or where telling it takes too long.

    ``on_loop``: an event loop waits for it meanwhile, so that it must be quick.
    """
    parts, latest = 0, thread_time() + (MOST_SECONDS_ON_LOOP if on_loop else MOST_SECONDS)
    advice = _MORE_TIME if on_loop else ""
    references: list[tuple[tuple[Any, ...], str]] = []
    for path, part in walk(schema):
        parts += 1
        if parts > MOST_PARTS:
            raise SchemaFault(f"it has more than {MOST_PARTS:,} parts")
        if isinstance(part, bool):
            continue
        if not isinstance(part, Mapping):
            raise SchemaFault(f"{_shown(part)} is not a schema", path)
        for name, value in part.items():
            _check_member(name, value, (*path, name))
            if thread_time() > latest:
                raise SchemaFault(f"checking it takes too long: its patterns are too many, or repeat too much{advice}")
        references += [((*path, name), part[name]) for name in ("$ref", "$dynamicRef") if name in part]
    for path, reference in references:
        try:
            resolve(reference, schema)
        except SchemaFault as fault:
            raise SchemaFault(fault.reason, path) from None
        if thread_time() > latest:
            raise SchemaFault(f"checking it takes too long: it refers to itself too often{advice}")


def _check_member(name: str, value: JSON, path: tuple[Any, ...]) -> None:
    if name in _MEMBERS:
        wanted, fits = _MEMBERS[name]
        if not fits(value):
            raise SchemaFault(f"{_shown(value)} is not {wanted}", path)
    elif name in NAMED and not isinstance(value, Mapping):
        raise SchemaFault(f"{_shown(value)} is not an object", path)
    elif name in SEVERAL and not (isinstance(value, list) and value):
        raise SchemaFault(f"{_shown(value)} is not a list of schemas", path)
    for pattern in [value] if name == "pattern" else value if name == "patternProperties" else ():
        try:
            compile_pattern(pattern)
        except BadPattern as error:
            raise SchemaFault(
                f"the pattern {pattern!r:.80} cannot be used: {error}. Patterns have RE2 syntax, in which matching "
                "takes no longer than reading: look-around, back-references and the like are not in it",
                path,
            ) from None


def walk(schema: JSON) -> Iterator[tuple[tuple[Any, ...], JSON]]:
    """A schema and all within it, each with its path."""
    stack: list[tuple[tuple[Any, ...], JSON]] = [((), schema)]
    while stack:
        path, part = stack.pop()
        yield path, part
        if not isinstance(part, Mapping):
            continue
        for name, value in part.items():
            if name in ONE:
                stack.append(((*path, name), value))
            elif name in SEVERAL and isinstance(value, list):
                stack.extend(((*path, name, place), each) for place, each in enumerate(value))
            elif name in NAMED and isinstance(value, Mapping):
                stack.extend(((*path, name, key), each) for key, each in value.items())


def resolve(reference: str, root: Mapping[str, JSON]) -> JSON:
    """The target of a reference within a schema. SchemaFault if there is none, or if it is outside of the schema."""
    base, _, fragment = reference.partition("#")
    if base and base != root.get("$id"):
        raise SchemaFault(f"the reference {reference!r:.80} leads out of the schema")
    if fragment and not fragment.startswith("/"):
        for _, part in walk(root):
            if isinstance(part, Mapping) and fragment in (part.get("$anchor"), part.get("$dynamicAnchor")):
                return part
        raise SchemaFault(f"the reference {reference!r:.80} leads nowhere")
    found: JSON = root
    for step in fragment.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise SchemaFault(f"the reference {reference!r:.80} leads nowhere")
    if not isinstance(found, (Mapping, bool)):
        raise SchemaFault(f"the reference {reference!r:.80} does not lead to a schema")
    return found


def _shown(value: JSON) -> str:
    return f"{value!r:.60}"
