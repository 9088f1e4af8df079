"""Answers given in advance."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import ConfigError
from dwarf.notebook.prompts.answers import NOTHING, VARIABLE, Answers, default_of
from dwarf.notebook.prompts.prompt import Prompt
from tests.notebook.samples import step


def prompt(node: str = "Ask", **payload: Any) -> Prompt:
    return Prompt(step(7, node, "interrupted", 0, 3, interrupt_payload=payload), "1-1-x", lambda *_: None)


def test_by_node_and_by_title() -> None:
    answers = Answers({"Ask": 1, "Pay now?": 2})
    assert answers.answer_to(prompt()) == 1
    assert answers.answer_to(prompt(title="Pay now?")) == 2  # the title is more exact
    assert answers.answer_to(prompt("Other")) is NOTHING


def test_none_and_false_are_answers() -> None:
    answers = Answers({"a": None, "b": False})
    assert answers.answer_to(prompt("a")) is None
    assert answers.answer_to(prompt("b")) is False


def test_the_rest_takes_defaults() -> None:
    answers = Answers({"*": "default"})
    assert answers.answer_to(prompt(default=20)) == 20
    assert answers.answer_to(prompt(schema={"type": "integer", "default": 4})) == 4
    assert answers.answer_to(prompt(schema={"type": "boolean"})) is NOTHING
    assert Answers({"*": True}).answer_to(prompt()) is True


def test_the_default_of_an_object_is_made_of_its_fields() -> None:
    schema = {"type": "object", "properties": {"a": {"default": 1}, "b": {}}, "required": ["a"]}
    assert default_of({}, schema) == {"a": 1}
    assert default_of({}, schema | {"required": ["b"]}) is NOTHING
    assert default_of({"default": {"b": 2}}, schema) == {"b": 2}


def test_functions_may_answer() -> None:
    assert Answers({"Ask": lambda asked: asked.payload["amount"] < 100}).answer_to(prompt(amount=30)) is True
    assert Answers(lambda asked: asked.node).answer_to(prompt()) == "Ask"


def test_the_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, '{"Ask": 5}')
    assert Answers().answer_to(prompt()) == 5
    assert Answers({}).answer_to(prompt()) is NOTHING  # what is given outdoes the variable
    monkeypatch.setenv(VARIABLE, " ")
    assert not Answers()


@pytest.mark.parametrize("text", ["{", "[1]", '"default"'])
def test_a_wrong_variable_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigError, match=VARIABLE):
        Answers()


def test_wrong_answers_are_told() -> None:
    with pytest.raises(ConfigError, match="map"):
        Answers([1])  # type: ignore[arg-type]
