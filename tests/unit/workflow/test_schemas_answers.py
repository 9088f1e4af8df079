"""Answers checked against JSON schemas."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, RootModel, SecretStr

from dwarf.errors import InvalidRequest
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.schemas import answer_to_json, check, plain, to_schema
from dwarf.workflow.schemas.typed import typed
from dwarf.workflow.values import from_json, to_json


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
    tags: list[str] = field(default_factory=list)
    hook: Any = None


class Model(BaseModel):
    amount: int = Field(ge=1)


def split(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(split)]


class Aliased(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amount: int = Field(alias="Amount")
    names: Names = []


class Named(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    amount: int = Field(validation_alias=AliasChoices("Amount", "AMT"))
    inner: Aliased | None = None


class Deep(BaseModel):
    amount: int = Field(validation_alias=AliasPath("deep", "amount"))


class Numbers(RootModel[list[int]]):
    pass


class Login(BaseModel):
    user: str
    password: SecretStr = Field(min_length=4)


@pytest.mark.parametrize(
    ("value", "spec"),
    [
        (True, bool),
        (5, int),
        (5.0, int),
        (5, float),
        (None, int | None),
        ("red", Colour),
        (Colour.RED, Colour),
        (date(2024, 1, 2), date),
        ("2024-01-02", date),
        (datetime(2024, 1, 2, tzinfo=UTC), datetime),
        ("2024-01-02T03:04", datetime),
        ("2024-01-02T03:04:05.123Z", datetime),
        (time(3, 4), time),
        (timedelta(seconds=5), timedelta),
        (Decimal("1.5"), Decimal),
        (UUID(int=5), UUID),
        (Path("a"), Path),
        ((1, "a"), tuple[int, str]),
        ({1, 2}, set[int]),
        (Point(1), Point),
        (Model(amount=2), Model),
        (Form("n", Point(1), hook=None), Form),
        ({"anything": [1, None]}, Any),
        ({"$dwarf": 1}, dict[str, int]),
    ],
)
def test_answers_that_fit(value: Any, spec: Any) -> None:
    schema = to_schema(spec)
    assert check(value, schema) is value
    tagged = to_json(value)
    assert check(tagged, schema) is tagged


@pytest.mark.parametrize(
    ("value", "spec", "message"),
    [
        ("abc", int, "'abc' is not a whole number"),
        (1.5, int, "1.5 is not a whole number"),
        (True, int, "true is not a whole number"),
        ("abc", float, "'abc' is not a number"),
        (1, bool, "1 is not true or false"),
        (5, str, "5 is not a text"),
        (None, str, "an empty value is not a text"),
        ({}, list, "an object is not a list"),
        ([], dict, "a list is not an object"),
        (5, None, "5 is not empty"),
        ("green", Colour, "'green' is not one of 'red', 'blue'"),
        ("x", [1, None, True], "'x' is not one of 1, an empty value, true"),
        ("tomorrow", date, "'tomorrow' is not a date (YYYY-MM-DD)"),
        ("2024-13-01", date, "'2024-13-01' is not a date (YYYY-MM-DD)"),
        ("x", datetime, "'x' is not a date and time (YYYY-MM-DDTHH:MM)"),
        ("x", time, "'x' is not a time (HH:MM)"),
        ("x", UUID, "'x' is not a UUID"),
        ("x", {"type": "string", "format": "email"}, "'x' is not an e-mail address"),
        ("x y", {"type": "string", "format": "uri"}, "'x y' is not an address with a scheme"),
        ("x", int | None, "'x' is not a whole number"),
        ("x", date | None, "'x' is not a date (YYYY-MM-DD)"),
        ([], int | str, "a list is not a whole number or a text"),
        ("x", {"anyOf": [{"minLength": 5}, {"enum": ["a"]}]}, "'x' fits none of the alternatives"),
        ({"x": "q"}, Point | int, "x: 'q' is not a whole number"),
        (0, {"minimum": 1}, "0 is less than 1"),
        (9, {"maximum": 1}, "9 is more than 1"),
        (1, {"exclusiveMinimum": 1}, "1 is not more than 1"),
        (1, {"exclusiveMaximum": 1}, "1 is not less than 1"),
        (3, {"multipleOf": 2}, "3 is not a multiple of 2"),
        ("", {"minLength": 1}, "must not be empty"),
        ("a", {"minLength": 2}, "'a' is shorter than 2 characters"),
        ("abc", {"maxLength": 2}, "'abc' is longer than 2 characters"),
        ("abc", {"pattern": "^[0-9]+$"}, "'abc' does not have the form ^[0-9]+$"),
        ([1], {"minItems": 2}, "has 1 items, not at least 2"),
        ([1, 2], {"maxItems": 1}, "has 2 items, not at most 1"),
        ([1, 1], set[int], "holds the same item twice"),
        (5, {"const": 4}, "5 is not 4"),
        (5, {"not": {}}, "5 does not fit (not)"),
        ({"a": 1, "b": 2}, {"properties": {"a": {}}, "additionalProperties": False}, "has unknown fields: 'b'"),
        ({}, Point, "x is missing"),
        ({"name": "n", "start": {}}, Form, "start.x is missing"),
        ({"x": "abc", "y": []}, Point, "x: 'abc' is not a whole number; y: a list is not a number"),
        ([1, "b", 3, "d"], list[int], "[1]: 'b' is not a whole number; [3]: 'd' is not a whole number"),
        ("x" * 100, int, "'" + "x" * 56 + "... is not a whole number"),
    ],
)
def test_answers_that_do_not_fit(value: Any, spec: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        check(value, to_schema(spec))
    assert str(raised.value) == message


def test_many_faults_are_cut_short() -> None:
    with pytest.raises(InvalidRequest, match="; and 5 more$"):
        check(["x"] * 10, to_schema(list[int]))


def test_secrets_do_not_appear_in_messages() -> None:
    with pytest.raises(InvalidRequest) as raised:
        check({"user": "ada", "password": "abc"}, to_schema(Login))
    assert str(raised.value) == "password: the value is shorter than 4 characters"
    with pytest.raises(InvalidRequest) as raised:
        check("hunter2", {"type": "integer", "writeOnly": True})
    assert "hunter2" not in str(raised.value)


def test_an_answer_that_cannot_be_kept() -> None:
    with pytest.raises(InvalidRequest, match="the answer cannot be kept"):
        check(object(), {})
    with pytest.raises(InvalidRequest, match="the answer cannot be kept"):
        check({"a": [1j]}, {})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.invalid/schema.json"},
        {"$ref": "#/$defs/missing"},
        {"pattern": "("},
        {"type": "nonsense"},
    ],
)
def test_a_faulty_schema_is_said_to_be_one(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="its schema is faulty"):
        check("x", schema)


def test_plain_values() -> None:
    moment = datetime(2024, 1, 2, 3, 4, tzinfo=UTC)
    value = {"a": (1, Colour.RED), "t": timedelta(milliseconds=1500), "m": moment, "p": Point(1), "$dwarf": 1}
    expected = {
        "a": [1, "red"],
        "t": 1.5,
        "m": "2024-01-02T03:04:00+00:00",
        "p": {"x": 1, "y": 0.5},
        "$dwarf": 1,
    }
    assert plain(value) == expected
    assert plain(to_json(value)) == expected


@pytest.mark.parametrize(
    ("kind", "answer", "wanted"),
    [
        (Aliased, {"Amount": 1, "names": "a,b"}, Aliased(Amount=1, names=["a", "b"])),
        (Named, {"AMT": 1}, Named(amount=1)),
        (Named, {"amount": 1, "inner": {"Amount": 2}}, Named(amount=1, inner=Aliased(Amount=2))),
        (Deep, {"deep": {"amount": 1}}, Deep.model_validate({"deep": {"amount": 1}})),
        (Deep, {"amount": 1}, Deep.model_validate({"deep": {"amount": 1}})),  # as a form names it
        (Numbers, [1, 2], Numbers([1, 2])),
        (list[Aliased] | None, [{"Amount": 1}], [Aliased(Amount=1)]),
        (Names, "a,b", ["a", "b"]),
    ],
)
def test_a_model_reads_its_answers_itself_whether_they_are_json_or_instances(
    kind: Any, answer: Any, wanted: Any
) -> None:
    for given in (answer, wanted):
        kept = loads(dumps(answer_to_json(given)))
        check(kept, to_schema(kind))
        assert typed(from_json(kept), kind) == wanted


def test_a_model_made_inside_a_function_is_an_answer_under_its_aliases() -> None:
    class Local(BaseModel):
        amount: int = Field(alias="Amount")

    kept = answer_to_json(Local(Amount=3))
    assert kept == {"Amount": 3}
    assert typed(kept, Local) == Local(Amount=3)


def test_aliases_do_not_open_a_closed_model() -> None:
    for kind, answer in ((Aliased, {"amount": 1}), (Named, {"Amount": 1, "amt": 2}), (Named, {}), (Deep, {})):
        with pytest.raises(InvalidRequest):
            check(answer, to_schema(kind))
