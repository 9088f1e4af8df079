"""An answer as the type that its question asks for, whichever way it came.

A script may answer with an instance, a form with JSON: text for a date, base64 for bytes, the value of an enum. Both
are kept as they came, and become the same when the task reads them.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import typing
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

from dwarf.errors import InvalidRequest, StateError
from dwarf.workflow.convert import convert
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.matching import as_opened
from dwarf.workflow.schemas.aliases import has_paths
from dwarf.workflow.schemas.checks import check
from dwarf.workflow.schemas.tables import Table
from dwarf.workflow.schemas.types import is_secret, plain
from dwarf.workflow.signals import Answer
from dwarf.workflow.typeforms import hints_of, is_pydantic, is_union, unwrap
from dwarf.workflow.values import from_json

JSON: TypeAlias = Any


class AnswerMisfit(Exception):
    """The answer is none to the question as it is put now."""


def as_asked(answer: Answer, spec: Any, schema: Mapping[str, JSON], *, on_loop: bool = False) -> Any:
    """The value of an answer, as ``spec`` says, which is what the task gives as its schema; ``schema`` is made of it.

    AnswerMisfit where the answer does not fit, or cannot be checked quickly enough ``on_loop``. The default of a
    question that timed out is given in any case.
    """
    value = from_json(answer.value)
    try:
        if not answer.is_default and not _is_checked((answer.asked or {}).get("schema"), spec, schema):
            check(answer.value, schema, on_loop=on_loop)
        return typed(value, spec)
    except (StateError, InvalidRequest) as error:
        if answer.is_default:
            return value
        raise AnswerMisfit(str(error)) from None


def _is_checked(asked: JSON, spec: Any, schema: Mapping[str, JSON]) -> bool:
    """Whether an answer was held against this schema when it was given to the question that ``asked`` for it."""
    if isinstance(spec, Mapping):
        return dumps(asked) == dumps(schema)
    return dumps(as_opened(asked)) == dumps(as_opened(schema))


def typed(value: Any, spec: Any) -> Any:
    """A value as an instance of what a prompt may give as its schema. StateError where it cannot be one.

    With a JSON schema that is JSON, apart from the parts for which the schema names a type; with a list of choices the
    choice itself.
    """
    if isinstance(spec, Table):
        return spec.read(value)
    if isinstance(spec, Mapping):
        return _as_json(plain(value), spec)
    if isinstance(spec, (list, tuple, set, frozenset, range)):
        return _choice(value, spec)
    if _has_validators(spec):  # what they return is the value, of whatever type
        return _validated(value, spec)
    return convert(_shaped(value, spec), spec, "the answer")


def _as_json(value: JSON, spec: Mapping[Any, Any]) -> Any:
    parts, items = spec.get("properties"), spec.get("items")
    if isinstance(value, dict) and isinstance(parts, Mapping):
        return {name: _part(item, parts.get(name)) for name, item in value.items()}
    if isinstance(value, list) and items is not None:
        return [_part(item, items) for item in value]
    return value


def _part(value: JSON, spec: Any) -> Any:
    if spec is None or isinstance(spec, (bool, str, int, float, list, tuple)):
        return value
    return typed(value, spec)


def _choice(value: Any, choices: Iterable[Any]) -> Any:
    given = dumps(plain(value))
    for choice in choices:
        if dumps(plain(choice)) == given:
            return choice
    raise StateError(f"the answer is none of the choices: {given:.60}")


# ---------------------------------------------------------------------- what JSON has no form of its own for


def _shaped(value: Any, kind: Any) -> Any:
    """A value in a form that ``convert`` reads as ``kind``: what forms write in a way of their own is translated."""
    if _has_validators(kind):
        return _validated(value, kind)
    kind = unwrap(kind)
    if value is None or kind is Any:
        return value
    if is_union(kind):
        return _of_union(value, [unwrap(option) for option in get_args(kind)])
    origin = get_origin(kind)
    if origin is Literal:
        return _choice(value, get_args(kind))
    if is_pydantic(kind) or is_pydantic(origin):
        return _model(value, kind)
    if origin is not None:
        return _items(value, origin, get_args(kind))
    return _of_class(value, kind) if isinstance(kind, type) else value


def _of_union(value: Any, options: list[Any]) -> Any:
    # a text may stand for several of them, say a date or a text: the first that it can be read as
    if not isinstance(value, str) and any(option is type(value) for option in options):
        return value
    for option in options:
        try:
            return convert(_shaped(value, option), option, "the answer")
        except StateError:
            continue
    return value


def _items(value: Any, origin: Any, args: tuple[Any, ...]) -> Any:
    if isinstance(value, Mapping):
        return {key: _shaped(item, args[1]) for key, item in value.items()} if len(args) == 2 else value
    if not isinstance(value, (list, tuple)) or not args or args == ((),):
        return value
    if origin is tuple and args[-1] is not ...:
        return (
            [_shaped(item, kind) for item, kind in zip(value, args, strict=True)] if len(value) == len(args) else value
        )
    return [_shaped(item, args[0]) for item in value]


def _of_class(value: Any, cls: Any) -> Any:
    if not typing.is_typeddict(cls) and isinstance(value, cls):
        return value
    if is_secret(cls):
        return cls(value) if isinstance(value, str) else value
    if cls is bytes and isinstance(value, str):
        return _from_base64(value)
    if issubclass(cls, enum.Enum):
        return next((member for member in cls if _same(member, value)), value)
    hints = hints_of(cls, "the answer") if _has_fields(cls) else {}
    if hints and isinstance(value, Mapping):
        return {name: _shaped(item, hints.get(name, Any)) for name, item in value.items()}
    return value


def _has_fields(cls: Any) -> bool:
    return typing.is_typeddict(cls) or dataclasses.is_dataclass(cls) or hasattr(cls, "_fields")


def _same(member: enum.Enum, value: Any) -> bool:
    return dumps(plain(member.value)) == dumps(plain(value))


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError):
        raise StateError("the answer: expected bytes in base64") from None


def _has_validators(kind: Any) -> bool:
    """Whether this is an annotated type with functions of pydantic's that check or convert a value."""
    return get_origin(kind) is Annotated and any(
        type(note).__module__ == "pydantic.functional_validators" for note in get_args(kind)[1:]
    )


def _validated(value: Any, kind: Any) -> Any:
    import pydantic

    try:
        return pydantic.TypeAdapter(kind).validate_json(dumps(plain(value)))
    except pydantic.ValidationError as error:
        raise StateError(f"the answer: {error}") from error


def _model(value: Any, kind: Any) -> Any:
    import pydantic

    if isinstance(kind, type) and isinstance(value, kind):
        return value
    if isinstance(value, AbstractSet):
        value = list(value)
    text = dumps(plain(value))
    try:
        return kind.model_validate_json(text)
    except pydantic.ValidationError as error:
        # a field that is found by a path has its own name in the form, which shows no paths
        with suppress(pydantic.ValidationError, TypeError):  # TypeError: pydantic before 2.11
            if has_paths(kind):
                return kind.model_validate_json(text, by_alias=True, by_name=True)
        raise StateError(f"the answer: {error}") from error
