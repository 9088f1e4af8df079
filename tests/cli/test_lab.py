"""`dwarf lab`: JupyterLab for a person, a headless run with its result printed otherwise."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from dwarf.cli import headless, lab, main
from dwarf.cli.tables import table_text


def write(folder: Path, *cells: object) -> Path:
    path = folder / "example.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def run_dwarf(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The real command line in a process of its own, without a terminal."""
    root = Path(lab.__file__).parents[2]
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(root)!r}); from dwarf.cli import main; sys.exit(main())",
    ]
    return subprocess.run(
        [*command, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_without_a_terminal_the_notebook_runs_and_its_last_results_are_printed(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        new_code_cell("print('the first of four')"),
        new_markdown_cell("# The answer\nSome words."),
        new_code_cell("import os\nx = 42\nx"),
        new_code_cell("y = x"),
        new_code_cell("print(os.environ['DWARF_ANSWERS'])"),
        new_code_cell("print(os.getcwd())"),
    )
    before = path.read_bytes()
    done = run_dwarf("lab", str(path), cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    assert "5 cells ran" in done.stdout
    assert "The answer\n----------\n42\n" in done.stdout
    assert headless.DEFAULT_ANSWERS in done.stdout
    assert str(tmp_path) in done.stdout
    assert "first of four" not in done.stdout, "only the last results"
    assert path.read_bytes() == before


def test_a_failing_cell_fails_the_command_and_shows_its_error(tmp_path: Path) -> None:
    path = write(tmp_path, new_code_cell("1 / 0"), new_code_cell("print('never')"))
    done = run_dwarf("lab", str(path), cwd=tmp_path)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "\x1b[" not in done.stderr
    assert "never" not in done.stdout


def test_a_cell_over_its_time_fails_the_command(tmp_path: Path) -> None:
    path = write(tmp_path, new_code_cell("import threading\nthreading.Event().wait()"))
    done = run_dwarf("lab", "--timeout", "0.5", str(path), cwd=tmp_path)
    assert done.returncode == 1
    assert "timeout" in done.stderr.lower()


def test_wrong_use_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", str(tmp_path / "none.ipynb")]) == 2
    assert "there is no notebook" in capsys.readouterr().err
    assert main(["lab", "--headless"]) == 2
    assert "name a notebook" in capsys.readouterr().err


def test_the_extra_is_named_when_it_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "jupyterlab" else found(name))
    assert main(["lab", str(write(tmp_path))]) == 2
    assert "dwarf[notebook]" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "typer" else found(name))
    assert main(["lab", str(write(tmp_path))]) == 2
    assert "dwarf[cli]" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "environ", "expected"),
    [(True, {}, True), (True, {"CI": "true"}, False), (True, {"CI": "false"}, True), (False, {}, False)],
)
def test_a_reader_sits_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, environ: dict[str, str], expected: bool
) -> None:
    for name in ("stdin", "stdout"):
        monkeypatch.setattr(sys, name, Terminal() if terminal else io.StringIO())
    assert lab.has_reader(environ) is expected


def test_a_person_gets_jupyterlab_on_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "call", lambda command: started.append(command) or 0)
    path = write(tmp_path)
    assert main(["lab", "--open", "--port", "9999", "--ip", "0.0.0.0", str(path)]) == 0
    assert started[0][:4] == [sys.executable, "-m", "jupyterlab", str(path)]
    assert {"--port=9999", "--ip=0.0.0.0"} <= set(started[0])


def test_jupyterlab_is_told_about_root_and_missing_displays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert lab.lab_command(None)[3:] == ["--allow-root", "--no-browser"]
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("DISPLAY", ":0")
    assert lab.lab_command(None)[3:] == []


def test_pictures_and_widgets_are_left_out_of_the_text() -> None:
    cell = new_code_cell(
        "",
        outputs=[
            new_output("display_data", {"image/svg+xml": "<svg/>", "text/plain": "'<svg/>'"}),
            new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "VBox()"}),
            new_output("stream", name="stderr", text="a warning"),
            new_output("execute_result", {"text/plain": "\x1b[31mred\x1b[0m", "text/html": "<b>red</b>"}),
        ],
    )
    assert list(headless.results([new_markdown_cell("# One\n## Two"), cell])) == [("Two", "red")]


def test_data_frames_are_printed_as_tables() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"module": ["json", "a" * 60], "lines": [3, 1200], "ratio": [0.5, float("nan")]})
    data = {"text/html": frame._repr_html_(), "text/plain": repr(frame)}
    cell = new_code_cell("", outputs=[new_output("execute_result", data)])
    ((_, text),) = headless.results([cell])
    assert text.splitlines() == [
        "   module" + " " * 42 + "  lines  ratio",
        "0  json  " + " " * 42 + "      3    0.5",
        "1  " + "a" * 45 + "...   1200    NaN",
    ]


def test_html_that_is_no_table_is_left_to_its_text() -> None:
    assert table_text("<b>bold</b>") == ""
    assert table_text("<table><tr><td>1</td></tr></table>" * 2) == ""


def test_long_results_are_cut() -> None:
    text = "\n".join(map(str, range(100)))
    cell = new_code_cell("", outputs=[new_output("stream", name="stdout", text=text)])
    ((_, shown),) = headless.results([cell])
    assert shown.endswith("\n59\n... 40 more lines")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dwarf ")
