"""The gallery: executes the notebooks in `notebooks/` and stores their outputs. See scripts/gallery.

Stored are still pictures, tables and texts. State of widgets, execution times, random parts of keys, numbers of
processes and paths of this machine are left out or made stable, so that a second run differs in measured times only.
The picture of the cell tagged "opening" is also kept in `notebooks/images`: the first cell of the notebook shows it.
"""

from __future__ import annotations

import argparse
import ast
import base64
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import tutorial

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
LARGEST = 400_000  # bytes of a notebook
SLOWEST = 60.0  # seconds
ANSWERS = '{"*": "default"}'
RECORD = "gallery"  # the name in the metadata of a cell: a digest of its source, and the kinds of its outputs
WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURES = {"image/svg+xml": ".svg", "image/png": ".png"}
MORNING = datetime(2026, 1, 5, 9, tzinfo=UTC)  # when every stored run begins

_TIME = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(?=[^\d]|$)")
_RANDOM = re.compile(r"(?<=-)[0-9a-f]{16}\b")
_STYLER = re.compile(r"\bT_[0-9a-f]{5}(?=\b|_)")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_PROCESS = re.compile(r"(?<=worker )\d{2,}\b|(?<=process )\d{2,}\b")


def digest(source: str) -> str:
    """A digest of a cell's source."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def text_of(value: str | list[str]) -> str:
    """A text of a notebook file, which may be stored line by line."""
    return value if isinstance(value, str) else "".join(value)


def kinds(outputs: list[Any]) -> list[str]:
    """What a cell shows, in order: streams by name, other outputs by their media types."""
    found = []
    for output in outputs:
        if output["output_type"] == "stream":
            kind = output["name"]
        else:
            kind = "+".join(sorted(output.get("data", {}))) or output["output_type"]
        if found[-1:] != [kind]:
            found.append(kind)
    return found


class Cleaner:
    """Makes stable what differs from run to run in the texts of one notebook's outputs."""

    def __init__(self, notebook: str, folder: Path) -> None:
        self._notebook = notebook
        self._places = {f"{folder}/": "", str(folder): ".", f"{Path.home()}/": "~/", f"{sys.prefix}/": ""}
        self._seen: dict[str, str] = {}
        self._shift: timedelta | None = None

    def clean(self, text: str) -> str:
        for place, stands in self._places.items():
            text = text.replace(place, stands)
        text = _TIME.sub(self._time, text)
        text = _RANDOM.sub(lambda match: self._numbered("random", match[0], self._random), text)
        text = _STYLER.sub(lambda match: self._numbered("T_", match[0], lambda count: f"T_{count:05x}"), text)
        text = _PROCESS.sub(lambda match: self._numbered("process", match[0], str), text)
        return _ADDRESS.sub(" at 0x7f0000000000", text)

    def _random(self, count: int) -> str:
        return hashlib.sha256(f"{self._notebook} {count}".encode()).hexdigest()[:16]

    def _numbered(self, group: str, found: str, make: Callable[[int], str]) -> str:
        """The same for the same text, and the next for another one."""
        name = f"{group} {found}"
        if name not in self._seen:
            self._seen[name] = make(1 + sum(each.startswith(f"{group} ") for each in self._seen))
        return self._seen[name]

    def _time(self, match: re.Match[str]) -> str:
        """The first time of a notebook becomes MORNING, and the others keep their distance. Old dates are data."""
        shape = f"%Y-%m-%d{match[0][10]}%H:%M" + (":%S" if match[1] else "")
        moment = datetime.strptime(match[0], shape).replace(tzinfo=UTC)
        if abs(moment - datetime.now(UTC)) > timedelta(days=30):
            return match[0]
        if self._shift is None:
            self._shift = MORNING - moment
        return (moment + self._shift).strftime(shape)


def execute(path: Path) -> Any:
    """The notebook with the outputs of a run in an empty folder."""
    import nbformat
    from nbclient import NotebookClient

    read: Any = nbformat.read
    notebook = read(path, as_version=4)
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        client = NotebookClient(
            notebook,
            timeout=120,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # its warnings are about kernels that others can reach
            resources={"metadata": {"path": str(folder)}},
        )
        answers = notebook.metadata.get(RECORD, {}).get(
            "answers", ANSWERS
        )  # a notebook about questions leaves them open
        client.execute(env={**os.environ, "PATH": programs, "DWARF_ANSWERS": answers})
        tidy(notebook, Cleaner(path.stem, folder))
    return notebook


