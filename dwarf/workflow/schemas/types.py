"""From Python types to JSON schema."""

from __future__ import annotations

import dataclasses
import enum
import sys
import typing
from collections.abc import Collection, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import PurePath
from types import NoneType
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin
from uuid import UUID

from dwarf.errors import InvalidRequest, StateError
from dwarf.workflow.schemas.aliases import ALIASES, CONVERTED, as_entered, entered_names
from dwarf.workflow.typeforms import fields_of, hints_of, is_pydantic, is_union, required_keys, type_name, unwrap
from dwarf.workflow.values import TAG, to_json
from dwarf.workflow.values.classes import model_of
from dwarf.workflow.values.lookup import name_of

JSON: TypeAlias = Any
Schema: TypeAlias = dict[str, Any]

_MISSING = dataclasses.MISSING

_SIMPLE: dict[Any, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    NoneType: {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    time: {"type": "string", "format": "time"},
    timedelta: {"type": "number", "description": "seconds"},
    Decimal: {"type": ["number", "string"], "format": "decimal"},
    UUID: {"type": "string", "format": "uuid"},
    object: {},
    list: {"type": "array"},
    tuple: {"type": "array"},
    set: {"type": "array", "uniqueItems": True},
    frozenset: {"type": "array", "uniqueItems": True},
    dict: {"type": "object"},
}
_ARRAYS = (list, Sequence, MutableSequence, Iterable, Collection)
_SETS = (set, frozenset, AbstractSet)
_OBJECTS = (dict, Mapping, MutableMapping)

# what the metadata of a dataclass field or of Annotated may say, under the names that JSON schema has for it
_KEYWORDS = frozenset(
    "title description default examples format pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf "
    "minLength maxLength minItems maxItems uniqueItems enum readOnly writeOnly contentEncoding contentMediaType".split()
)
# attributes of the constraint objects of annotated-types, which pydantic and others share
_CONSTRAINTS: dict[str, str | tuple[str, str]] = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": ("minLength", "minItems"),
    "max_length": ("maxLength", "maxItems"),
}


def plain(value: Any) -> JSON:
    """A value as JSON without tags, as a form or another program writes it. Takes Python values and tagged JSON.

    A datetime is its ISO text, a timedelta its seconds, an enum member its value, an object its fields. StateError for
    what cannot be kept in a state.
    """
    if isinstance(value, dict):
        if isinstance(value.get(TAG), str) and "v" in value:
            return _untagged(value)
        return {str(key): plain(item) for key, item in value.items()}
    if type(value) is list:
        return [plain(item) for item in value]
    encoded = to_json(value)
    return plain(encoded) if isinstance(encoded, (dict, list)) else encoded


def _untagged(tagged: dict[str, JSON]) -> JSON:
    kind, value = tagged[TAG], tagged["v"]
    match kind:
        case "enum" if isinstance(value, dict):
            return plain(value.get("value", value.get("name")))
        case "datetime" | "time" if isinstance(value, str):
            return value.partition("[")[0]
        case "timedelta" if isinstance(value, int):
            return value / 1_000_000
        case "dict" if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        case "model" | "model_json" if isinstance(value, dict):
            extra = tagged.get("extra")
            return as_entered(model_of(tagged), plain(value) | (plain(extra) if isinstance(extra, dict) else {}))
    return plain(value)


