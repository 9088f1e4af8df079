"""Time travel: the flows of a thread as a tree, and what tells them apart."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from dwarf.errors import InvalidRequest
from dwarf.notebook import Lab, Run
from dwarf.notebook.analysis.branches import plant
from dwarf.notebook.analysis.tree import draw_branches
from dwarf.notebook.pictures.formatting import difference_text
from dwarf.workflow import END, FlowSummary
from tests.notebook.samples import at, outcome, step


def loan(lab: Lab) -> Any:
    @lab.task
    def rate(income: int, debt: int) -> dict[str, Any]:
        return {"score": max(0, income - 2 * debt)}

    @lab.task
    def decide(score: int) -> dict[str, Any]:
        if score > 5000:
            raise ValueError("<b>too good</b> to be true")
        return {"decision": "offer" if score >= 500 else "declined"}

    return lab.graph("loan").add_node("rate", rate).add_node("decide", decide).add_chain("rate", "decide", END)


@pytest.fixture
def tree(lab: Lab) -> tuple[Run, Run, Run]:
    run = lab.start(loan(lab), {"income": 900, "debt": 300}, show=False)
    run.wait(60)
    better = run.fork("rate", {"debt": 100}, show=False)
    better.wait(60)
    best = better.fork("decide", {"score": 9000}, show=False)
    best.wait(60)
    run.fork("rate", {"score": 600}, at="after", show=False).wait(60)
    run.continue_with({"income": 1000}, show=False).wait(60)
    return run, better, best


def test_forks_and_turns_are_a_tree(tree: tuple[Run, Run, Run]) -> None:
    run, better, best = tree
    branches = run.branches
    assert [(each.label, each.kind, each.at) for each in branches] == [
        ("1", "started", ""),
        ("1.1", "forked", "rate"),
        ("1.1.1", "forked", "decide"),
        ("1.2", "forked", "rate"),
        ("1.3", "continued", ""),
    ]
    assert branches.own == "1"
    assert best.branches.own == "1.1.1"
    assert branches["1.1"].key == better.key
    told = {each.label: each for each in branches}
    assert told["1.1"].changed == {"debt": (300, 100)}
    assert told["1.1"].differs == {"debt": (300, 100), "score": (300, 700), "decision": ("declined", "offer")}
    assert told["1.1.1"].changed == {"score": (700, 9000)}
    assert told["1.2"].changed == {"score": (300, 600)}  # a result that was corrected
    with pytest.raises(InvalidRequest, match=r"1\.1\.1"):
        branches["7"]


def test_the_table(tree: tuple[Run, Run, Run]) -> None:
    frame = tree[0].branches.frame
    assert list(frame["branch"]) == ["1", "1.1", "1.1.1", "1.2", "1.3"]
    assert list(frame["status"]) == ["completed", "completed", "failed", "completed", "completed"]
    assert frame.columns[-1] == "flow"
    assert frame["result.decision"][1] == "offer"
    assert frame["duration"].dtype == "timedelta64[ms]"
    assert str(frame["created"].dtype) == "datetime64[ms, UTC]"


def test_the_picture(tree: tuple[Run, Run, Run]) -> None:
    branches = tree[0].branches
    bundle = branches._repr_mimebundle_()
    root = ElementTree.fromstring(bundle["image/svg+xml"])
    words = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "forked at rate" in words
    assert "debt 300 → 100" in words
    assert "<b>too good</b> to be true" in words
    lines = bundle["text/plain"].splitlines()
    assert lines[0].startswith("✔ 1 started · completed")
    assert lines[0].endswith("(this run)")
    assert lines[2].startswith("    ✘ 1.1.1 forked at decide · failed")
    assert not any(run.key in bundle["image/svg+xml"] for run in tree)
    assert repr(branches) == bundle["text/plain"]


def test_a_run_alone(lab: Lab) -> None:
    run = lab.start(loan(lab), {"income": 9, "debt": 3}, show=False)
    run.wait(60)
    branches = run.branches
    assert len(branches) == 1
    assert len(branches.frame) == 1
    assert "1 started" in repr(branches)


def test_a_fork_whose_origin_is_gone_stands_at_the_root() -> None:
    summary = FlowSummary(flow_key="1-2-x", forked_from=77, created_at=at(1))
    (branch,) = plant([summary], {"1-2-x": [step(1, "a", "completed", 0, 1)]}, {"1-2-x": outcome("completed")})
    assert (branch.label, branch.kind, branch.at) == ("1", "forked", "")
    assert "<svg" in draw_branches([branch])
    assert draw_branches([]).alt == "no runs"


def test_differences_in_words() -> None:
    pairs = {"a": (1, 2), "b": (None, "x" * 99), "c": ([1], None)}
    assert difference_text(pairs, 200) == f"a 1 → 2, b = {'x' * 23}…, c removed"
    assert len(difference_text({f"field{n}": (1, 2) for n in range(50)})) <= 60
