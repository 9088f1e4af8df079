"""Reading a state value as a type, for ``get_as``, ``load`` and the parameters of a task."""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path, PurePath
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from dwarf.errors import StateError
from dwarf.workflow.typeforms import (
    allows_none,
    fields_of,
    hints_of,
    is_pydantic,
    is_union,
    required_keys,
    type_name,
    unwrap,
)

# ---------------------------------------------------------------------- the entry


def convert(value: Any, kind: Any, what: str) -> Any:
    """``value``, as decoded from the state, as an instance of ``kind``.

    StateError, beginning with ``what``, if it is not one. A bool is no int; an integral float reads as an int, and an
    int as a float. Lists, tuples, sets, mappings, dataclasses, pydantic models, TypedDicts and NamedTuples are
    converted to their depth.
    """
    if kind is Any or kind is object or kind is dataclasses.MISSING:
        return value
    simple = _SIMPLE.get(kind) if isinstance(kind, type) else None
    if simple is not None:
        return simple(value, what)
    if isinstance(kind, type) and get_origin(kind) is None:
        return _as_class(value, kind, what)
    return _as_form(value, kind, what)


def _wrong(value: Any, wanted: str, what: str) -> StateError:
    shown = repr(value) if isinstance(value, (bool, int, float, str)) else ""
    got = f"{type(value).__name__} {shown if len(shown) <= 60 else shown[:57] + '...'}".rstrip()
    return StateError(f"{what}: expected {wanted}, got {got}")


# ---------------------------------------------------------------------- scalars


def _plain(value: Any) -> Any:
    # numpy's scalars count as the Python numbers they hold
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    return value


def _as_bool(value: Any, what: str) -> bool:
    value = _plain(value)
    if isinstance(value, bool):
        return value
    raise _wrong(value, "bool", what)


def _as_int(value: Any, what: str) -> int:
    value = _plain(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _wrong(value, "int", what)


def _as_float(value: Any, what: str) -> float:
    value = _plain(value)
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise StateError(f"{what}: the integer is too large for a float") from None
    raise _wrong(value, "float", what)


def _as_none(value: Any, what: str) -> None:
    if value is not None:
        raise _wrong(value, "None", what)


def _parser(cls: type, parse: Callable[[str], Any], *, not_: type = NoneType) -> Callable[[Any, str], Any]:
    """A converter for a class whose values may be stored as text."""

    def read(value: Any, what: str) -> Any:
        if isinstance(value, cls) and not isinstance(value, not_):
            return value
        if isinstance(value, str):
            try:
                return parse(value)
            except (ValueError, InvalidOperation):
                pass
        raise _wrong(value, cls.__name__, what)

    return read


def _as_timedelta(value: Any, what: str) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return timedelta(seconds=value)
        except (OverflowError, ValueError):
            pass
    raise _wrong(value, "timedelta (or a number of seconds)", what)


_parse_decimal = _parser(Decimal, Decimal)


def _as_decimal(value: Any, what: str) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, float):
        # by its digits, as a reader sees them: Decimal(0.1) has 55 of them
        return Decimal(repr(value))
    decimal: Decimal = _parse_decimal(value, what)
    return decimal


# ---------------------------------------------------------------------- containers


def _items(value: Any, wanted: str, what: str) -> Collection[Any]:
    if isinstance(value, (list, tuple, AbstractSet)):
        return value
    raise _wrong(value, wanted, what)


def _each(value: Any, kind: Any, wanted: str, what: str) -> list[Any]:
    items = _items(value, wanted, what)
    if kind is Any:
        return list(items)
    return [convert(item, kind, f"{what}[{index}]") for index, item in enumerate(items)]


def _as_list(value: Any, args: tuple[Any, ...], what: str) -> Any:
    if isinstance(value, AbstractSet):
        raise _wrong(value, "list", what)
    return _each(value, args[0] if args else Any, "list", what)


def _as_set(value: Any, args: tuple[Any, ...], what: str) -> Any:
    return _hashed(set, _each(value, args[0] if args else Any, "set", what), what)


def _as_frozenset(value: Any, args: tuple[Any, ...], what: str) -> Any:
    return _hashed(frozenset, _each(value, args[0] if args else Any, "frozenset", what), what)


def _hashed(make: Callable[[list[Any]], Any], items: list[Any], what: str) -> Any:
    try:
        return make(items)
    except TypeError:
        raise StateError(f"{what}: a set cannot hold lists or mappings") from None


