"""The other control calls of a Flow: goto, delay, retry, progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dwarf.errors import InvalidRequest, Parked
from dwarf.workflow import flow as flow_module
from dwarf.workflow.flow import Flow
from dwarf.workflow.signals import Park, RetrySignal, control_of


def parked(call: Callable[[], Any], flow: Flow) -> Park:
    with pytest.raises(Parked):
        call()
    park = control_of(flow).park
    assert park is not None
    return park


# ---------------------------------------------------------------- goto


def test_the_last_goto_wins_and_an_empty_name_takes_it_back() -> None:
    flow = Flow()
    flow.goto("A")
    flow.goto("END")
    assert control_of(flow).goto == "END"
    flow.goto("")
    assert control_of(flow).goto == ""


@pytest.mark.parametrize("node", [None, 5, object()])
def test_goto_needs_a_name(node: Any) -> None:
    with pytest.raises(InvalidRequest, match="goto"):
        Flow().goto(node)


@pytest.mark.parametrize(
    ("park", "name"),
    [
        (lambda flow: flow.interrupt("Q"), "interrupt"),
        (lambda flow: flow.subgraph("child"), "subgraph"),
        (lambda flow: flow.retry(), "retry"),
    ],
)
def test_goto_and_a_park_compete(park: Callable[[Flow], Any], name: str) -> None:
    before, after = Flow(), Flow()
    before.goto("A")
    parked(lambda: park(before), before)
    parked(lambda: park(after), after)
    after.goto("A")
    for flow in (before, after):
        assert control_of(flow).problem == f"multiple competing control signals: goto and {name}"
    after.goto("")
    assert control_of(after).problem == ""


# ---------------------------------------------------------------- delay and retry


@pytest.mark.parametrize(
    ("duration", "ms"),
    [(0, 0), (1, 1000), (1.5, 1500), (timedelta(hours=1), 3_600_000), (0.0001, 1), (timedelta(microseconds=1), 1)],
)
def test_delay(duration: Any, ms: int) -> None:
    flow = Flow()
    flow.delay(99)
    flow.delay(duration)
    assert control_of(flow).delay_ms == ms
    assert control_of(flow).park is None


@pytest.mark.parametrize("duration", [-1, math.nan, math.inf, "1", None, True, timedelta(seconds=-1)])
def test_a_wrong_delay_is_refused(duration: Any) -> None:
    with pytest.raises(InvalidRequest, match="delay"):
        Flow().delay(duration)


def test_delay_stands_beside_goto_and_retry() -> None:
    flow = Flow()
    flow.delay(5)
    flow.goto("A")
    assert (control_of(flow).delay_ms, control_of(flow).goto) == (5000, "A")
    flow = Flow()
    flow.delay(5)
    parked(lambda: flow.retry(delay=1), flow)
    assert (control_of(flow).delay_ms, control_of(flow).park) == (5000, RetrySignal(1000))


def test_retry_without_arguments_is_at_once() -> None:
    flow = Flow()
    assert parked(flow.retry, flow) == RetrySignal(0)


@pytest.mark.parametrize(
    ("attempt", "options", "ms"),
    [
        (0, {"delay": 1, "factor": 2}, 1000),
        (3, {"delay": 1, "factor": 2}, 8000),
        (3, {"delay": 1, "factor": 2, "max_delay": 5}, 5000),
        (0, {"delay": 10, "max_delay": timedelta(seconds=5)}, 5000),
        (3, {"delay": 1, "factor": 2, "max_delay": 0}, 8000),
        (7, {"delay": 2}, 2000),
        (7, {"delay": 2, "factor": 0}, 2000),
        (7, {"delay": 2, "factor": -3}, 2000),
        (2, {"delay": 2, "factor": 0.5}, 500),
        (5000, {"delay": 1, "factor": 0.5}, 0),
        (10**6, {"delay": 1, "factor": 10, "max_delay": 60}, 60_000),
        (10**6, {"delay": 0, "factor": 10}, 0),
        (3, {"delay": 1, "factor": math.inf, "max_delay": 60}, 60_000),
        (2, {"delay": 0.1, "factor": 1.5}, 225),
    ],
)
def test_the_delay_of_a_retry(attempt: int, options: dict[str, Any], ms: int) -> None:
    flow = Flow(attempt=attempt)
    assert parked(lambda: flow.retry(**options), flow) == RetrySignal(ms)


def test_an_unbounded_backoff_stays_a_valid_duration() -> None:
    flow = Flow(attempt=10**6)
    park = parked(lambda: flow.retry(delay=1, factor=10), flow)
    assert isinstance(park, RetrySignal)
    assert 10**12 < park.delay_ms < 10**14


@pytest.mark.parametrize(
    "options",
    [{"delay": -1}, {"max_delay": -1}, {"give_up_after": -1}, {"factor": math.nan}, {"factor": "2"}, {"factor": True}],
)
def test_wrong_arguments_of_retry_are_refused(options: dict[str, Any]) -> None:
    flow = Flow()
    with pytest.raises(InvalidRequest):
        flow.retry(**options)
    assert control_of(flow).park is None


HOUR = 3_600_000


@pytest.mark.parametrize(
    ("age_ms", "options", "gives_up"),
    [
        (2 * HOUR, {"give_up_after": 3600}, True),
        (HOUR // 2, {"give_up_after": 3600}, False),
        (0, {"delay": 3600, "give_up_after": 60}, True),
        (72 * HOUR, {"give_up_after": 0}, False),
        (72 * HOUR, {}, False),
        (0, {"delay": 60, "give_up_after": 60}, True),
    ],
)
def test_the_horizon_of_a_retry(age_ms: int, options: dict[str, Any], gives_up: bool) -> None:
    flow = Flow(step_created_at_ms=HOUR, claimed_at_ms=HOUR + age_ms)
    if gives_up:
        flow.retry(**options)  # returns, for the task to raise
        assert control_of(flow).park is None
    else:
        parked(lambda: flow.retry(**options), flow)


def test_the_horizon_counts_the_time_the_task_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(flow_module, "monotonic", lambda: now)
    flow = Flow(step_created_at_ms=1, claimed_at_ms=1)
    now += 59.9
    parked(lambda: flow.retry(give_up_after=60), flow)
    flow = Flow(step_created_at_ms=1, claimed_at_ms=1)
    now += 60
    flow.retry(give_up_after=60)
    assert control_of(flow).park is None


@pytest.mark.parametrize("known", [{}, {"step_created_at_ms": 1}, {"claimed_at_ms": 10 * HOUR}])
def test_without_the_times_there_is_no_horizon(known: dict[str, int]) -> None:
    flow = Flow(**known)  # type: ignore[arg-type]
    parked(lambda: flow.retry(give_up_after=0.001), flow)


# ---------------------------------------------------------------- progress


def test_progress_is_reported() -> None:
    seen: list[Any] = []
    flow = Flow(on_progress=lambda *report: seen.append(report))
    flow.progress(1)
    flow.progress(2, 10, "two of ten")
    assert seen == [(1.0, None, ""), (2.0, 10.0, "two of ten")]
    assert control_of(flow).park is None


def test_progress_without_a_receiver_does_nothing() -> None:
    Flow().progress(1, 2)


def test_a_receiver_that_fails_does_not_fail_the_task() -> None:
    calls: list[float] = []

    def receive(done: float, total: float | None, message: str) -> None:
        calls.append(done)
        raise RuntimeError("the view is gone")

    Flow(on_progress=receive).progress(1)
    assert calls == [1.0]


@pytest.mark.parametrize(
    "arguments", [("1",), (math.nan,), (-1,), (True,), (None,), (1, "x"), (1, -1), (1, math.inf), (object(),)]
)
def test_progress_wants_numbers(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidRequest, match="progress"):
        Flow().progress(*arguments)