def is_secret(cls: object) -> bool:
    """Whether this is a class of pydantic's for texts that must not be shown. Does not import pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(cls, type) and issubclass(cls, pydantic.SecretStr)


def answer_to_json(value: Any) -> JSON:
    """The stored form of an answer. StateError for what cannot be kept.

    The texts of pydantic's secrets are kept as they are: the task that has asked for them has to get them.
    """
    value = _entered(value, secrets=False)
    try:
        return to_json(value, field="answer")
    except StateError:
        revealed = _entered(value, secrets=True)
        if revealed is value:
            raise
        return to_json(revealed, field="answer")


def _entered(value: Any, *, secrets: bool) -> Any:
    """The value with models as mappings if they cannot be kept as models; the value itself without any.

    Those are models that no stored value can name, because they were made inside a function, and with ``secrets`` those
    with secrets, which become texts.
    """
    if secrets and is_secret(type(value)):
        return value.get_secret_value()
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        items = [_entered(item, secrets=secrets) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    is_model = is_pydantic(type(value))
    fields = {**vars(value), **(value.__pydantic_extra__ or {})} if is_model else fields_of(value)
    if fields is None:
        return value
    known = {name: _entered(item, secrets=secrets) for name, item in fields.items()}
    is_new = any(known[name] is not fields[name] for name in fields)
    if is_model:
        return as_entered(type(value), known) if is_new or not name_of(type(value)) else value
    return known if is_new else value


class SchemaMaker:
    """Makes one schema. Classes that contain themselves go to its ``$defs``."""

    def __init__(self) -> None:
        self._defs: dict[str, Schema] = {}
        self._open: dict[type, str] = {}  # the classes being described, and the names they get if they recur
        self._recurring: set[type] = set()

    def root(self, kind: Any) -> Schema:
        """The whole schema of a type. InvalidRequest for a type without one."""
        schema = self._pydantic(kind.model_json_schema, kind) if is_pydantic(kind) else self._of(kind)
        if self._defs:
            schema = {**schema, "$defs": self._defs}
        name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
        if name not in schema.get("$defs", {}):
            return schema
        # a class that contains itself: its fields belong at the top, where a form looks for them
        return {**schema["$defs"][name], "$defs": schema["$defs"]}

    def part(self, kind: Any) -> Schema:
        """The schema of a type within a larger one, whose root has to have the ``definitions``.

        The name of a class is no title there: what it stands for has a name of its own.
        """
        schema = self._of(kind)
        if isinstance(kind, type) and schema.get("title") == kind.__name__:
            return {name: value for name, value in schema.items() if name != "title"}
        return schema

    @property
    def definitions(self) -> Mapping[str, Schema]:
        """What the schemas made so far refer to, by name."""
        return self._defs

    def _of(self, kind: Any) -> Schema:
        if get_origin(kind) is Annotated:
            return self._annotated(kind)
        kind = unwrap(kind)
        if kind is Any or kind is None:
            return {} if kind is Any else {"type": "null"}
        try:
            simple = _SIMPLE.get(kind)
        except TypeError:  # not hashable, so not a type
            simple = None
        if simple is not None:
            return dict(simple)
        if is_union(kind):
            return {"anyOf": [self._of(option) for option in get_args(kind)]}
        origin, args = get_origin(kind), get_args(kind)
        if origin is Literal:
            return {"enum": [plain(choice) for choice in args]}
        if origin is not None:
            return self._generic(kind, origin, args)
        if isinstance(kind, type):
            return self._class(kind)
        raise _no_schema(kind)

    def _generic(self, kind: Any, origin: Any, args: tuple[Any, ...]) -> Schema:
        if origin in _ARRAYS:
            return {"type": "array", "items": self._of(args[0])}
        if origin in _SETS:
            return {"type": "array", "items": self._of(args[0]), "uniqueItems": True}
        if origin in _OBJECTS:
            return {"type": "object", "additionalProperties": self._of(args[1])}
        if origin is tuple:
            if len(args) == 2 and args[1] is ...:
                return {"type": "array", "items": self._of(args[0])}
            items = [self._of(arg) for arg in args if arg != ()]
            size = {"type": "array", "minItems": len(items), "maxItems": len(items)}
            return {**size, "prefixItems": items} if items else size
        if is_pydantic(kind) or is_pydantic(origin):
            return self._class(kind)
        raise _no_schema(kind)

    def _class(self, cls: Any) -> Schema:
        if is_pydantic(cls):
            return self._nested_model(cls)
        if issubclass(cls, enum.Enum):
            return {"title": cls.__name__, "enum": [plain(member.value) for member in cls]}
        if issubclass(cls, PurePath):
            return {"type": "string", "format": "path"}
        if is_secret(cls):
            return {"type": "string", "format": "password", "writeOnly": True}
        described = self._object_of(cls)
        if described is None:
            raise _no_schema(cls)
        return described

    # ------------------------------------------------------------------ classes with fields

    def _object_of(self, cls: Any) -> Schema | None:
        typed = typing.is_typeddict(cls) or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
        if not typed and not dataclasses.is_dataclass(cls):
            return None
        if cls in self._open:
            self._recurring.add(cls)
            return {"$ref": f"#/$defs/{self._open[cls]}"}
        name = cls.__name__ if cls.__name__ not in self._open.values() else f"{cls.__module__}.{cls.__qualname__}"
        self._open[cls] = name
        schema = self._dataclass(cls) if not typed else self._typed(cls)
        del self._open[cls]
        if cls not in self._recurring:
            return schema
        self._defs[name] = schema
        return {"$ref": f"#/$defs/{name}"}

    def _dataclass(self, cls: Any) -> Schema:
        hints = _hints(cls)
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for field in dataclasses.fields(cls):
            if not field.init:
                continue
            schema = self.part(hints.get(field.name, Any)) | _keywords(field.metadata)
            default = field.default
            if field.default_factory is not _MISSING:
                default = field.default_factory()
            if default is _MISSING:
                required.append(field.name)
            else:
                _set_default(schema, default)
            properties[field.name] = schema
        # an instance shows its fields that are not of the constructor, too, and is an answer
        return _object(cls, properties, required, is_closed=all(field.init for field in dataclasses.fields(cls)))

    def _typed(self, cls: Any) -> Schema:
        hints = _hints(cls)
        if typing.is_typeddict(cls):
            needed = required_keys(cls)
            required = [name for name in hints if name in needed]
            return _object(cls, {name: self.part(kind) for name, kind in hints.items()}, required)
        properties = {name: self.part(hints.get(name, Any)) for name in cls._fields}
        for name, default in cls._field_defaults.items():
            _set_default(properties[name], default)
        return _object(cls, properties, [name for name in cls._fields if name not in cls._field_defaults])

    # ------------------------------------------------------------------ pydantic

    def _nested_model(self, cls: Any) -> Schema:
        # its own $defs move to the root of this schema, under names that no other class can have
        template = f"#/$defs/{cls.__name__}.{{model}}"
        schema = self._pydantic(cls.model_json_schema, cls, ref_template=template)
        for name, definition in schema.pop("$defs", {}).items():
            self._defs[f"{cls.__name__}.{name}"] = definition
        return schema

    def _pydantic(self, make: Any, kind: Any, **options: Any) -> Schema:
        import pydantic

        try:
            schema: Schema = make(schema_generator=_closed_models(), **options)
        except pydantic.errors.PydanticUserError as error:
            raise InvalidRequest(f"no JSON schema can be made of {type_name(kind)}: {error}") from None
        return schema

    def _annotated(self, kind: Any) -> Schema:
        inner, *notes = get_args(kind)
        if any(type(note).__module__.partition(".")[0] == "pydantic" for note in notes):
            import pydantic

            return self._pydantic(pydantic.TypeAdapter(kind).json_schema, kind)
        schema = self._of(inner)
        for note in notes:
            if isinstance(note, Mapping):
                schema |= _keywords(note)
            else:
                schema |= _constraints(note, schema)
        return schema


def _no_schema(kind: Any) -> InvalidRequest:
    shown = type_name(kind) if isinstance(kind, type) or get_origin(kind) else f"{type(kind).__name__} {kind!r:.60}"
    return InvalidRequest(
        f"no JSON schema can be made of {shown}: give a JSON schema, a list of choices, a type such as bool or date, "
        "an Enum, a dataclass, a TypedDict or a pydantic model"
    )


def _hints(cls: Any) -> dict[str, Any]:
    try:
        hints_of(cls, "the schema")  # for its message
    except StateError as error:
        raise InvalidRequest(str(error)) from None
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: _bare(kind) for name, kind in hints.items()}


def _bare(kind: Any) -> Any:
    # Required, NotRequired and ReadOnly say something about the key, not about the value
    while get_origin(kind) in (typing.Required, typing.NotRequired) or str(get_origin(kind)).endswith(".ReadOnly"):
        kind = get_args(kind)[0]
    return kind


def _object(cls: Any, properties: dict[str, Schema], required: list[str], *, is_closed: bool = True) -> Schema:
    schema: Schema = {"title": cls.__name__, "type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if is_closed:  # else a member whose name is misspelt would be left out, and the default taken for it
        schema["additionalProperties"] = False
    return schema


@cache
def _closed_models() -> Any:
    """The class that makes pydantic's schemas, in which a model takes no members but its own.

    Apart from models that say themselves what becomes of others, and those that may be given in another form than the
    schema shows.
    """
    from pydantic.json_schema import GenerateJsonSchema

    class Closed(GenerateJsonSchema):
        def model_schema(self, schema: Any) -> Any:
            made = super().model_schema(schema)
            if made.get("type") == "object" and "properties" in made and _is_closed(schema["cls"]):
                made.setdefault("additionalProperties", False)
            return _with_aliases(made, schema["cls"])

        def function_before_schema(self, schema: Any) -> Any:
            made = super().function_before_schema(schema)
            return made if schema.get("json_schema_input_schema") else {**made, CONVERTED: True}

        def function_wrap_schema(self, schema: Any) -> Any:
            made = super().function_wrap_schema(schema)
            return made if schema.get("json_schema_input_schema") else {**made, CONVERTED: True}

        def function_plain_schema(self, schema: Any) -> Any:
            return super().function_plain_schema(schema) if schema.get("json_schema_input_schema") else {}

    return Closed


def _with_aliases(made: Schema, model: Any) -> Schema:
    """A model's schema with the other names under which its fields may be given."""
    others = {shown: names for shown, *names in entered_names(model).values() if names}
    return {**made, ALIASES: others} if others and "properties" in made else made


def _is_closed(model: Any) -> bool:
    validators = model.__pydantic_decorators__.model_validators.values()
    return (
        "extra" not in model.model_config
        and all(each.info.mode == "after" for each in validators)
        and all(field.alias is None and field.validation_alias is None for field in model.model_fields.values())
    )


def _keywords(notes: Mapping[Any, Any]) -> Schema:
    try:
        return {key: plain(value) for key, value in notes.items() if key in _KEYWORDS}
    except StateError as error:
        raise InvalidRequest(f"the notes on a field must be JSON: {error}") from None


def _constraints(note: Any, schema: Schema) -> Schema:
    found: Schema = {}
    for attribute, keyword in _CONSTRAINTS.items():
        value = getattr(note, attribute, None)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            name = keyword if isinstance(keyword, str) else keyword[schema.get("type") == "array"]
            found[name] = value
    return found


def _set_default(schema: Schema, default: Any) -> None:
    try:
        schema["default"] = plain(default)
    except StateError:
        pass  # the class still fills it in; only the form cannot show it
