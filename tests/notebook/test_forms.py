"""Forms from schemas, and the words of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pandas as pd
import pytest
from pydantic import BaseModel, Field, SecretStr

from dwarf import InvalidRequest
from dwarf.notebook.prompts.facts import LONGEST_TEXT, MOST_ROWS, facts_of, text_of
from dwarf.notebook.prompts.forms import answer_text, form_of, has_secret
from dwarf.notebook.prompts.prompt import Prompt
from dwarf.workflow.schemas import to_schema
from tests.notebook.samples import at, step


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


def form(spec: Any, **payload: Any) -> dict[str, Any]:
    return form_of(payload, to_schema(spec))


def fields(spec: Any, **payload: Any) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in form(spec, **payload)["fields"]}


def test_a_bool_is_approved_or_rejected() -> None:
    assert form(bool)["buttons"] == [["Approve", True, "yes"], ["Reject", False, "no"]]
    assert form(bool)["fields"] == []


def test_a_few_choices_are_buttons_and_the_default_stands_out() -> None:
    made = form(["fast", "slow"], default="slow")
    assert made["buttons"] == [["fast", "fast", ""], ["slow", "slow", "main"]]
    assert form(Literal[1, 2])["buttons"] == [["1", 1, ""], ["2", 2, ""]]


def test_many_choices_are_a_list() -> None:
    (field,) = form([f"option {index}" for index in range(9)])["fields"]
    assert field["kind"] == "choice"
    assert field["options"][3] == ["option 3", "option 3"]


def test_titled_choices_show_their_titles() -> None:
    schema = {"oneOf": [{"const": "eur", "title": "Euro"}, {"const": "usd", "title": "US dollar"}]}
    assert form(schema)["buttons"] == [["Euro", "eur", ""], ["US dollar", "usd", ""]]


def test_a_number_has_bounds_and_a_default() -> None:
    made = form({"type": "integer", "minimum": 5, "exclusiveMaximum": 61, "title": "Threshold"}, default=20)
    (field,) = made["fields"]
    assert made["single"]
    assert (field["kind"], field["min"], field["max"], field["value"]) == ("integer", 5, 60, 20)
    assert field["label"] == "Threshold"
    assert field["required"]


class Review(BaseModel):
    verdict: Literal["accept", "revise"] = "accept"
    score: int = Field(ge=1, le=5, description="five is best")
    comment: str | None = Field(default=None, max_length=2000)
    due: date | None = None
    token: SecretStr | None = None
    tags: list[Literal["a", "b", "c"]] = []
    urgent: bool = False
    extra: dict[str, int] = {}


def test_a_model_is_a_row_for_each_field() -> None:
    found = fields(Review)
    assert {name: field["kind"] for name, field in found.items()} == {
        "verdict": "choice",
        "score": "integer",
        "comment": "area",
        "due": "date",
        "token": "password",
        "tags": "choices",
        "urgent": "boolean",
        "extra": "json",
    }
    assert found["score"]["required"]
    assert found["score"]["help"] == "five is best"
    assert not found["comment"]["required"]
    assert found["comment"]["nullable"]
    assert found["verdict"]["value"] == "accept"


@dataclass
class Address:
    street: str
    number: int = 1


def test_a_dataclass_is_a_form_and_a_default_fills_it() -> None:
    found = fields(Address, default={"street": "Main", "number": 7})
    assert (found["street"]["value"], found["number"]["value"]) == ("Main", 7)


def test_without_a_schema_any_answer_goes() -> None:
    made = form_of({"title": "Anything?"}, None)
    assert made["fields"][0]["kind"] == "free"
    assert made["single"]


def test_what_no_field_can_hold_is_json() -> None:
    (field,) = form({"type": "array", "items": {"type": "object"}}, default=[{"a": 1}])["fields"]
    assert field["kind"] == "json"
    assert '"a": 1' in field["value"]


def test_references_are_followed_and_cycles_are_no_trap() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/loop"}},
        "$defs": {"loop": {"$ref": "#/$defs/loop"}},
    }
    assert form_of({}, schema)["fields"][0]["kind"] == "json"


def test_secrets_are_masked_wherever_they_are() -> None:
    schema = to_schema(Review)
    assert has_secret(schema)
    assert "hunter2" not in answer_text({"token": "hunter2", "score": 3}, schema)
    assert has_secret({"type": "string", "format": "password"})
    assert not has_secret(to_schema(Address))
    shown = form_of({"default": {"token": "hunter2"}}, schema)
    assert "hunter2" not in str(shown)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "approved"),
        (False, "rejected"),
        (20, "20"),
        ("fast", "fast"),
        ({"a": 1, "b": "x"}, "a: 1, b: x"),
        (None, "null"),
    ],
)
def test_answers_in_words(value: Any, text: str) -> None:
    assert answer_text(value, None) == text


def test_the_rest_of_a_payload_is_told_whole() -> None:
    letter = "Dear Ada,\n\n" + "word " * 2_000
    payload = {"title": "Pay?", "schema": {}, "default": True, "amount": 1240, "lines": [1, 2], "letter": letter}
    assert facts_of({**payload, "description": "soon\nor later"}) == [
        {"name": "", "kind": "rich", "text": "soon\nor later", "html": "<p>soon<br />\nor later</p>\n"},
        {"name": "amount", "kind": "text", "text": "1240"},
        {"name": "lines", "kind": "text", "text": "[1, 2]"},
        {"name": "letter", "kind": "text", "text": letter},
    ]


def test_json_is_a_tree_and_records_are_a_table() -> None:
    plan = {"tool": "sql", "arguments": {"query": "select *\nfrom orders", "limit": 10}, "steps": [1, 2, 3]}
    lines = [{"item": "a", "count": 1}, {"item": "b", "price": Decimal("2.50"), "tags": ["x"]}]
    tree, table = facts_of({"plan": plan, "lines": lines})
    assert tree == {"name": "plan", "kind": "tree", "value": plan}
    assert table == {
        "name": "lines",
        "kind": "table",
        "columns": ["item", "count", "price", "tags"],
        "rows": [["a", "1", "", ""], ["b", "", "2.50", '["x"]']],
    }
    assert text_of(table) == 'item | count | price | tags\na | 1 |  | \nb |  | 2.50 | ["x"]'


def test_frames_are_tables() -> None:
    frame = pd.DataFrame({"city": ["Lima", "Oslo"], "t": [20.5, float("nan")]})
    named = frame.set_index("city")
    plain, indexed, series = facts_of({"frame": frame, "named": named, "series": named["t"]})
    assert (plain["columns"], plain["rows"]) == (["city", "t"], [["Lima", "20.5"], ["Oslo", ""]])
    assert indexed["columns"] == series["columns"] == ["city", "t"]
    assert indexed["rows"] == [["Lima", "20.5"], ["Oslo", ""]]


def test_what_is_too_large_for_a_page_says_so() -> None:
    text, table = facts_of({"text": "x" * (LONGEST_TEXT + 5), "table": [{"n": n} for n in range(MOST_ROWS + 7)]})
    assert (len(text["text"]), text["more"]) == (LONGEST_TEXT, "… 5 more characters")
    assert (len(table["rows"]), table["more"]) == (MOST_ROWS, "… 7 more rows")


def test_fields_are_labelled_by_their_own_names() -> None:
    @dataclass
    class Shop:
        first_colour: Colour
        second_colour: Colour
        titled: Annotated[Colour, {"title": "Which?"}] = Colour.RED
        where: Address | None = None

    found = fields(Shop)
    assert {name: field["label"] for name, field in found.items()} == {
        "first_colour": "first colour",
        "second_colour": "second colour",
        "titled": "Which?",
        "where": "where",
    }
    assert [field["required"] for field in found.values()] == [True, True, False, False]

    class Model(BaseModel):
        one: Colour
        two: Colour = Field(title="The other")

    assert [field["label"] for field in fields(Model).values()] == ["one", "The other"]


def test_the_browser_gets_only_patterns_that_cannot_take_long() -> None:
    def given(pattern: str) -> Any:
        return form({"type": "string", "pattern": pattern})["fields"][0]["pattern"]

    assert [given(pattern) for pattern in ("^[a-z]+$", r"^\d{3}$")] == ["^[a-z]+$", r"^\d{3}$"]
    assert [given(pattern) for pattern in ("^(a+)+$", "a*a*b", "^a+b+$", "x")] == [None] * 4


def test_a_secret_alone_is_a_masked_field() -> None:
    assert form(SecretStr)["fields"][0]["kind"] == "password"


def waiting(payload: dict[str, Any]) -> Prompt:
    return Prompt(step(7, "Ask", "interrupted", 0, 3, interrupt_payload=payload), "1-1-x", sent.append2)


class _Sent(list[Any]):
    def append2(self, prompt: Prompt, value: Any) -> None:
        self.append((prompt.key, value))


sent = _Sent()


def test_a_prompt_tells_what_it_asks() -> None:
    prompt = waiting({"title": "Pay?", "schema": {"type": "boolean"}, "amount": 3, "description": "It is due."})
    assert (prompt.title, prompt.node, prompt.key, prompt.flow_key) == ("Pay?", "Ask", "1-7-secret", "1-1-x")
    assert prompt.schema == {"type": "boolean"}
    assert prompt.waiting_since == at(3)
    assert [(fact["name"], fact["text"]) for fact in prompt._facts()] == [("", "It is due."), ("amount", "3")]
    assert waiting({}).title == "Ask"
    assert waiting({"schema": {"title": "An address"}}).title == "An address"


def test_an_answer_is_checked_before_it_is_sent() -> None:
    sent.clear()
    prompt = waiting({"schema": {"type": "integer", "minimum": 5}})
    with pytest.raises(InvalidRequest, match="5"):
        prompt.answer(3)
    assert not sent
    prompt.answer(8)
    assert sent == [("1-7-secret", 8)]


def test_a_prompt_shows_itself_safely() -> None:
    shown = waiting({"title": "<script>x</script>", "a": "<b>"})._repr_mimebundle_()
    assert "<script>" not in shown["text/html"]
    assert "<b>" not in shown["text/html"].replace("<p><b>", "")


class Line(BaseModel):
    name: str
    count: int = Field(default=1, ge=1)


class Buyer(BaseModel):
    name: str
    pin: SecretStr | None = None
    likes: list[Line] = []


def test_objects_inside_objects_are_groups_and_lists() -> None:
    found = fields(Buyer, default={"name": "ann", "likes": [{"name": "tea", "count": 2}]})
    likes = found["likes"]
    assert likes["kind"] == "list"
    assert likes["value"] == [{"name": "tea", "count": 2}]
    assert likes["item"]["kind"] == "group"
    assert [each["name"] for each in likes["item"]["fields"]] == ["name", "count"]
    assert likes["item"]["fields"][1]["min"] == 1


def test_secrets_inside_lists_and_groups_are_not_shown() -> None:
    schema = to_schema(list[Buyer])
    shown = form_of({"default": [{"name": "ann", "pin": "1234"}]}, schema)
    assert shown["fields"][0]["kind"] == "list"
    assert "1234" not in str(shown)
    inside = to_schema({"type": "object", "properties": {"deep": Buyer}})
    assert "1234" not in str(form_of({"default": {"deep": {"name": "ann", "pin": "1234"}}}, inside))


def test_what_nests_too_deep_is_json() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(8):
        schema = {"type": "object", "properties": {"in": schema}}
    field, depth = form_of({}, schema)["fields"][0], 1
    while field["kind"] == "group":
        field, depth = field["fields"][0], depth + 1
    assert field["kind"] == "json"
    assert depth <= 6


def test_a_recursive_model_is_no_trap() -> None:
    node = {"type": "object", "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}}}
    assert form_of({}, {"$ref": "#/$defs/node", "$defs": {"node": node}})["fields"][1]["kind"] == "group"


def test_files_and_three_states() -> None:
    found = fields({"type": "object", "properties": {"scan": bytes, "sure": bool | None}})
    assert found["scan"]["kind"] == "file"
    assert found["scan"]["value"] is None
    assert found["sure"]["kind"] == "choice"
    assert found["sure"]["options"] == [["yes", True], ["no", False]]
