"""The examples of the README and of the documentation run, and print what the pages say they print.

The Python blocks of a page are one script, in which line numbers are those of the page. A `text` block after a Python
block is what it prints. A block opened with {code-block} instead of python is not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, relative

BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if "```python\n" in path.read_text(encoding="utf-8")
]


def blocks(page: str) -> list[tuple[str, int, str]]:
    """Each block's kind, the number of lines above its text, and its text."""
    return [(match[1], page.count("\n", 0, match.start(2)), match[2]) for match in BLOCK.finditer(page)]


def script_of(page: str) -> str:
    lines: list[str] = []
    for kind, above, text in blocks(page):
        if kind == "python":
            lines += [""] * (above - len(lines)) + text.splitlines()
    return "\n".join(lines) + "\n"


# Right graphs have no findings, whatever their tasks are like. One that is to show them is called wrong.
CHECK = """
import dwarf as _dwarf
for _name, _graph in list(globals().items()):
    if isinstance(_graph, _dwarf.Graph) and _name != "wrong":
        assert not _graph.check(), (_name, [str(finding) for finding in _graph.check()])
"""


def promised(page: str) -> list[str]:
    """The `text` blocks that stand right behind a Python block."""
    found = blocks(page)
    return [text for (before, _, _), (kind, _, text) in pairwise(found) if (before, kind) == ("python", "text")]


def test_the_pages_with_examples_are_found() -> None:
    assert {"README.md", "docs/quickstart.md"} <= {relative(path) for path in PAGES}
    assert script_of("# A\n```python\nx = 1\n```\n\n```text\n1\n```\n").splitlines() == ["", "", "x = 1"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_examples_run_and_print_what_the_page_says(path: Path, tmp_path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    script = tmp_path / path.with_suffix(".py").name
    script.write_text(script_of(page) + CHECK, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"the line numbers are those of {relative(path)}\n{done.stderr}"
    assert "GraphWarning" not in done.stderr
    rest = done.stdout
    for text in promised(page):
        before, found, rest = rest.partition(text)
        assert found, f"{relative(path)} promises\n{text}but the examples print\n{before}"
