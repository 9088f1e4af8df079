"""Histories as Mermaid text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dwarf.errors import InvalidRequest
from dwarf.workflow.drawing.mermaid_history import FlowRenderer, duration_text
from dwarf.workflow.results import Step, SubFlow
from dwarf.workflow.status import Status

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def step(number: int, node: str = "N", *, times: tuple[float, float, float] | None = None, **more: Any) -> Step:
    """A completed step; ``times`` are its creation, start and last change in seconds."""
    if times is not None:
        more |= {"created_at": at(times[0]), "started_at": at(times[1]), "updated_at": at(times[2])}
    return Step(id=number, node=node, **{"status": Status.COMPLETED, **more})


def body_of(*steps: Step) -> list[str]:
    """The lines after the classes."""
    lines = [line.strip() for line in FlowRenderer(steps).render().splitlines()]
    return lines[lines.index("") + 1 :]


def test_the_whole_text_of_a_small_history() -> None:
    steps = [step(1, "A", times=(0, 0.5, 2), successor_id=2), step(2, "B", times=(2, 2.25, 3), predecessor_id=1)]
    assert FlowRenderer(steps, title="Mine").render() == (
        "flowchart TD\n"
        "    classDef completed fill:#32a7c1,color:#f4f2ef,stroke:#32a7c1\n"
        "    classDef running fill:#32a7c1,color:#f4f2ef,stroke:#32a7c1,stroke-dasharray:4 2\n"
        "    classDef pending fill:#e5f4f3,color:#434343,stroke:#434343\n"
        "    classDef failed fill:#f15922,color:#f4f2ef,stroke:#f15922\n"
        "    classDef cancelled fill:#f15922,color:#f4f2ef,stroke:#f15922\n"
        "    classDef interrupted fill:#ed2e92,color:#f4f2ef,stroke:#ed2e92\n"
        "    classDef term fill:#e5f4f3,color:#434343,stroke:#434343\n"
        "    linkStyle default stroke:#32a7c1\n"
        "\n"
        '    _title{{"Mine"}}:::term -.-> _start\n'
        '    _start((" ")):::term\n'
        '    _end((" ")):::term\n'
        '    s1["A\n'
        '1.5s"]:::completed\n'
        '    s2["B\n'
        '750ms"]:::completed\n'
        '    s1 -- "250ms" --> s2\n'
        "    _start --> s1\n"
        "    s2 --> _end\n"
    )


def test_colours_that_are_empty_are_left_out() -> None:
    renderer = FlowRenderer(
        [], direction="LR", primary=("red", ""), secondary=("", ""), error=("", "x"), attention=("a", "b")
    )
    lines = [line.strip() for line in renderer.render().splitlines()]
    assert lines[0] == "flowchart LR"
    assert lines[1:7] == [
        "classDef completed fill:red,stroke:red",
        "classDef running fill:red,stroke:red,stroke-dasharray:4 2",
        "classDef failed color:x",
        "classDef cancelled color:x",
        "classDef interrupted fill:a,color:b,stroke:a",
        "linkStyle default stroke:red",
    ]


def test_the_chrome_is_drawn_in_the_text_colour_or_else_in_the_fill() -> None:
    assert "classDef term fill:blue,stroke:blue" in FlowRenderer([], secondary=("blue", "")).render()


def test_directions() -> None:
    with pytest.raises(InvalidRequest):
        FlowRenderer([], direction="up")


def test_an_empty_history_has_a_start_and_an_end() -> None:
    assert body_of() == ['_start((" ")):::term', '_end((" ")):::term']
    assert body_of(Step(id=0, node="none")) == body_of()


@pytest.mark.parametrize("status", Status)
def test_each_status_has_its_class_and_only_final_ones_end(status: Status) -> None:
    lines = body_of(step(1, status=status))
    assert f's1["N"]:::{status}' in lines
    assert ('_end((" ")):::term' in lines) is status.terminal
    assert ("s1 --> _end" in lines) is status.terminal


@pytest.mark.parametrize("status", Status)
def test_only_final_steps_show_how_long_they_took(status: Status) -> None:
    text = FlowRenderer([step(1, times=(0, 1, 3), status=status)]).render()
    assert ("2s" in text) is status.terminal
    assert "2s" not in FlowRenderer([step(1, status=status, updated_at=at(3))]).render()
    assert 's1["N"]' in FlowRenderer([step(1, status=status, started_at=at(1))]).render()


def test_no_key_is_in_the_text_unless_links_are_wanted() -> None:
    steps = [step(1, key="1-1-secret"), step(2)]
    assert "secret" not in FlowRenderer(steps).render()
    text = FlowRenderer(steps, link_parameter="step").render()
    assert 'click s1 "?step=1-1-secret"' in text
    assert text.count("click") == 1


def test_edges_come_from_both_ends_once() -> None:
    lines = body_of(
        step(1, successor_id=2),
        step(2, predecessor_id=1, successor_id=4),
        step(3, predecessor_id=3, successor_id=4),
        step(4, predecessor_id=99),
    )
    assert [line for line in lines if "-->" in line] == [
        "s1 --> s2",
        "s2 --> s4",
        "s3 --> s4",
        "_start --> s1",
        "_start --> s3",
        "s4 --> _end",
    ]


def test_waiting_is_never_negative_and_only_of_started_steps() -> None:
    first = step(1, times=(0, 0, 5))
    assert 's1 -- "0ms" --> s2' in body_of(first, step(2, times=(1, 2, 6), predecessor_id=1))
    pending = step(2, times=(5, 6, 6), predecessor_id=1, status=Status.PENDING)
    assert "s1 --> s2" in body_of(first, pending)


def test_branches_are_framed_where_the_first_of_them_stands() -> None:
    lines = body_of(step(1), step(2, predecessor_id=1), step(5), step(3, predecessor_id=1))
    at_frame = lines.index('subgraph fo_s1 [" "]')
    assert lines[at_frame - 1 : at_frame + 6] == [
        's1["N"]:::completed',
        'subgraph fo_s1 [" "]',
        's2["N"]:::completed',
        's3["N"]:::completed',
        "end",
        "style fo_s1 fill:none,stroke:none",
        's5["N"]:::completed',
    ]


def test_several_first_steps_are_not_framed() -> None:
    assert not any(line.startswith("subgraph") for line in body_of(step(1), step(2)))


def test_a_child_flow_is_framed_and_linked() -> None:
    inner = [step(7, "X", times=(1, 1.5, 2)), step(8, "Y", times=(2, 2, 4), predecessor_id=7)]
    child = SubFlow(workflow_name='Chi"ld', workflow_url="https://h/child", steps=inner)
    caller = step(1, "Call", times=(0, 0.5, 5), sub_flows=[child], successor_id=2)
    lines = body_of(caller, step(2, "After", times=(5, 6, 7)))
    frame = lines.index('subgraph s1_sg ["Chi#quot;ld"]')
    assert lines[frame - 2 : frame] == ['s1["Call', '1.5s"]:::completed']  # 4.5 s, of which the child took 3
    assert "s1_subs7 --> s1_subs8" not in lines
    assert 's1_subs7 -- "0ms" --> s1_subs8' in lines[frame : lines.index("end")]
    assert "style s1_sg fill:#32a7c1,fill-opacity:0.06,stroke:none,color:#32a7c1" in lines
    assert lines[-4:] == [
        's1_subs8 -- "1s" --> s2',
        's1 -- "500ms" --> s1_subs7',
        "_start --> s1",
        "s2 --> _end",
    ]


def test_a_child_without_a_name_shows_its_url() -> None:
    child = SubFlow(workflow_url="https://host/child", steps=[step(7)])
    assert 'subgraph s1_sg ["host/child"]' in body_of(step(1, sub_flows=[child]))


def test_a_child_without_steps_is_not_framed() -> None:
    assert not any("subgraph" in line for line in body_of(step(1, sub_flows=[SubFlow(workflow_name="C")])))


def test_several_children_follow_each_other() -> None:
    children = [SubFlow(workflow_name=name, steps=[step(number)]) for name, number in (("One", 7), ("Two", 8))]
    lines = body_of(step(1, sub_flows=children), step(2, predecessor_id=1))
    assert 'subgraph s1_sg ["One"]' in lines
    assert 'subgraph s1_sg2 ["Two"]' in lines
    assert [line for line in lines if "-->" in line] == [
        "s1_sub2s8 --> s2",
        "s1 --> s1_subs7",
        "s1_subs7 --> s1_sub2s8",
        "_start --> s1",
        "s2 --> _end",
    ]


def test_children_nest_and_a_tail_leads_out_of_all_of_them() -> None:
    grandchild = SubFlow(workflow_name="G", steps=[step(9)])
    child = SubFlow(workflow_name="C", steps=[step(7, sub_flows=[grandchild])])
    lines = body_of(step(1, sub_flows=[child]))
    assert 's1_subs7_subs9["N"]:::completed' in lines
    assert 'subgraph s1_subs7_sg ["G"]' in lines
    assert lines[-1] == "s1_subs7_subs9 --> _end"


def test_a_child_that_runs_does_not_shorten_its_caller() -> None:
    child = SubFlow(steps=[step(7, times=(1, 1, 9), status=Status.RUNNING)])
    assert 's1["N\n2s"]:::completed' in FlowRenderer([step(1, times=(0, 0, 2), sub_flows=[child])]).render()


def test_a_caller_never_took_less_than_nothing() -> None:
    child = SubFlow(steps=[step(7, times=(1, 1, 9))])
    assert 's1["N\n0ms"]:::completed' in FlowRenderer([step(1, times=(0, 0, 2), sub_flows=[child])]).render()


def test_a_step_without_a_name_has_a_blank_label() -> None:
    assert 's1[" "]:::completed' in body_of(step(1, ""))


def test_names_are_shown_without_their_scheme() -> None:
    assert 's1["host/task"]:::completed' in body_of(step(1, "https://host/task"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0ms"),
        (0, "0ms"),
        (0.0079, "7ms"),
        (0.9999, "999ms"),
        (1, "1s"),
        (1.51, "1.51s"),
        (12.345, "12.3s"),
        (59.999, "60s"),
        (60, "1m"),
        (125, "2m5s"),
        (3599.9, "59m59s"),
        (3600, "1h"),
        (3659, "1h"),
        (3660, "1h1m"),
        (86399, "23h59m"),
        (86400, "1d"),
        (100_800, "1d4h"),
        (864_000, "10d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text
