"""The notebook of a new project: a flow that asks, and a workflow over the rows of a frame."""

from __future__ import annotations

import json

_CELLS = (
    (
        "# PROJECT\n\nRun the cells one after the other with Shift+Enter. The flows are kept in `.dwarf/flows.db`, also "
        "when the kernel is restarted."
    ),
    ("from dwarf.notebook import Lab\nfrom PROJECT.flows import graph\n\nlab = Lab()\ngraph",),
    ('run = lab.start(graph, {"text": "durable workflows in plain Python"})',),
    "The flow waits for you: answer under the picture, or run `run.answer(True)`. The next cell waits for it.",
    ("outcome = await run\noutcome",),
    ('run.history[["node", "status", "started", "duration"]]',),
    (
        "## Your own data\n\nA workflow of one task, and a flow for each row of a frame. Put in your function and your "
        "frame: the parameters of the function are columns, and what it returns becomes columns of the result."
    ),
    (
        "import pandas as pd\n\n\n@lab.task\ndef measure(text: str) -> dict:\n"
        '    return {"words": len(text.split()), "letters": len(text)}\n\n\n'
        'frame = pd.DataFrame({"text": ["one two", "a longer sentence", "x"]})\n'
        'rows = lab.map(lab.graph("Measure", measure), frame)\n'
        'frame.join((await rows)[["words", "letters", "status"]])',
    ),
)
"""Text of Markdown as it is, code in a tuple."""


def notebook() -> str:
    """The notebook as a file has it, without outputs; PROJECT stands for the package."""
    cells = []
    for number, cell in enumerate(_CELLS):
        text = cell if isinstance(cell, str) else cell[0]
        made = {"id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
        code = {"cell_type": "code", "execution_count": None, "outputs": []}
        cells.append(made | ({"cell_type": "markdown"} if isinstance(cell, str) else code))
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    page = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(page, indent=1, ensure_ascii=False) + "\n"
