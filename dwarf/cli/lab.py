"""``dwarf lab``: a notebook in JupyterLab where a person can see it, executed and printed where nobody can."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dwarf.cli import headless

ADVICE = "the notebook needs the extra of that name: pip install 'dwarf[notebook]'"


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of ``dwarf``."""
    parser = commands.add_parser(
        "lab",
        help="open a notebook in JupyterLab, or execute it where there is no terminal",
        description="Opens JupyterLab, on NOTEBOOK if one is given. Where the input or output is not a terminal, or CI "
        "is set, the notebook is executed instead: its last results are printed; the exit status is 1 if a cell fails.",
    )
    parser.add_argument("notebook", nargs="?", type=Path, metavar="NOTEBOOK", help="an .ipynb file")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--headless", action="store_true", help="execute the notebook, terminal or not")
    how.add_argument("--open", action="store_true", help="start JupyterLab, terminal or not")
    parser.add_argument(
        "--timeout", type=float, default=600, metavar="SECONDS", help="per cell, headless (default: 600)"
    )
    parser.add_argument("--ip", default="", help="the address JupyterLab listens on: 0.0.0.0 in a container")
    parser.add_argument(
        "--port", type=int, default=0, help="the port JupyterLab listens on (default: 8888 or a free one)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Open or execute the notebook; the exit status."""
    notebook: Path | None = arguments.notebook
    if notebook is not None and not notebook.is_file():
        return complain(f"there is no notebook {notebook}")
    seen = arguments.open or (not arguments.headless and has_reader(os.environ))
    if any(importlib.util.find_spec(name) is None for name in ("jupyterlab", "nbclient", "ipykernel")):
        return complain(ADVICE)
    if seen:
        return subprocess.call(lab_command(notebook, ip=arguments.ip, port=arguments.port))
    if notebook is None:
        return complain("without a terminal there is nothing to open: name a notebook to execute")
    return headless.execute(notebook, timeout=arguments.timeout)


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
