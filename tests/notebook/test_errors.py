"""How errors look in a cell."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, FlowFailed, InvalidRequest, Outcome
from dwarf.notebook import Lab, Run
from dwarf.notebook.errors import check_step_key, install_short_errors, no_attribute, readers_frames
from tests.notebook.test_kernel import ASK, execute, outputs

# The stop button, and a flow that goes on meanwhile.
INTERRUPT = """
import asyncio, os, signal, threading
slow = lab.graph("slow").add_node("First", lambda flow: flow.delay(600)).add_node("Slow", lambda: None)
slow.add_transition("First", "Slow").add_transition("Slow", END)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
"""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def told(notebook: Any, number: int) -> list[str]:
    (error,) = [output for output in outputs(notebook, number) if output.output_type == "error"]  # type: ignore[attr-defined]
    return COLOUR.sub("", "\n".join(error.traceback)).splitlines()  # type: ignore[attr-defined]


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
        "lab.start(graph, n=1)",
        "Lab('/dev/null/flows.db')",
        INTERRUPT + "await lab.start(graph, show=False)",
        INTERRUPT + "lab.start(slow, show=False).wait()",
        INTERRUPT + "await lab.map(slow, [{}, {}], show=False)",
    ]
    done = execute(cells, tmp_path)
    invalid, failed, missing, own, option, folder = (told(done, number) for number in (1, 3, 4, 5, 6, 7))
    assert len(invalid) <= 8
    assert invalid[-1].startswith("GraphError: graph 'g': node 'a' is not reachable")
    assert any("----> 1 lab.start" in line for line in invalid)
    assert len(failed) <= 17
    assert "FlowFailed: division by zero" in failed
    assert "in the task of the node 'Divide':" in failed
    assert "  Cell In[3], line 2, in divide" in failed
    assert "ZeroDivisionError: division by zero" in failed
    assert "retry_failed()" in failed[-1]
    assert "(await run).state" in missing[-1]
    assert own[-1] == "LookupError: mine"
    assert len(option) <= 6
    assert option[-1].startswith("TypeError: lab.start() has no option 'n'")
    assert folder[-1].startswith("ConfigError: no flows can be kept in /dev/null/flows.db: ")
    for lines in (invalid, failed, option, folder):
        assert not any("dwarf/" in line for line in lines)
    for number, name in ((8, "the flow 'asking'"), (9, "the flow 'slow'"), (10, "the flows of 'slow'")):
        (line,) = told(done, number)
        assert line.startswith("Waiting was stopped")
        assert name in line
        assert "cancel()" in line


def test_a_failed_run_tells_where(lab: Lab) -> None:
    def outer(n: int) -> float:
        return 1 / n

    run = lab.start(lab.graph("g").add_node("Outer", outer).add_transition("Outer", END), {"n": 0})
    with pytest.raises(FlowFailed) as caught:
        _ = run.result
    *_, note, advice = caught.value.__notes__
    assert "retry_failed()" in advice
    assert note.startswith("in the task of the node 'Outer':\n  File ")
    assert "test_errors.py" in note
    assert note.endswith("ZeroDivisionError: division by zero")
    with pytest.raises(FlowFailed) as caught:
        asyncio.run(awaited(run)).raise_for_status()
    (note,) = caught.value.__notes__
    assert note.endswith(" is failed at 'Outer'")


async def awaited(run: Run) -> Outcome:
    return await run


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
    shown = readers_frames(caught.value.__traceback__)
    assert shown is not None
    assert shown.tb_next is None
    inside = caught.value.__traceback__.tb_next
    assert readers_frames(inside) is inside  # nothing would be left


def test_a_function_of_the_readers_that_is_called_stays_in_sight(lab: Lab) -> None:
    def mine(_: object) -> bool:
        raise LookupError("mine")

    with pytest.raises(LookupError) as caught:
        lab._loop.submit(calls(mine)).result(60)
    names = []
    trace = readers_frames(caught.value.__traceback__)
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-2:] == ["calls", "mine"]


async def calls(function: Any) -> None:
    function(None)


class Shell:
    def __init__(self, exceptions: tuple[type[BaseException], ...] = ()) -> None:
        self.custom_exceptions = exceptions
        self.asked: Any = None
        self.shown: Any = None

    def set_custom_exc(self, kinds: Any, handler: Any) -> None:
        self.asked = (kinds, handler)

    def showtraceback(self, given: Any, tb_offset: int | None = None, running_compiled_code: bool = False) -> None:
        self.shown = (given[1].__cause__, given[1].__context__)


def test_whoever_shows_errors_already_goes_on_to(lab: Lab) -> None:
    shell = Shell((ValueError,))
    install_short_errors(shell)
    install_short_errors(None)
    assert shell.asked is None
    shell = Shell()
    install_short_errors(shell)
    kinds, handler = shell.asked
    assert Exception in kinds
    with pytest.raises(InvalidRequest) as caught:
        lab.get("rubbish")
    error = caught.value
    error.__cause__ = cause = OSError("deep inside")
    handler(shell, InvalidRequest, error, error.__traceback__)
    assert shell.shown == (None, None)
    assert error.__cause__ is cause
    own = LookupError("mine")
    own.__cause__ = cause
    handler(shell, LookupError, own, None)
    assert shell.shown == (cause, None)


def test_a_password_is_not_shown(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "_place", "postgresql://ann:secret@host:5432/flows")
    assert repr(lab) == "<Lab postgresql://ann:***@host:5432/flows>"
