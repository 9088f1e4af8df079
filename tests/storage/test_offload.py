"""Large values out of a JSON text and back into it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwarf.storage.payloads.offload import Gaps, cut, may_hold_blobs
from dwarf.storage.sql.rows import Whole, with_source
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.values import from_json, to_json

LIMIT = 40
LONG = "x" * LIMIT
HASH = "0" * 64


def name(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def parted(value: Any, parts: str, *, raw: bool = False, limit: int = LIMIT) -> tuple[Any, dict[str, str]]:
    short, bodies = cut(dumps(value), parts, limit, name, raw=raw)
    return loads(short), bodies


def whole(short: Any, parts: str, bodies: dict[str, str]) -> Any:
    return loads(Gaps(short, parts).filled(bodies))


def blob(text: str) -> dict[str, str]:
    return {"$dwarf": "blob", "v": name(text)}


def test_only_large_members_are_taken_out() -> None:
    state = {"a": 1, "long": LONG, "list": [LONG], "b": {"c": "short"}, "none": None, "number": 10**60}
    short, bodies = parted(state, "members")
    assert short == {**state, "long": blob(dumps(LONG)), "list": blob(dumps([LONG]))}
    assert bodies == {name(dumps(LONG)): dumps(LONG), name(dumps([LONG])): dumps([LONG])}
    assert whole(short, "members", bodies) == state


def test_many_small_members_stay() -> None:
    state = {f"field{number}": number for number in range(100)}
    assert parted(state, "members") == (state, {})


def test_equal_values_are_one_blob() -> None:
    short, bodies = parted({"a": LONG, "b": LONG}, "members")
    assert short["a"] == short["b"]
    assert len(bodies) == 1


def test_the_limit_is_of_the_text() -> None:
    assert parted({"a": "x" * (LIMIT - 2)}, "members")[1] == {}
    assert list(parted({"a": "x" * (LIMIT - 1)}, "members")[1].values()) == [dumps("x" * (LIMIT - 1))]
    assert len(parted({"a": "\0" * LIMIT}, "members")[1]) == 1
    assert parted({"a": "\0" * (LIMIT // 8)}, "members")[1] == {}


def test_what_a_question_shows_and_its_default() -> None:
    asked = {"payload": {"title": "?", "table": [LONG]}, "default": {"x": LONG}}
    short, bodies = parted(asked, "interrupt")
    assert short == {
        "payload": {"title": "?", "table": blob(dumps([LONG]))},
        "default": blob(dumps({"x": LONG})),
    }
    assert whole(short, "interrupt", bodies) == asked


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"kind": "subgraph", "value": {"x": LONG, "y": 1}}, {"x": blob(dumps(LONG)), "y": 1}),
        ({"kind": "interrupt", "value": {"x": LONG, "y": 1}}, {"x": blob(dumps(LONG)), "y": 1}),
        ({"kind": "interrupt", "value": LONG}, blob(dumps(LONG))),
        ({"kind": "interrupt", "value": to_json((LONG,))}, blob(dumps(to_json((LONG,))))),
        ({"kind": "subgraph", "value": {"$dwarf": "set", "v": LONG}}, {"$dwarf": "set", "v": blob(dumps(LONG))}),
    ],
)
def test_answers(value: dict[str, Any], expected: Any) -> None:
    answers = [{"kind": "interrupt"}, {**value, "wrote": {"w": [LONG], "v": 2}}]
    short, bodies = parted(answers, "answers")
    assert short[1]["value"] == expected
    assert short[1]["wrote"] == {"w": blob(dumps([LONG])), "v": 2}
    assert whole(short, "answers", bodies) == answers


def test_a_value_that_looks_like_a_blob_comes_back_as_itself() -> None:
    own = {"$dwarf": "blob", "v": HASH}
    for value in (own, [own], {"deep": own}, own | {"more": 1}, {"$dwarf": "blob"}):
        encoded = to_json(value)
        text = dumps({"own": encoded, "long": LONG})
        short, bodies = cut(text, "members", LIMIT, name, raw=False)
        gaps = Gaps(loads(short), "members")
        assert HASH not in gaps.names
        assert from_json(loads(gaps.filled(bodies))["own"]) == value


def test_a_name_given_from_outside_is_escaped() -> None:
    forged = {"own": {"$dwarf": "blob", "v": HASH}}
    assert may_hold_blobs(dumps(forged))
    short, bodies = parted(forged, "members", limit=1000)
    assert short == {"own": {"$dwarf": "dict", "v": forged["own"]}}
    assert bodies == {}
    assert from_json(short["own"]) == forged["own"]
    assert parted(short, "members", limit=1000) == (short, {})


def test_raw_texts_keep_their_names() -> None:
    known = {"a": {"$dwarf": "blob", "v": HASH}, "long": LONG * 9, "bad": {"$dwarf": "blob", "v": "none"}}
    short, bodies = parted(known, "members", raw=True, limit=LIMIT * 8)
    assert short["a"] == known["a"]
    assert short["bad"] == {"$dwarf": "dict", "v": known["bad"]}
    assert bodies == {HASH: "", name(dumps(LONG * 9)): dumps(LONG * 9)}


def test_names_can_be_changed() -> None:
    other = "1" * 64
    document = {"a": {"$dwarf": "blob", "v": HASH}, "b": 1}
    assert Gaps(document, "members").renamed({HASH: other}) == {"a": {"$dwarf": "blob", "v": other}, "b": 1}


def test_a_blob_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        Gaps({"a": {"$dwarf": "blob", "v": HASH}}, "members").filled({})


def test_a_long_text_brings_the_object_it_was_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dwarf.storage.sql.rows.LARGE", LIMIT)
    state = {"a": LONG, "b": 1}
    text = with_source(dumps(state), lambda: state)
    assert isinstance(text, Whole)
    monkeypatch.setattr("dwarf.storage.payloads.offload.loads", None)  # it is not read
    short, bodies = cut(text, "members", LIMIT, name, raw=False)
    assert loads(short) == {"a": blob(dumps(LONG)), "b": 1}
    assert list(bodies.values()) == [dumps(LONG)]
    assert state == {"a": LONG, "b": 1}
    assert type(cut(text, "members", 10**6, name, raw=False)[0]) is str
    assert type(with_source("{}", dict)) is str


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMES = st.text(max_size=5) | st.sampled_from(["$dwarf", "v"])
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
LARGE = st.text(min_size=LIMIT, max_size=LIMIT + 9)


@settings(max_examples=50)
@given(st.dictionaries(NAMES, JSON | LARGE, max_size=4), st.booleans())
def test_every_state_comes_back(state: dict[str, Any], raw: bool) -> None:
    encoded = {field: to_json(value) for field, value in state.items()}
    short, bodies = cut(dumps(encoded), "members", LIMIT, name, raw=raw)
    assert repr(whole(loads(short), "members", bodies)) == repr(encoded)
