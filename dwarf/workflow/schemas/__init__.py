"""JSON schemas for prompts: made from types, and checked against answers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import EnumMeta
from typing import Any, TypeAlias

from dwarf.errors import InvalidRequest, StateError
from dwarf.workflow.schemas.checks import check as check
from dwarf.workflow.schemas.checks import check_defaults, checked_schema
from dwarf.workflow.schemas.types import SchemaMaker, answer_to_json, plain

__all__ = ["answer_to_json", "check", "check_defaults", "find_schema", "plain", "to_schema"]

JSON: TypeAlias = Any


def to_schema(spec: Any, *, on_loop: bool = False) -> dict[str, JSON]:
    """A JSON schema, as plain JSON, from what a prompt may give as its schema.

    That is a JSON schema (a mapping, in which types may stand for sub-schemas), a list of choices, or a type: a class
    such as ``bool`` or ``date``, an Enum, ``Literal``, ``list[T]``, a Union, ``Annotated``, a dataclass, a TypedDict or
    a pydantic model. InvalidRequest for anything else, and for a mapping that is no valid JSON schema, or has patterns
    that are none in RE2's syntax, or whose check takes too long: 2 s of computing, and 0.1 s ``on_loop``, where an
    event loop waits for it.
    """
    if isinstance(spec, Mapping):
        maker = SchemaMaker()
        schema = _mapping(spec, maker)
        if maker.definitions:  # of the types within: references are looked up from the root
            schema["$defs"] = {**schema.get("$defs", {}), **maker.definitions}
        return checked_schema(schema, on_loop=on_loop)
    if isinstance(spec, (list, tuple, set, frozenset, range)):
        return _choices(spec)
    return checked_schema(SchemaMaker().root(spec), on_loop=on_loop)


def _choices(choices: Any) -> dict[str, JSON]:
    try:
        values = [plain(choice) for choice in choices]
    except StateError as error:
        raise InvalidRequest(f"the choices of a prompt must be JSON values: {error}") from None
    if not values:
        raise InvalidRequest("the choices of a prompt must not be empty")
    if isinstance(choices, (set, frozenset)):
        values.sort(key=lambda value: (str(type(value)), str(value)))  # the same prompt each time
    return {"enum": values}


def _mapping(schema: Mapping[Any, Any], maker: SchemaMaker) -> dict[str, JSON]:
    result: dict[str, JSON] = {}
    for key, value in schema.items():
        if not isinstance(key, str):
            raise InvalidRequest(f"the keys of a JSON schema must be strings, not {type(key).__name__}")
        result[key] = _member(value, maker)
    return result


def _member(value: Any, maker: SchemaMaker) -> JSON:
    if isinstance(value, Mapping):
        return _mapping(value, maker)
    if isinstance(value, EnumMeta):
        return maker.part(value)
    if isinstance(value, (list, tuple)):
        return [_member(item, maker) for item in value]
    try:
        return plain(value)
    except StateError:
        return maker.part(value)  # a type in the place of a sub-schema


def find_schema(payload: Any) -> dict[str, JSON] | None:
    """The schema in an interrupt's payload, or None."""
    schema = payload.get("schema") if isinstance(payload, Mapping) else None
    return dict(schema) if isinstance(schema, Mapping) else None
