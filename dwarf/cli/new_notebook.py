"""The notebook of a new project: a flow that asks, and a workflow over the rows of a frame."""

from __future__ import annotations

import json
from typing import Any

_CELLS = (
    ("markdown", """# PROJECT

Run the cells one after the other with Shift+Enter. The flows are kept in `.dwarf/flows.db`, also when the kernel is
restarted."""),
    ("code", """from dwarf.notebook import Lab
from PROJECT.flows import graph

lab = Lab()
graph"""),
    ("code", """run = lab.start(graph, {"text": "durable workflows in plain Python"})"""),
    ("markdown", """The flow waits for you: answer under the picture, or run `run.answer(True)`. The next cell waits for
the answer."""),
    ("code", """outcome = await run
outcome"""),
    ("code", """run.history[["node", "status", "started", "duration"]]"""),
    ("markdown", """## Your own data

A workflow of one task, and a flow for each row of a frame. Put in your function and your frame: the parameters of the
function are columns of the frame, and the fields that it returns become columns of the result."""),
    ("code", """import pandas as pd


@lab.task
def measure(text: str) -> dict:
    return {"words": len(text.split()), "letters": len(text)}


frame = pd.DataFrame({"text": ["one two", "a longer sentence", "x"]})
rows = lab.map(lab.graph("Measure", measure), frame)
frame.join((await rows)[["words", "letters", "status"]])"""),
)  # fmt: skip


def notebook() -> str:
    """The notebook as a file has it, without outputs; PROJECT stands for the package."""
    cells: list[dict[str, Any]] = []
    for number, (kind, text) in enumerate(_CELLS):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
        cells.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    page = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(page, indent=1, ensure_ascii=False) + "\n"