def _as_tuple(value: Any, args: tuple[Any, ...], what: str) -> Any:
    if isinstance(value, AbstractSet):
        raise _wrong(value, "tuple", what)
    if not args or args[-1] is ...:
        return tuple(_each(value, args[0] if args else Any, "tuple", what))
    items = _items(value, "tuple", what)
    args = () if args == ((),) else args
    if len(items) != len(args):
        raise StateError(f"{what}: expected a tuple of {len(args)} items, got {len(items)}")
    pairs = enumerate(zip(items, args, strict=True))
    return tuple(convert(item, kind, f"{what}[{index}]") for index, (item, kind) in pairs)


def _as_iterable(value: Any, args: tuple[Any, ...], what: str) -> Any:
    if isinstance(value, AbstractSet):
        return _as_set(value, args, what)
    if isinstance(value, tuple):
        return _as_tuple(value, (*args, ...) if args else (), what)
    return _as_list(value, args, what)


def _as_dict(value: Any, args: tuple[Any, ...], what: str) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(value, "dict", what)
    if len(args) < 2:
        return dict(value)
    key_kind, kind = args[:2]
    return {_key(key, key_kind, what): convert(item, kind, f"{what}.{key}") for key, item in value.items()}


def _key(key: Any, kind: Any, what: str) -> Any:
    # the keys of a JSON object are text
    if kind in (int, float) and isinstance(key, str):
        try:
            return kind(key)
        except ValueError:
            raise _wrong(key, f"a key of type {kind.__name__}", what) from None
    return convert(key, kind, f"{what}: key")


# ---------------------------------------------------------------------- classes


def _as_class(value: Any, cls: Any, what: str) -> Any:
    if typing.is_typeddict(cls):
        return _as_typed_dict(value, cls, what)
    if issubclass(cls, enum.Enum):
        return _as_enum(value, cls, what)
    if getattr(cls, "_is_protocol", False):
        return value  # a protocol describes the use of a value, not its type
    if isinstance(value, cls):
        return value
    if dataclasses.is_dataclass(cls):
        return _as_dataclass(value, cls, what)
    if is_pydantic(cls):
        return _as_model(value, cls, what)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _as_named_tuple(value, cls, what)
    if issubclass(cls, PurePath) and isinstance(value, (str, PurePath)):
        return cls(value)
    if cls.__module__ == "uuid":  # the module is slow to import
        return _parser(cls, cls)(value, what)
    plain = _plain(value)
    if plain is not value and isinstance(plain, cls):
        return plain
    if _is_foreign(cls):
        return _as_foreign(plain, cls, what)
    raise _wrong(value, cls.__name__, what)


def _is_foreign(cls: type) -> bool:
    """Whether this is a scalar class of numpy or pandas. Neither needs to be installed."""
    bases = {(base.__module__.partition(".")[0], base.__name__) for base in cls.__mro__}
    return bool(bases & {("numpy", "generic"), ("pandas", "Timestamp"), ("pandas", "Timedelta")})


def _as_foreign(value: Any, cls: Any, what: str) -> Any:
    """A scalar of numpy or pandas from its stored form, if the conversion loses nothing."""
    try:
        made = cls(value)
        if isinstance(made, cls) and (made == value or (made != made and value != value)):  # noqa: PLR0124  NaN
            return made
        if isinstance(value, str) and cls.__name__ in ("Timestamp", "Timedelta", "datetime64", "timedelta64"):
            return made
    except (TypeError, ValueError, OverflowError, ArithmeticError):
        pass
    raise _wrong(value, cls.__name__, what)


def _as_enum(value: Any, cls: type[enum.Enum], what: str) -> Any:
    if isinstance(value, cls):
        return value
    for member in cls:
        if _same(member.value, value):
            return member
    try:
        if not isinstance(value, bool):
            return cls(value)  # the class's own look-up: composed flags, _missing_
    except (ValueError, TypeError):
        pass
    raise _wrong(value, "one of " + ", ".join(repr(member.value) for member in cls), what)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _mapping(value: Any, cls: Any, what: str) -> Mapping[str, Any]:
    fields = fields_of(value)
    if fields is None:
        raise _wrong(value, f"the fields of {cls.__name__}", what)
    return fields


