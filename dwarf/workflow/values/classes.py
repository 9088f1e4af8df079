"""Instances of the user's own classes: dataclasses, pydantic models, enums and named tuples.

The class is kept by its name beside the members, and looked up among those that are loaded when the value is read.
Only a class that really is one of the four is ever made use of, and neither its constructor nor its validators run: the
members are set as they were. A class that is not loaded, or that now wants members the stored value lacks, gives the
plain dict, tuple or enum value. Classes defined inside a function cannot be found again, unless they are registered,
and are kept as their plain members from the start.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from enum import Enum, Flag
from typing import Any, Final

from dwarf.workflow.jsontext import JSON
from dwarf.workflow.values.decoding import decode_members, items_of_tag
from dwarf.workflow.values.encoding import TAG, Refused, TooDeep, encode, encode_dict, encode_list
from dwarf.workflow.values.lookup import class_of, name_of

__all__ = ["READERS", "encode_instance", "model_of"]


def encode_instance(value: Any, depth: int) -> JSON:
    """The JSON form of an instance of one of the four sorts of class."""
    if isinstance(value, Enum):
        return _encode_enum(value, depth)
    if isinstance(value, type):
        return NotImplemented
    if dataclasses.is_dataclass(value):
        return _encode_dataclass(value, depth)
    if isinstance(value, getattr(sys.modules.get("pydantic"), "BaseModel", ())):
        return _encode_model(value, depth)
    if isinstance(value, tuple) and _is_named_tuple(type(value)):
        return _encode_named_tuple(value, depth)
    return NotImplemented


# ---------------------------------------------------------------- members
def _encode_what_can(members: dict[str, Any], depth: int) -> dict[str, JSON]:
    """The members that have a JSON form; the others, say locks or connections, are left out."""
    result: dict[str, JSON] = {}
    for name, item in members.items():
        try:
            result[name] = encode(item, depth)
        except TooDeep:
            raise
        except Refused:
            continue
    return result


# ---------------------------------------------------------------- enums
def _encode_enum(value: Enum, depth: int) -> JSON:
    name = name_of(type(value))
    if not name:
        return encode(value._value_, depth)
    members: dict[str, JSON] = {"name": value._name_}
    members |= _encode_what_can({"value": value._value_}, depth + 2)
    return {TAG: "enum", "type": name, "v": members}


def _decode_enum(tag: dict[str, JSON]) -> Any:
    members = decode_members(tag["v"])
    name, value = members["name"], members.get("value", members["name"])
    cls = class_of(tag["type"])
    if cls is None or not issubclass(cls, Enum):
        return value
    if name in cls.__members__:
        return cls.__members__[name]
    if issubclass(cls, Flag) and isinstance(value, int):
        return cls(value)  # a combination of members, which the enum machinery puts together
    return cls._value2member_map_.get(value, value)  # the member may have been renamed


# ---------------------------------------------------------------- dataclasses
def _encode_dataclass(value: Any, depth: int) -> JSON:
    cls = type(value)
    names = [field.name for field in dataclasses.fields(cls) if hasattr(value, field.name)]
    members = {name: getattr(value, name) for name in names}
    type_name = name_of(cls)
    if not type_name:
        return encode_dict(members, depth)
    result = {TAG: "dataclass", "type": type_name, "v": encode_dict(members, depth + 1)}
    # What __post_init__ or a cached property has put beside the fields.
    more = {name: item for name, item in getattr(value, "__dict__", {}).items() if name not in members}
    if more and (kept := _encode_what_can(more, depth + 2)):
        result["more"] = kept
    return result


def _decode_dataclass(tag: dict[str, JSON]) -> Any:
    members = decode_members(tag["v"])
    cls = class_of(tag["type"])
    if cls is None or not dataclasses.is_dataclass(cls):
        return members
    try:
        result: Any = object.__new__(cls)
    except TypeError:  # derived from a class that has to be made its own way, such as an exception
        return members
    for field in dataclasses.fields(cls):
        if field.name in members:
            item = members[field.name]
        elif field.default is not dataclasses.MISSING:
            item = field.default
        elif field.default_factory is not dataclasses.MISSING:
            item = field.default_factory()
        elif field.init:
            return members  # the class has changed beyond what the stored members can fill
        else:
            continue
        object.__setattr__(result, field.name, item)
    if "more" in tag and hasattr(result, "__dict__"):
        result.__dict__.update(decode_members(tag["more"]))
    return result


# ---------------------------------------------------------------- pydantic models
_MODEL_PARTS: Final = {"extra": "__pydantic_extra__", "private": "__pydantic_private__"}


def _encode_model(value: Any, depth: int) -> JSON:
    cls = type(value)
    members = {name: item for name, item in value.__dict__.items() if name in cls.model_fields}
    extra = value.__pydantic_extra__ or {}
    type_name = name_of(cls)
    if not type_name:
        return encode_dict({**members, **extra}, depth)
    try:
        result: dict[str, JSON] = {TAG: "model", "type": type_name, "v": encode_dict(members, depth + 1)}
        if extra:
            result["extra"] = encode_dict(extra, depth + 1)
    except TooDeep:
        raise
    except Refused:
        # A field type of pydantic's own, such as a URL: its JSON will do if the same model can be made of it.
        dumped = _dumped(value)
        if dumped is None:
            raise
        return {TAG: "model_json", "type": type_name, "v": encode_dict(dumped, depth + 1)}
    if kept := _encode_what_can(value.__pydantic_private__ or {}, depth + 2):
        result["private"] = kept
    if unset := sorted(set(members) - value.__pydantic_fields_set__):
        result["unset"] = unset
    return result


def _dumped(value: Any) -> Any:
    """The model as pydantic writes it, or None where that loses something."""
    try:
        dumped = value.model_dump(mode="json", warnings=False)
        return dumped if type(value).model_validate(dumped) == value else None
    except Exception:  # noqa: BLE001  serializers and validators of the user's own
        return None


def model_of(tag: Mapping[str, JSON]) -> Any:
    """The pydantic model that a tag names, if it is loaded here."""
    name = tag.get("type")
    cls = class_of(name) if isinstance(name, str) else None
    base = getattr(sys.modules.get("pydantic"), "BaseModel", ())
    return cls if cls is not None and issubclass(cls, base) else None


def _decode_model(tag: dict[str, JSON]) -> Any:
    members = decode_members(tag["v"])
    extra = decode_members(tag.get("extra", {}))
    cls = model_of(tag)
    if cls is None:
        return members | extra
    for name, field in cls.model_fields.items():
        if name not in members:
            if field.is_required():
                return members | extra
            members[name] = field.get_default(call_default_factory=True)
    result = object.__new__(cls)
    state = {
        "__dict__": {name: item for name, item in members.items() if name in cls.model_fields},
        "__pydantic_fields_set__": (set(tag["v"]) - set(tag.get("unset", ()))) | set(extra),
        "__pydantic_extra__": extra if cls.model_config.get("extra") == "allow" else None,
        "__pydantic_private__": _private_members(cls, tag),
    }
    for name, item in state.items():
        object.__setattr__(result, name, item)
    return result


def _private_members(cls: Any, tag: dict[str, JSON]) -> dict[str, Any] | None:
    if not cls.__private_attributes__:
        return None
    members = decode_members(tag.get("private", {}))
    for name, attribute in cls.__private_attributes__.items():
        if name not in members:
            default = attribute.get_default()
            if type(default).__name__ != "PydanticUndefinedType":
                members[name] = default
    return members


def _decode_model_json(tag: dict[str, JSON]) -> Any:
    cls = model_of(tag)
    members = decode_members(tag["v"])
    if cls is None:
        return members
    try:
        return cls.model_validate(members)
    except Exception:  # noqa: BLE001  validators of the user's own; the class may have changed
        return members


# ---------------------------------------------------------------- named tuples
def _is_named_tuple(cls: type) -> bool:
    names = getattr(cls, "_fields", None)
    return isinstance(names, tuple) and len(names) > 0


def _encode_named_tuple(value: tuple[Any, ...], depth: int) -> JSON:
    result: dict[str, JSON] = {TAG: "tuple", "v": encode_list(value, depth + 1)}
    if name := name_of(type(value)):
        result["type"] = name
    return result


def _decode_tuple(tag: dict[str, JSON]) -> Any:
    items = items_of_tag(tag)
    cls = class_of(tag["type"]) if "type" in tag else None
    if cls is not None and issubclass(cls, tuple) and len(getattr(cls, "_fields", ())) == len(items):
        return tuple.__new__(cls, items)
    return tuple(items)


READERS: Final = {
    "enum": _decode_enum,
    "dataclass": _decode_dataclass,
    "model": _decode_model,
    "model_json": _decode_model_json,
    "tuple": _decode_tuple,
}
