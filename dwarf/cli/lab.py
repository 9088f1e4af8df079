"""``dwarf lab``: a notebook in JupyterLab where a person can see it, executed and printed where nobody can."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from dwarf.cli import headless as headless_run

ADVICE = "the notebook needs the extra of that name: pip install 'dwarf[notebook]'"


def lab(
    notebook: Annotated[Path | None, typer.Argument(metavar="[NOTEBOOK]", help="An .ipynb file.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Execute the notebook, terminal or not.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Start JupyterLab, terminal or not.")] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="For each cell, headless.")] = 600,
    ip: Annotated[str, typer.Option(help="The address JupyterLab listens on: 0.0.0.0 in a container.")] = "",
    port: Annotated[int, typer.Option(help="The port JupyterLab listens on: 8888 or a free one by default.")] = 0,
) -> None:
    """Open a notebook in JupyterLab, or execute it where there is no terminal.

    Where the input or output is not a terminal, or CI is set, the notebook is executed: its last results are printed,
    and the exit status is 1 if a cell fails.
    """
    if headless and open_:
        raise typer.Exit(complain("--headless and --open exclude each other"))
    raise typer.Exit(run(notebook, headless=headless, open_=open_, timeout=timeout, ip=ip, port=port))


def run(notebook: Path | None, *, headless: bool, open_: bool, timeout: float, ip: str, port: int) -> int:
    """Open or execute the notebook; the exit status."""
    if notebook is not None and not notebook.is_file():
        return complain(f"there is no notebook {notebook}")
    seen = open_ or (not headless and has_reader(os.environ))
    if any(importlib.util.find_spec(name) is None for name in ("jupyterlab", "nbclient", "ipykernel")):
        return complain(ADVICE)
    if seen:
        return subprocess.call(lab_command(notebook, ip=ip, port=port))
    if notebook is None:
        return complain("without a terminal there is nothing to open: name a notebook to execute")
    return headless_run.execute(notebook, timeout=timeout)


def has_reader(environ: Mapping[str, str]) -> bool:
    """Whether a person is likely to sit at this process: a terminal on both sides, and not continuous integration."""
    automated = environ.get("CI", "").lower() not in ("", "0", "false")
    return not automated and sys.stdin.isatty() and sys.stdout.isatty()


def lab_command(notebook: Path | None, *, ip: str = "", port: int = 0) -> list[str]:
    """The command line of JupyterLab for this user and this machine."""
    command = [sys.executable, "-m", "jupyterlab"]
    if notebook is not None:
        command.append(str(notebook))
    if ip:
        command.append(f"--ip={ip}")
    if port:
        command.append(f"--port={port}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # Jupyter refuses to run as root unless it is told to
    if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        command.append("--no-browser")  # no display: the address it prints can be opened from elsewhere
    return command


def complain(message: str) -> int:
    """Print an error; the exit status for wrong use."""
    print(f"dwarf lab: {message}", file=sys.stderr)
    return 2
