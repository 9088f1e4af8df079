"""No answer and no schema makes a check that lasts; what the check says is what jsonschema says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from dwarf import Flow
from dwarf.errors import InvalidRequest, Parked, StateError
from dwarf.workflow.schemas import check, to_schema
from dwarf.workflow.schemas.checks import checked_schema
from dwarf.workflow.schemas.evaluate import MOST_WORK, Evaluation, TooMuchWork
from dwarf.workflow.schemas.rules import MOST_PARTS
from dwarf.workflow.signals import Answer


def doubling(depth: int, keyword: str = "allOf", last: Any = None) -> dict[str, Any]:
    """A schema of ``depth`` parts, each of which refers to the next one twice."""
    parts: dict[str, Any] = {
        f"d{number}": {keyword: [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(depth)
    }
    parts[f"d{depth}"] = last or {"type": "integer"}
    return {"$defs": parts, "$ref": "#/$defs/d0"}


TWICE = {"$ref": "#"}
RECURSIVE = {"allOf": [{"properties": {"a": TWICE}}, {"properties": {"a": TWICE}}], "type": ["object", "integer"]}


def nested(depth: int) -> Any:
    value: Any = 5
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 100_000 + "!", False),
        ({"pattern": "(x+x+)+y"}, "x" * 100_000, False),
        ({"patternProperties": {"^(a+)+$": {"type": "integer"}}}, {"a" * 5_000 + "!": "x"}, True),
        ({"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}, {"a" * 5_000 + "!": 1}, False),
        ({"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False}, {"a" * 5_000 + "!": 1}, False),
        ({"propertyNames": {"pattern": "^(a+)+$"}}, {"a" * 5_000 + "!": 1}, False),
        ({"uniqueItems": True}, [{"n": number} for number in range(30_000)], True),
        ({"uniqueItems": True}, [*({"n": number} for number in range(30_000)), {"n": 5.0}], False),
        ({"items": {"enum": [{"n": number} for number in range(1_000)]}}, [{"n": 1}] * 5_000, True),
        (doubling(60), 5, True),
        (doubling(60), "x", False),
        (doubling(60, "anyOf"), "x", False),
        (doubling(60, "oneOf"), 5, False),
        (doubling(60, "allOf", {"not": {"type": "string"}}), "x", False),
        (doubling(60) | {"unevaluatedProperties": False}, 5, True),
        (RECURSIVE, nested(60), True),
        (RECURSIVE, {"a": {"a": "x"}}, False),
    ],
)
def test_what_used_to_take_for_ever(schema: dict[str, Any], value: Any, fits: bool) -> None:
    checked_schema(schema)
    if fits:
        check(value, schema)
    else:
        with pytest.raises(InvalidRequest):
            check(value, schema)


def test_the_cost_is_at_most_the_product_of_the_sizes() -> None:
    schema = doubling(60)
    Evaluation(schema, {}, most_work=1_000).of(schema, 5)


def test_an_answer_that_takes_too_long_is_refused() -> None:
    patterns = {f"^{number}$": {} for number in range(500)}
    with pytest.raises(InvalidRequest, match="too large: checking it"):
        check({f"n{number}": 1 for number in range(500)}, {"patternProperties": patterns})
    with pytest.raises(TooMuchWork):
        Evaluation({}, {}).spend(MOST_WORK + 1)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"pattern": r"(?=a)b"}, "at pattern: the pattern .* cannot be used.*RE2"),
        ({"properties": {"a": {"pattern": r"(a)\1"}}}, r"at properties\.a\.pattern: .*back-references"),
        ({"patternProperties": {"(": {}}}, "at patternProperties: the pattern"),
        ({"$ref": "https://example.invalid/schema.json"}, "leads out of the schema"),
        ({"properties": {"a": {"$ref": "#/$defs/missing"}}}, "leads nowhere"),
        ({"$ref": "#/title", "title": "T"}, "does not lead to a schema"),
        ({"enum": list(range(3)), "properties": {str(n): {} for n in range(MOST_PARTS)}}, "more than 20,000 parts"),
        ({"minLength": -1}, "at minLength: -1 is not a whole number from 0"),
        ({"multipleOf": 0}, "at multipleOf: 0 is not a number above 0"),
        ({"items": [{}]}, r"at items: \[\{\}\] is not a schema"),
        ({"allOf": []}, "at allOf"),
        ({"required": "a"}, "at required"),
    ],
)
def test_a_schema_is_refused_when_it_is_asked(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        to_schema(schema)


def test_a_schema_that_only_refers_to_itself_is_faulty() -> None:
    with pytest.raises(InvalidRequest, match="its schema is faulty: it refers to itself"):
        check(5, {"$ref": "#"})


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    schema = {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "integer"}}, "const": {"pattern": "("}}
    check({"pattern": "("}, to_schema(schema))


# ---------------------------------------------------------------- held against jsonschema

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 6) | st.sampled_from([0.5, 2.0, 1e300, "", "a", "ab", "abc", "x1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "cc", "x1"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
SMALL = st.integers(0, 3)
LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["string", "integer", "number", "array", "object", "boolean", "null", ["null", "array"]]
        ),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "minimum": SMALL,
        "exclusiveMaximum": SMALL,
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minLength": SMALL,
        "maxLength": SMALL,
        "pattern": st.sampled_from(["^a", "b$", "[0-9]"]),
        "minItems": SMALL,
        "maxItems": SMALL,
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
        "minProperties": SMALL,
        "maxProperties": SMALL,
        "dependentRequired": st.just({"a": ["b"]}),
    },
)
NAMES = st.sampled_from(["a", "b", "cc"])


def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    applied = {
        "properties": st.dictionaries(NAMES, inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "1"]), inner, max_size=2),
        "additionalProperties": inner,
        "unevaluatedProperties": inner,
        "propertyNames": inner,
        "prefixItems": some,
        "items": inner,
        "unevaluatedItems": inner,
        "contains": inner,
        "minContains": SMALL,
        "maxContains": SMALL,
        "allOf": some,
        "anyOf": some,
        "oneOf": some,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "dependentSchemas": st.dictionaries(NAMES, inner, max_size=1),
        "$ref": st.sampled_from(["#/$defs/one", "#/$defs/two"]),
    }
    pairs = st.lists(st.sampled_from(sorted(applied)), max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: applied[name] for name in names})
    )
    return st.builds(lambda leaf, more: {**leaf, **more}, LEAVES, pairs)


SCHEMAS = st.recursive(LEAVES | st.booleans(), deeper, max_leaves=6)
DEFINED = st.fixed_dictionaries({"one": LEAVES, "two": st.builds(lambda leaf: {"items": leaf}, LEAVES)})


@settings(max_examples=150)
@given(SCHEMAS, DEFINED, VALUES)
def test_values_fit_as_jsonschema_has_it(schema: Any, defined: Any, value: Any) -> None:
    whole = {"allOf": [schema], "$defs": defined}
    try:
        Draft202012Validator.check_schema(whole)
    except SchemaError:
        with pytest.raises(InvalidRequest):
            checked_schema(whole)
        return
    checked_schema(whole)
    expected = Draft202012Validator(whole).is_valid(value)
    try:
        check(value, whole)
        fits = True
    except InvalidRequest:
        fits = False
    assert fits == expected


def test_a_schema_whose_patterns_take_long_to_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dwarf.workflow.schemas.rules.MOST_SECONDS", 0.01)
    heavy = {"anyOf": [{"type": "string", "pattern": "(a|b){1,900}" * 5 + str(number)} for number in range(99)]}
    with pytest.raises(InvalidRequest, match="takes too long: its patterns are too many, or repeat too much$"):
        to_schema(heavy)


def test_on_an_event_loop_a_schema_and_an_answer_take_less_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dwarf.workflow.schemas.rules.MOST_SECONDS_ON_LOOP", -1.0)
    monkeypatch.setattr("dwarf.workflow.schemas.checks.MOST_WORK_ON_LOOP", 10)
    rows = {"type": "array", "items": {"type": "integer"}}
    answer = Answer("interrupt", list(range(100)))

    def ask(flow: Flow, schema: Any) -> Any:
        return flow.interrupt({"schema": schema})

    async def on_loop() -> None:
        with pytest.raises(InvalidRequest, match="a plain function .* has more time"):
            ask(Flow(), {"type": "integer"})
        monkeypatch.undo()
        monkeypatch.setattr("dwarf.workflow.schemas.checks.MOST_WORK_ON_LOOP", 10)
        with pytest.raises(Parked):  # it is asked again, rather than that all wait
            ask(Flow(answers=[answer]), rows)

    assert ask(Flow(answers=[answer]), rows) == answer.value
    asyncio.run(on_loop())


def test_questions_schemas_and_answers_have_a_size() -> None:
    flow = Flow()
    with pytest.raises(StateError, match="the payload of a question is at most 16,000,000 characters"):
        flow.interrupt({"title": "?", "letter": "x" * 16_000_000})
    with pytest.raises(StateError, match="the schema of a question is at most 1,000,000 characters"):
        flow.interrupt({"title": "?", "schema": {"enum": ["x" * 1_000_000]}})
