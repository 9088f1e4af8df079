"""How errors look in a cell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, FlowFailed, InvalidRequest
from dwarf.errors import DwarfError
from dwarf.notebook import Lab
from dwarf.notebook.faults import check_step_key, install_short_errors, no_attribute, users_frames
from tests.notebook.test_kernel import ASK, execute, outputs

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def told(notebook: Any, number: int) -> list[str]:
    (error,) = [output for output in outputs(notebook, number) if output.output_type == "error"]
    return COLOUR.sub("", "\n".join(error.traceback)).splitlines()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cell_shows_the_readers_lines_and_what_to_do(tmp_path: Path) -> None:
    cells = [
        ASK,
        "lab.start(lab.graph('g').add_node('A', ask).add_transition('a', END))",
        "def divide(n):\n    return 1 / n\nbad = lab.graph('bad').add_node('Divide', divide).add_transition('Divide', END)",
        "run = lab.start(bad, {'n': 0}, show=False)\nrun.result",
        "run.state",
        "def ordinary():\n    raise LookupError('mine')\nordinary()",
    ]
    done = execute(cells, tmp_path)
    invalid, failed, missing, own = (told(done, number) for number in (1, 3, 4, 5))
    assert len(invalid) <= 8
    assert invalid[-1].startswith("GraphError: graph 'g': node 'a' is not reachable")
    assert any("----> 1 lab.start" in line for line in invalid)
    assert len(failed) <= 16
    assert "FlowFailed: division by zero" in failed
    assert "in the task of the node 'Divide':" in failed
    assert any(line.endswith("in divide") for line in failed)
    assert failed[-1] == "ZeroDivisionError: division by zero"
    assert "(await run).state" in missing[-1]
    assert own[-1] == "LookupError: mine"
    for lines in (invalid, failed):
        assert not any("dwarf/" in line for line in lines)


def test_a_failed_run_tells_where(lab: Lab) -> None:
    def outer(n: int) -> float:
        return 1 / n

    run = lab.start(lab.graph("g").add_node("Outer", outer).add_transition("Outer", END), {"n": 0})
    with pytest.raises(FlowFailed) as caught:
        _ = run.result
    note = caught.value.__notes__[-1]
    assert note.startswith("in the task of the node 'Outer':\n  File ")
    assert "test_faults.py" in note
    assert note.endswith("ZeroDivisionError: division by zero")


def test_what_a_run_does_not_have(lab: Lab) -> None:
    run = lab.start(lab.graph("g").add_node("A", lambda: None).add_transition("A", END))
    with pytest.raises(AttributeError, match=r"\(await run\)\.state"):
        _ = run.state
    assert "has no attribute 'rubbish'" in no_attribute("rubbish")
    assert not hasattr(run, "rubbish")


def test_a_step_that_is_no_key_is_meant_as_a_node() -> None:
    assert check_step_key("1-2-abc", ["A"]) == "1-2-abc"
    with pytest.raises(InvalidRequest, match="did you mean 'Measure'"):
        check_step_key("Mesure", ["Measure", "Rank"])
    with pytest.raises(InvalidRequest, match="the nodes are Measure, Rank"):
        check_step_key("xyz", ["Measure", "Rank"])


def test_only_the_frames_before_the_package_are_shown(lab: Lab) -> None:
    with pytest.raises(InvalidRequest) as caught:
        lab.get("rubbish")
    shown = users_frames(caught.value.__traceback__)
    assert shown is not None
    assert shown.tb_next is None
    inside = caught.value.__traceback__.tb_next
    assert users_frames(inside) is inside  # nothing would be left


class Shell:
    def __init__(self, exceptions: tuple[type[BaseException], ...] = ()) -> None:
        self.custom_exceptions = exceptions
        self.asked: Any = None
        self.shown: Any = None

    def set_custom_exc(self, kinds: Any, handler: Any) -> None:
        self.asked = (kinds, handler)

    def showtraceback(self, given: Any, tb_offset: int | None = None) -> None:
        self.shown = (given[1].__cause__, given[1].__context__)


def test_whoever_shows_errors_already_goes_on_to() -> None:
    shell = Shell((ValueError,))
    install_short_errors(shell)
    install_short_errors(None)
    assert shell.asked is None
    shell = Shell()
    install_short_errors(shell)
    kinds, handler = shell.asked
    assert kinds == (DwarfError,)
    cause = OSError("deep inside")
    error = InvalidRequest("no")
    error.__cause__ = cause
    handler(shell, InvalidRequest, error, None)
    assert shell.shown == (None, None)
    assert error.__cause__ is cause


def test_a_password_is_not_shown(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "_place", "postgresql://ann:secret@host:5432/flows")
    assert repr(lab) == "<Lab postgresql://ann:***@host:5432/flows>"
