"""What a task raised, as text, as a traceback and as the field onErr."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dwarf.errors import StateError, TaskError
from dwarf.workflow.errors_json import MAX_TRACEBACK, error_fields, error_text, traceback_text
from dwarf.workflow.flow import Flow

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Refused(Exception):
    status_code = 402
    kind = "card"
    _private = 1

    def __init__(self, message: str, **attributes: Any) -> None:
        super().__init__(message)
        self.__dict__.update(attributes)

    @property
    def computed(self) -> int:
        return 7

    @property
    def failing(self) -> int:
        raise RuntimeError("no")

    def method(self) -> None: ...


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text either")


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (ValueError("bad"), {"error": "bad", "statusCode": 500}),
        (ValueError(), {"error": "ValueError", "statusCode": 500}),
        (KeyError("x"), {"error": "KeyError: 'x'", "statusCode": 500}),
        (TaskError("no", status_code=418, k=1), {"error": "no", "statusCode": 418, "k": 1}),
        (TaskError("no", trace=TRACE, k=1), {"error": "no", "statusCode": 500, "trace": TRACE, "k": 1}),
        (TaskError("no", trace="short", stack=["x"], error="e", statusCode=1), {"error": "no", "statusCode": 500}),
        (TaskError("no", good=1, bad=object()), {"error": "no", "statusCode": 500, "good": 1}),
        (
            Refused("declined", code="51", inner=object(), hook=print, _hidden=1, nothing=None),
            {"error": "declined", "statusCode": 402, "kind": "card", "computed": 7, "code": "51"},
        ),
        (
            FileNotFoundError(2, "No such file", "a.txt"),
            {
                "error": "[Errno 2] No such file: 'a.txt'",
                "statusCode": 500,
                "errno": 2,
                "strerror": "No such file",
                "filename": "a.txt",
            },
        ),
        (SystemExit(3), {"error": "3", "statusCode": 500, "code": 3}),
        (Silent(), {"error": "Silent", "statusCode": 500}),
        (ValueError("a\ud800b"), {"error": "a\ufffdb", "statusCode": 500}),
        (ValueError("bell\x07"), {"error": "bell\x07", "statusCode": 500}),
    ],
)
def test_error_fields(error: BaseException, fields: dict[str, Any]) -> None:
    assert error_fields(error) == fields
    assert json.loads(json.dumps(error_fields(error))) == fields


@pytest.mark.parametrize("status", [None, "404", True, 0, -1, 4.5])
def test_a_status_code_that_is_none(status: Any) -> None:
    assert error_fields(Refused("x", status_code=status))["statusCode"] == 500


def test_the_given_trace_wins() -> None:
    assert error_fields(TaskError("x", trace="f" * 32), trace=TRACE)["trace"] == TRACE
    assert "trace" not in error_fields(ValueError("x"), trace="0" * 32)


def test_the_value_an_operation_failed_on_is_not_copied() -> None:
    with pytest.raises(AttributeError) as raised:
        {"secret": 1}.missing  # type: ignore[attr-defined]  # noqa: B018
    assert error_fields(raised.value) == {
        "error": "'dict' object has no attribute 'missing'",
        "statusCode": 500,
        "name": "missing",
    }


def test_error_text() -> None:
    assert error_text(ValueError("a\x00b\x1fc\nd\te\r")) == "a\ufffdb\ufffdc\nd\te\ufffd"
    assert error_text(ValueError()) == "ValueError"
    assert error_text(Silent()) == "Silent"
    assert error_text(KeyError("price")) == "KeyError: 'price'"
    group = ExceptionGroup("two failed", [ValueError("a"), ExceptionGroup("", [KeyError("b"), Silent()])])
    assert error_text(group) == "two failed (2 sub-exceptions): ValueError: a; KeyError: 'b'; Silent"
    many = BaseExceptionGroup("many", [ValueError(str(number)) for number in range(9)])
    assert error_text(many).endswith(": ValueError: 0; ValueError: 1; ValueError: 2; and 6 more")
    assert error_text(ValueError("\ud800")) == "\ufffd"
    assert error_text(ValueError("\x1b[1;31mred\x1b[0m \x1b")) == "red \ufffd"


def raised_by(function: Any) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_a_traceback_shows_the_users_frames_only() -> None:
    def inner() -> None:
        Flow()["bad"] = object()

    def outer() -> None:
        try:
            inner()
        except StateError as error:
            raise RuntimeError("outer failed") from error

    text = traceback_text(raised_by(outer))
    assert "in inner" in text
    assert "in outer" in text
    assert "RuntimeError: outer failed" in text
    assert "StateError: field 'bad'" in text
    assert "direct cause" in text
    assert "flow.py" not in text
    assert "values" not in text


def test_an_error_of_this_package_alone_has_no_frames() -> None:
    error = raised_by(lambda: Flow().get_as("x", int))
    error.__traceback__ = error.__traceback__.tb_next.tb_next  # type: ignore[union-attr]
    assert traceback_text(error) == "KeyError: 'x'\n"


def test_a_group_is_shown_with_its_members() -> None:
    def fails() -> None:
        raise ExceptionGroup("several", [raised_by(lambda: int("x")), KeyError("k")])  # type: ignore[list-item, type-var]

    text = traceback_text(raised_by(fails))
    assert "invalid literal" in text
    assert "KeyError: 'k'" in text


def test_a_traceback_is_bounded() -> None:
    error = raised_by(lambda: (_ for _ in ()).throw(ValueError("x" * 100_000 + "end")))
    text = traceback_text(error)
    assert MAX_TRACEBACK - 100 < len(text) <= MAX_TRACEBACK
    assert "... shortened ..." in text
    assert text.endswith("end\n")
    assert text.startswith("Traceback")


def test_endless_recursion() -> None:
    def again() -> None:
        again()

    text = traceback_text(raised_by(again))
    assert "Previous line repeated" in text
    assert len(text) < 5_000


def test_an_error_that_cannot_be_shown() -> None:
    assert "Silent" in traceback_text(raised_by(lambda: (_ for _ in ()).throw(Silent())))


async def test_an_awaited_interrupt_is_told_to_be_written_without() -> None:
    class Asking:
        def interrupt(self, title: str) -> str:
            return "yes"

    async def ask(flow: Any) -> None:
        await flow.interrupt("?")

    with pytest.raises(TypeError) as caught:
        await ask(Asking())
    assert error_text(caught.value).endswith("flow.interrupt(...) gives the value itself, write it without await")
