"""Executes a notebook without a person, and prints what its last cells show."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dwarf.cli.tables import table_text

SHOWN_CELLS = 3
SHOWN_LINES = 60
DEFAULT_ANSWERS = '{"*": "default"}'

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PICTURES = ("image/svg+xml", "image/png", "application/vnd.jupyter.widget-view+json")


def execute(path: Path, *, timeout: float) -> int:
    """Run every cell in the notebook's own folder: 0, or 1 where one fails or takes longer than ``timeout`` seconds.

    The file itself is not changed. Prompts take their defaults, unless the variable DWARF_ANSWERS says otherwise.
    """
    import nbformat
    from nbclient.exceptions import CellControlSignal, DeadKernelError

    read: Any = nbformat.read  # it has no annotations
    notebook = read(path, as_version=4)
    started = time.monotonic()
    try:
        _client(notebook, path, timeout).execute(env={"DWARF_ANSWERS": DEFAULT_ANSWERS, **os.environ})
    except (CellControlSignal, DeadKernelError, TimeoutError) as error:
        print(f"\n{path} failed:\n{_plain(str(error))}", file=sys.stderr)
        return 1
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    print(f"{path}: {cells} cells ran in {time.monotonic() - started:.1f} s")
    shown = ""
    for heading, text in list(results(notebook.cells))[-SHOWN_CELLS:]:
        if heading != shown:
            print(f"\n{heading}\n{'-' * len(heading)}", end="")
            shown = heading
        print(f"\n{text}")
    return 0


def _client(notebook: Any, path: Path, timeout: float) -> Any:
    from nbclient import NotebookClient

    def announce(cell: Any, cell_index: int) -> None:
        if cell.cell_type == "code" and cell.source.strip():
            print(f"  {cell.source.strip().splitlines()[0][:100]}", file=sys.stderr, flush=True)

    folder = str(path.resolve().parent)
    return NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",  # whatever kernel the file names: this process's environment is the one that has dwarf
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # its warnings are about kernels that others can reach
        resources={"metadata": {"path": folder}},
        on_cell_start=announce,
    )


def results(cells: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """For each code cell that shows text: the last heading above it, and the text."""
    heading = ""
    for cell in cells:
        if cell.cell_type == "markdown":
            titles = re.findall(r"^#+\s+(.+?)\s*$", cell.source, flags=re.MULTILINE)
            heading = titles[-1] if titles else heading
        elif cell.cell_type == "code":
            text = "\n".join(filter(None, map(output_text, cell.get("outputs", ()))))
            if text:
                yield heading, _shorten(text)


def output_text(output: Mapping[str, Any]) -> str:
    """The readable text of one output; empty where there is only a picture."""
    if output.get("output_type") == "stream":
        return "" if output.get("name") == "stderr" else _plain(output["text"]).strip("\n")
    data = output.get("data", {})
    text = table_text(data.get("text/html", "")) or _plain(data.get("text/plain", "")).strip("\n")
    stands_for_picture = text.startswith(("<", "'<", '"<')) or "application/vnd.jupyter.widget-view+json" in data
    drawn = text.startswith("<Figure ") or any(kind in data for kind in _PICTURES)
    return "" if stands_for_picture and drawn else text


def _plain(text: str) -> str:
    return _ANSI.sub("", text)


def _shorten(text: str) -> str:
    lines = text.splitlines()
    if len(lines) <= SHOWN_LINES:
        return text
    return "\n".join([*lines[:SHOWN_LINES], f"... {len(lines) - SHOWN_LINES} more lines"])