def tidy(notebook: Any, cleaner: Cleaner) -> None:
    """Leave in the outputs what a page can show, the same on each machine."""
    own = {name: value for name, value in notebook.metadata.items() if name == RECORD}
    notebook.metadata = {
        **own,
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = _joined([output for output in cell.outputs if not _is_noise(output)])
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = cleaner.clean(output.text)
                continue
            data = output.get("data", {})
            data.pop(WIDGET, None)
            for kind, value in data.items():
                if isinstance(value, str) and kind != "image/png":
                    data[kind] = cleaner.clean(value)
            if "<svg" in data.get("text/html", "") and "text/plain" in data:
                del data["text/html"]  # pages of repositories leave the drawing out and show what is left of it
        cell.metadata[RECORD] = {"source": digest(cell.source), "shows": kinds(cell.outputs)}


def _is_noise(output: Any) -> bool:
    data = output.get("data", {})
    return output.output_type != "stream" and (not data or set(data) == {WIDGET})


def _joined(outputs: list[Any]) -> list[Any]:
    """The outputs, with what one stream said in several pieces in one."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == "stream" == joined[-1].output_type and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def opening_picture(notebook: Any) -> tuple[str, bytes] | None:
    """The suffix and the bytes of the picture of the cell tagged "opening"."""
    for cell in notebook["cells"]:
        if "opening" not in cell["metadata"].get("tags", ()):
            continue
        for output in cell.get("outputs", ()):
            for kind, suffix in PICTURES.items():
                if kind in output.get("data", {}):
                    text = text_of(output["data"][kind])
                    return suffix, text.encode() if suffix == ".svg" else base64.b64decode(text)
    return None


def store(path: Path) -> None:
    """Execute a notebook and write it, with its picture."""
    import nbformat

    begun = time.monotonic()
    notebook = execute(path)
    took = time.monotonic() - begun
    write: Any = nbformat.write
    write(notebook, path)
    if (picture := opening_picture(notebook)) is not None:
        image = FOLDER / "images" / f"{path.stem}{picture[0]}"
        image.parent.mkdir(exist_ok=True)
        image.write_bytes(picture[1])
    slow = f", which is more than {SLOWEST:.0f} s" if took > SLOWEST else ""
    print(f"{path.name}: {took:.0f} s{slow}, {path.stat().st_size // 1000} kB")


def check(path: Path) -> Iterator[str]:
    """What is wrong with a stored notebook. Nothing is executed."""
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    if len(text.encode()) > LARGEST:
        yield f"larger than {LARGEST // 1000} kB"
    if "widgets" in notebook["metadata"]:
        yield "state of widgets is stored"
    for place in (str(Path.home()), tempfile.gettempdir()):
        if len(place) > 1 and re.search(rf"[\s\"'=(]{re.escape(place)}/", text):
            yield f"names a folder of this machine: {place}"
    opening = text_of(notebook["cells"][0]["source"])
    images = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", opening)
    if not images:
        yield "its first cell has no picture"
    yield from (f"{image} is missing" for image in images if not (path.parent / image).exists())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            yield from (f"cell {cell['id']}: {finding}" for finding in check_cell(cell))


def check_cell(cell: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the outputs of one cell."""
    source = text_of(cell["source"])
    record = cell["metadata"].get(RECORD, {})
    shows = kinds(cell["outputs"])
    if record.get("source") != digest(source):
        yield "was edited after its outputs were stored"
    elif record.get("shows") != shows:
        yield f"shows {shows}, and was stored with {record.get('shows')}"
    elif missing := expected(source) - {kind for each in shows for kind in ("any", each)}:
        yield f"should show {sorted(missing)}"
    if "execution" in cell["metadata"]:
        yield "times of execution are stored"
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            yield f"failed: {output['ename']}"
        elif "data" in output and "text/plain" not in output["data"]:
            yield "has no text for readers of text"


def expected(source: str) -> set[str]:
    """What a cell shows for certain, by its source: "stdout" where it prints, "any" where its last line is a value."""
    if source.startswith("%%"):
        return set()
    body = ast.parse(source).body
    printed = (statement.value for statement in body if isinstance(statement, ast.Expr))
    calls = (each for each in printed if isinstance(each, ast.Call) and isinstance(each.func, ast.Name))
    shown = {"stdout" for call in calls if call.func.id == "print"}  # type: ignore[attr-defined]
    last = body[-1] if body else None
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Name | ast.Subscript | ast.Attribute):
        shown.add("any")
    return shown


def compare(path: Path) -> Iterator[str]:
    """What a run of today shows otherwise than what is stored, in kind."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    for old, new in zip(stored["cells"], execute(path).cells, strict=True):
        if old["cell_type"] == "code" and {*kinds(old["outputs"])} != {*kinds(new.outputs)}:
            yield f"cell {old['id']}: shows {kinds(new.outputs)}, and {kinds(old['outputs'])} are stored"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="all of notebooks/ where none is named")
    parser.add_argument("--check", action="store_true", help="execute nothing")
    parser.add_argument("--compare", action="store_true", help="execute, and change nothing")
    parser.add_argument("--page", action="store_true", help="execute nothing, and write docs/tutorial.md anew")
    options = parser.parse_args()
    paths = [path.resolve() for path in options.notebooks] or sorted(FOLDER.glob("*.ipynb"))
    if not options.check and not options.compare and not options.page:
        for path in paths:
            store(path)
    if not options.check and not options.compare:
        tutorial.write()
    look = compare if options.compare else check
    findings = [f"{path.name}: {finding}" for path in paths for finding in look(path)]
    if not options.notebooks:
        findings += tutorial.check()
    print("\n".join(findings) or f"{len(paths)} notebooks are as their outputs say")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