def _as_dataclass(value: Any, cls: Any, what: str) -> Any:
    fields = _mapping(value, cls, what)
    hints = hints_of(cls, what)
    given: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        if field.name in fields:
            given[field.name] = convert(fields[field.name], hints.get(field.name, Any), f"{what}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            if not allows_none(hints.get(field.name)):
                raise StateError(f"{what}: the field {field.name!r} of {cls.__name__} is absent")
            given[field.name] = None
    return _made(cls, given, what)


def _made(cls: Any, given: dict[str, Any], what: str) -> Any:
    try:
        return cls(**given)
    except (TypeError, ValueError) as error:  # the class's own checks
        raise StateError(f"{what}: {error}") from error


def _as_named_tuple(value: Any, cls: Any, what: str) -> Any:
    hints = hints_of(cls, what)
    fields = fields_of(value)
    if fields is None:
        items = list(_items(value, cls.__name__, what))
        if len(items) > len(cls._fields):
            raise StateError(f"{what}: expected {len(cls._fields)} items for {cls.__name__}, got {len(items)}")
        fields = dict(zip(cls._fields, items, strict=False))
    missing = [name for name in cls._fields if name not in fields and name not in cls._field_defaults]
    if missing:
        raise StateError(f"{what}: the field {missing[0]!r} of {cls.__name__} is absent")
    given = {name: fields[name] for name in cls._fields if name in fields}
    return cls(**{name: convert(item, hints.get(name, Any), f"{what}.{name}") for name, item in given.items()})


def _as_typed_dict(value: Any, cls: Any, what: str) -> dict[str, Any]:
    fields = _mapping(value, cls, what)
    hints = hints_of(cls, what)
    missing = sorted(name for name in required_keys(cls) if name not in fields)
    for name in missing:
        if not allows_none(hints[name]):
            raise StateError(f"{what}: the field {name!r} of {cls.__name__} is absent")
    result = {name: convert(fields[name], kind, f"{what}.{name}") for name, kind in hints.items() if name in fields}
    return result | dict.fromkeys(missing)


def _as_model(value: Any, cls: Any, what: str) -> Any:
    import pydantic

    try:
        return cls.model_validate(value)
    except pydantic.ValidationError as error:
        raise StateError(f"{what}: {error}") from error


# ---------------------------------------------------------------------- Optional, Union, Literal, generics


def _as_form(value: Any, kind: Any, what: str) -> Any:
    bare = unwrap(kind)
    if bare is not kind:
        return convert(value, bare, what)
    if kind is None:
        return _as_none(value, what)
    if is_union(kind):
        return _as_union(value, kind, what)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        for choice in args:
            if _same(choice, value):
                return choice
        raise _wrong(value, "one of " + ", ".join(map(repr, args)), what)
    container = _CONTAINERS.get(origin)
    if container is not None:
        return container(value, args, what)
    if origin is type or not isinstance(origin, type):
        return value  # forms that say nothing about a value of the state
    return convert(value, origin, what)  # a generic class of the user's


def _as_union(value: Any, kind: Any, what: str) -> Any:
    options = [unwrap(option) for option in get_args(kind)]
    if any(option is type(value) for option in options):
        return value
    for option in options:
        try:
            return convert(value, option, what)
        except StateError:
            continue
    raise _wrong(value, " or ".join(type_name(option) for option in options), what)


def _bare(read: Callable[[Any, tuple[Any, ...], str], Any], value: Any, what: str) -> Any:
    return read(value, (), what)


_CONTAINERS: dict[Any, Callable[[Any, tuple[Any, ...], str], Any]] = {
    list: _as_list,
    set: _as_set,
    frozenset: _as_frozenset,
    tuple: _as_tuple,
    dict: _as_dict,
    Sequence: _as_iterable,
    Iterable: _as_iterable,
    Collection: _as_iterable,
    AbstractSet: _as_set,
    Mapping: _as_dict,
    MutableMapping: _as_dict,
    MutableSequence: _as_list,
}
_SIMPLE: dict[type, Callable[[Any, str], Any]] = {
    bool: _as_bool,
    int: _as_int,
    float: _as_float,
    str: _parser(str, str),
    NoneType: _as_none,
    datetime: _parser(datetime, datetime.fromisoformat),
    date: _parser(date, date.fromisoformat, not_=datetime),
    time: _parser(time, time.fromisoformat),
    timedelta: _as_timedelta,
    Decimal: _as_decimal,
    Path: _parser(Path, Path),
    **{cls: partial(_bare, read) for cls, read in _CONTAINERS.items()},
}
