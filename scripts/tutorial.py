"""The page docs/tutorial.md, made from notebooks/01-quickstart.ipynb. See scripts/gallery, which writes and checks it.

Cells of text stay as they are, cells of code become blocks, and below them stands what they have shown: pictures as
files beside the page, tables of frames as tables. The words that only a notebook needs are the notebook's own.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "01-quickstart.ipynb"
PAGE = ROOT / "docs" / "tutorial.md"
IMAGES = ROOT / "docs" / "images" / "tutorial"
HEAD = """<!-- Made by scripts/gallery from notebooks/01-quickstart.ipynb: edit the notebook, and run the script. -->

# Tutorial

This page is the notebook `notebooks/01-quickstart.ipynb` with what its cells show. To follow along, open it with
`./scripts/lab` in a clone of the repository, or paste the cells into a notebook of your own, after
`pip install "dwarf[notebook]"` and `dwarf lab`.

"""
_ROW = re.compile(r"<tr[^>]*>(.*?)</tr>", re.DOTALL)
_CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)


def made(notebook: Path = NOTEBOOK) -> dict[Path, bytes]:
    """The page and its pictures as they should be, by path."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    pictures: dict[Path, bytes] = {}
    parts = [part for cell in cells for part in _parts(cell, pictures)]
    text = HEAD + "\n\n".join(part.strip("\n") for part in parts) + "\n"
    return {PAGE: text.encode(), **pictures}


def write() -> None:
    """Write the page and its pictures, and remove pictures that it no longer shows."""
    files = made()
    for path in IMAGES.glob("*"):
        if path not in files:
            path.unlink()
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def check() -> Iterator[str]:
    """What is out of date."""
    files = made()
    for path, content in files.items():
        if not path.exists() or path.read_bytes() != content:
            yield f"{path.relative_to(ROOT)} is not made from the present notebook: ./scripts/gallery --page makes it"
    yield from (
        f"{path.relative_to(ROOT)} is shown by no page" for path in sorted(IMAGES.glob("*")) if path not in files
    )


def _parts(cell: dict[str, Any], pictures: dict[Path, bytes]) -> Iterator[str]:
    source = _text(cell["source"])
    if cell["cell_type"] == "markdown":
        yield re.sub(r"\]\(images/", "](../notebooks/images/", re.sub(r"^# ", "## ", source))
        return
    yield f"```{{code-block}} python\n{source}\n```"
    for output in cell["outputs"]:
        yield _shown(output, pictures)


def _shown(output: dict[str, Any], pictures: dict[Path, bytes]) -> str:
    """One output of a cell, as Markdown."""
    if output["output_type"] == "stream":
        return f"```{{code-block}} text\n{_text(output['text']).rstrip()}\n```"
    data = output["data"]
    plain = _text(data["text/plain"])
    for kind, suffix in {"image/svg+xml": "svg", "image/png": "png"}.items():
        if kind in data:
            path = IMAGES / f"{len(pictures) + 1}.{suffix}"
            content = _text(data[kind])
            pictures[path] = content.encode() if suffix == "svg" else base64.b64decode(content)
            words = re.sub(r"[\[\]<>\n]+", " ", plain.partition("\n")[0]).strip()
            return f"![{words}]({path.relative_to(PAGE.parent).as_posix()})"
    if "<table" in (table := _text(data.get("text/html", ""))):
        return "\n".join(_rows(table))
    return f"```{{code-block}} text\n{plain}\n```"


def _rows(table: str) -> Iterator[str]:
    """A frame's HTML as a table of Markdown."""
    for number, row in enumerate(_ROW.findall(table)):
        cells = [html.unescape(re.sub(r"<[^>]+>", "", cell)).strip().replace("|", "\\|") for cell in _CELL.findall(row)]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield "|---" * len(cells) + "|"


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
