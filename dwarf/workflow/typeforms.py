"""Inspecting classes and annotations: the fields of an object, the parts of a type."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from dwarf.errors import StateError


def is_pydantic(cls: object) -> bool:
    """Whether this is a pydantic model class. Does not import pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(cls, type) and issubclass(cls, pydantic.BaseModel)


def fields_of(value: Any) -> dict[str, Any] | None:
    """The fields of a mapping, a dataclass instance or a pydantic model by name, one level; None for other values."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if is_pydantic(type(value)):
        return _model_fields(value)
    return None


def _model_fields(model: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, info in type(model).model_fields.items():
        fields[info.alias or name] = getattr(model, name)
    fields.update(model.__pydantic_extra__ or {})
    return fields


def field_types(cls: Any) -> dict[str, Any]:
    """The types of the fields that ``fields_of`` returns for an instance; empty if they are unknown."""
    if is_pydantic(cls):
        return {info.alias or name: info.annotation for name, info in cls.model_fields.items()}
    if dataclasses.is_dataclass(cls):
        return hints_of(cls, "")
    return {}


def hints_of(cls: Any, what: str) -> dict[str, Any]:
    """The resolved annotations of a class. StateError beginning with ``what`` (empty: no error) if that fails."""
    try:
        return typing.get_type_hints(cls)
    except Exception as error:  # noqa: BLE001 - an annotation may hold any expression
        if not what:
            return {}
        raise StateError(f"{what}: the annotations of {cls.__name__} cannot be resolved: {error}") from None


def required_keys(cls: Any) -> set[str]:
    """The required keys of a TypedDict."""
    required = set(cls.__required_keys__)
    # with postponed annotations, the class's own count misses NotRequired
    for name, kind in typing.get_type_hints(cls, include_extras=True).items():
        if get_origin(kind) is typing.NotRequired:
            required.discard(name)
        elif get_origin(kind) is typing.Required:
            required.add(name)
    return required


def type_name(kind: Any) -> str:
    """A type in its usual notation."""
    if isinstance(kind, type) and get_origin(kind) is None:
        return kind.__name__
    return str(kind).replace("typing.", "").replace("collections.abc.", "")


def allows_none(kind: Any) -> bool:
    """Whether None is a value of the type."""
    kind = unwrap(kind)
    if kind is None or kind is type(None):
        return True
    if kind is Any or kind is object:
        return True
    return is_union(kind) and any(allows_none(arg) for arg in get_args(kind))


def is_union(kind: Any) -> bool:
    """Whether this is a Union, an Optional or ``X | Y``."""
    return get_origin(kind) in (Union, types.UnionType)


def unwrap(kind: Any) -> Any:
    """The type without Annotated, NewType and type aliases; a TypeVar as its bound."""
    for _ in range(20):
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif isinstance(kind, TypeVar):
            kind = kind.__bound__ or Any
        elif type(kind).__name__ == "TypeAliasType":
            kind = kind.__value__
        else:
            break
    return kind
