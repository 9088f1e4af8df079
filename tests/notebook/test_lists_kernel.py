"""Maps, the inbox and the dashboard in a real kernel without a front end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebook.test_kernel import execute, outputs, text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEFINE = """
from dwarf import END
from dwarf.notebook import Lab
lab = Lab("memory", prompt_grace=0.5)
ask = lambda flow: {"y": flow.interrupt({"title": f"Add {flow['x']}?", "schema": int})}
graph = lab.graph("asking").add_node("Ask", ask).add_transition("Ask", END)
double = lab.graph("double").add_node("Double", lambda flow: {"y": 2 * flow["x"]}).add_transition("Double", END)
"""


def test_what_stays_where_nobody_looks(tmp_path: Path) -> None:
    done = execute(
        [
            DEFINE,
            "rows = lab.map(double, [{'x': x} for x in range(3)])",
            "list((await rows).y)",
            "rows",
            "asked = lab.map(graph, [{'x': 1}]); await asked",
            "asked.wait()",
            "inbox = lab.inbox(); inbox",
            "%load_ext dwarf.notebook",
            "%dwarf inbox",
            "%dwarf flows failed",
            "lab.dashboard(workflow_name='double')",
            "inbox.prompts[0].answer(5); list((await asked).y)",
        ],
        tmp_path,
    )
    (bar,) = outputs(done, 1)  # replaced when the rows had ended, though nobody said it is seen
    assert set(bar["data"]) == {"text/html", "text/plain"}
    assert "3 rows in" in bar["data"]["text/plain"]
    assert "[0, 2, 4]" in text(done, 2)
    assert "3 rows in" in text(done, 3)
    assert "PromptNeedsHuman: nothing is left but 1 row" in text(done, 4)
    assert "PromptNeedsHuman" in text(done, 5)
    assert "use `await`" in text(done, 5)
    for number, words in [(6, "Add 1?"), (8, "Add 1?"), (9, "No flow fits the filter."), (10, "3 flows")]:
        (shown,) = outputs(done, number)
        assert set(shown["data"]) == {"text/html", "text/plain"}
        assert words in shown["data"]["text/html"]
        assert words in shown["data"]["text/plain"]
    assert "[5]" in text(done, 11)
