"""JSON schemas from types."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dwarf.errors import InvalidRequest
from dwarf.workflow.schemas import check, find_schema, to_schema


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: float = 0.5


@dataclass
class Form:
    name: str
    start: Point
    colour: Colour = Colour.RED
    due: date = date(2024, 1, 2)
    tags: list[str] = field(default_factory=list)
    note: str | None = field(default=None, metadata={"title": "A note", "maxLength": 5, "ours": 1})
    hidden: int = field(default=0, init=False)
    hook: Any = field(default_factory=lambda: print)


@dataclass
class Tree:
    value: int
    children: list[Tree] = field(default_factory=list)


class Options(TypedDict):
    depth: int
    note: NotRequired[Annotated[str, {"title": "Note"}]]


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Model(BaseModel):
    amount: int = Field(ge=1, title="Amount")
    colour: Colour = Colour.RED


class Node(BaseModel):
    name: str
    inner: list[Node] = []


UserId = NewType("UserId", int)


class Ge:
    """Like the constraint objects of annotated-types."""

    ge = 1
    le = None


class MinLen:
    min_length = 2


CLOSED = {"additionalProperties": False}
OBJECT = {"title": "Point", "type": "object", "required": ["x"], **CLOSED}
POINT = {**OBJECT, "properties": {"x": {"type": "integer"}, "y": {"type": "number", "default": 0.5}}}
INNER = {name: value for name, value in POINT.items() if name != "title"}


@pytest.mark.parametrize(
    ("spec", "schema"),
    [
        (bool, {"type": "boolean"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (str, {"type": "string"}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (list, {"type": "array"}),
        (dict, {"type": "object"}),
        (None, {"type": "null"}),
        (Any, {}),
        (object, {}),
        (date, {"type": "string", "format": "date"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (time, {"type": "string", "format": "time"}),
        (timedelta, {"type": "number", "description": "seconds"}),
        (Decimal, {"type": ["number", "string"], "format": "decimal"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (Path, {"type": "string", "format": "path"}),
        (["yes", "no"], {"enum": ["yes", "no"]}),
        (("a", 1, None), {"enum": ["a", 1, None]}),
        ({"b", "a"}, {"enum": ["a", "b"]}),
        (range(3), {"enum": [0, 1, 2]}),
        ([Colour.RED, date(2024, 1, 2)], {"enum": ["red", "2024-01-02"]}),
        (Literal["a", 1, None], {"enum": ["a", 1, None]}),
        (Colour, {"title": "Colour", "enum": ["red", "blue"]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[str], {"type": "array", "items": {"type": "string"}}),
        (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (
            tuple[int, str],
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
        ),
        (tuple[()], {"type": "array", "minItems": 0, "maxItems": 0}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Mapping[str, Any], {"type": "object", "additionalProperties": {}}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (UserId, {"type": "integer"}),
        (Annotated[int, "a note"], {"type": "integer"}),
        (Annotated[str, {"title": "T", "ours": 1}], {"type": "string", "title": "T"}),
        (Annotated[int, Ge()], {"type": "integer", "minimum": 1}),
        (Annotated[str, MinLen()], {"type": "string", "minLength": 2}),
        (Annotated[list[str], MinLen()], {"type": "array", "items": {"type": "string"}, "minItems": 2}),
        (Annotated[int, Field(ge=3)], {"type": "integer", "minimum": 3}),
        (Point, POINT),
        (list[Point], {"type": "array", "items": POINT}),
        (
            Options,
            {
                "title": "Options",
                "type": "object",
                "properties": {"depth": {"type": "integer"}, "note": {"type": "string", "title": "Note"}},
                "required": ["depth"],
                **CLOSED,
            },
        ),
        (
            Pair,
            {
                "title": "Pair",
                "type": "object",
                "properties": {"left": {"type": "integer"}, "right": {"type": "string", "default": "r"}},
                "required": ["left"],
                **CLOSED,
            },
        ),
        (
            Form,
            {
                "title": "Form",
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "start": INNER,  # the names of classes are no titles of what stands for something else
                    "colour": {"enum": ["red", "blue"], "default": "red"},
                    "due": {"type": "string", "format": "date", "default": "2024-01-02"},
                    "tags": {"type": "array", "items": {"type": "string"}, "default": []},
                    "note": {
                        "anyOf": [{"type": "string"}, {"type": "null"}],
                        "title": "A note",
                        "maxLength": 5,
                        "default": None,
                    },
                    "hook": {},
                },
                "required": ["name", "start"],
            },
        ),
    ],
)
def test_schemas_of_types(spec: Any, schema: dict[str, Any]) -> None:
    made = to_schema(spec)
    assert made == schema
    assert json.loads(json.dumps(made)) == made
    assert to_schema(made) == made


def test_a_pydantic_models_own_schema() -> None:
    assert to_schema(Model) == Model.model_json_schema() | CLOSED


class Ignoring(BaseModel):
    model_config = ConfigDict(extra="ignore")
    note: str = ""


class Aliased(BaseModel):
    note: str = Field("", alias="Note")


class Wrapped(BaseModel):
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def other_forms(cls, data: Any) -> Any:
        return {"note": data["text"]} if "text" in data else data


class Outer(BaseModel):
    inner: Model


@dataclass
class Partly:
    x: int
    made: int = field(default=0, init=False)


class Loose(TypedDict, total=False):
    depth: int


@pytest.mark.parametrize(
    ("spec", "value", "message"),
    [
        (Point, {"x": 1, "yy": 2}, "has unknown fields: 'yy'; did you mean 'y'?"),
        (Point | None, {"x": 1, "other": 2}, "has unknown fields: 'other'"),
        (list[Point], [{"x": 1, "Y": 2}], "[0]: has unknown fields: 'Y'; did you mean 'y'?"),
        ({"properties": {"p": Point}}, {"p": {"x": 1, "yy": 2}}, "p: has unknown fields: 'yy'; did you mean 'y'?"),
        (Loose, {"dept": 1}, "has unknown fields: 'dept'; did you mean 'depth'?"),
        (Pair, {"left": 1, "rihgt": "a"}, "has unknown fields: 'rihgt'; did you mean 'right'?"),
        (Model, {"amount": 1, "color": "blue"}, "has unknown fields: 'color'; did you mean 'colour'?"),
        (Outer, {"inner": {"amount": 1, "color": 1}}, "inner: has unknown fields: 'color'; did you mean 'colour'?"),
        (Model, Model(amount=1), ""),
        (Ignoring, {"nte": "x"}, ""),
        (Aliased, {"Note": "x"}, ""),
        (Wrapped, {"text": "x"}, ""),
        (Partly, Partly(1), ""),
        ({"properties": {"y": {}}}, {"yy": 1}, ""),
    ],
)
def test_a_member_that_the_type_does_not_have(spec: Any, value: Any, message: str) -> None:
    if not message:
        check(value, to_schema(spec))
        return
    with pytest.raises(InvalidRequest) as raised:
        check(value, to_schema(spec))
    assert str(raised.value) == message


def test_models_inside_other_types() -> None:
    schema = to_schema(list[Model])
    assert schema["items"]["properties"]["colour"]["$ref"] == "#/$defs/Model.Colour"
    check([{"amount": 1, "colour": "blue"}], schema)
    with pytest.raises(InvalidRequest, match=r"\[0\]\.colour: 'green' is not one of 'red', 'blue'"):
        check([{"amount": 1, "colour": "green"}], schema)


@pytest.mark.parametrize(("cls", "inner"), [(Tree, "children"), (Node, "inner")])
def test_classes_that_contain_themselves(cls: type, inner: str) -> None:
    schema = to_schema(cls)
    assert set(schema["properties"]) >= {inner}
    own: dict[str, Any] = {"value": 1} if cls is Tree else {"name": "n"}
    wrong = {**own, inner: [{**own, inner: [own, 5]}]}
    with pytest.raises(InvalidRequest, match=rf"{inner}\[0\]\.{inner}\[1\]: 5 is not an object"):
        check(wrong, schema)
    check({**own, inner: [own]}, schema)


def test_a_json_schema_is_copied() -> None:
    given = {"type": "object", "properties": {"a": {"enum": [1]}}}
    made = to_schema(given)
    given["properties"]["a"]["enum"].append(2)  # type: ignore[index]
    assert made == {"type": "object", "properties": {"a": {"enum": [1]}}}


def test_types_inside_a_json_schema() -> None:
    made = to_schema(
        {"type": "object", "properties": {"a": int, "c": Colour, "p": Point}, "default": {"d": date(2024, 1, 2)}}
    )
    assert made["properties"] == {
        "a": {"type": "integer"},
        "c": {"enum": ["red", "blue"]},
        "p": INNER,
    }
    assert made["default"] == {"d": "2024-01-02"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (5, "no JSON schema can be made of int 5"),
        ("integer", "no JSON schema can be made of str 'integer'"),
        (object(), "no JSON schema can be made of object"),
        (complex, "no JSON schema can be made of complex"),
        ([], "must not be empty"),
        ([object()], "must be JSON values"),
        ({"type": "nonsense"}, "not a valid JSON schema at type"),
        ({"properties": 5}, "not a valid JSON schema at properties"),
        ({1: 2}, "keys of a JSON schema must be strings"),
        ({"default": object()}, "no JSON schema can be made of object"),
        (list[complex], "complex"),
        (type[int], "no JSON schema can be made of type"),
    ],
)
def test_what_gives_no_schema(spec: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        to_schema(spec)


def test_a_class_with_annotations_that_do_not_exist() -> None:
    @dataclass
    class Broken:
        x: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037

    with pytest.raises(InvalidRequest, match="annotations of Broken"):
        to_schema(Broken)


def test_finding_the_schema_of_a_payload() -> None:
    assert find_schema({"title": "T", "schema": {"type": "boolean"}}) == {"type": "boolean"}
    assert find_schema({"schema": {}}) == {}
    for without in ({}, {"schema": None}, {"schema": "x"}, None, [], "x"):
        assert find_schema(without) is None
