"""Which program lays a graph out: ``dot``, else the one that the package graphviz-pure installs.

Programs are run by the package graphviz, which renders our drawings as well. Its ``pipe`` knows no time limit, and
only a program named ``dot``; ``run_check``, by which it runs every program, takes both. A layout that hangs is ended,
so that what shows a graph never waits for longer than it has to.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Final

__all__ = ["PROGRAMS", "find_program", "first_program", "places_of"]

PROGRAMS: Final = ("dot", "graphviz-pure")


def find_program(name: str) -> str | None:
    """Where a program is: on the PATH, or beside this Python, whose folder a kernel's PATH often lacks."""
    places = os.pathsep.join([str(Path(sys.executable).parent), sysconfig.get_path("scripts")])
    return shutil.which(name) or shutil.which(name, path=places)


def places_of(path: str, text: str, *, timeout: float) -> bytes:
    """The places that a program gives the nodes and edges of a DOT text, as the JSON that Graphviz calls ``json0``.

    ``timeout`` in seconds: then the program is ended, and subprocess.TimeoutExpired raised. ImportError without the
    package graphviz, its CalledProcessError where the program refuses the text.
    """
    from graphviz.backend import dot_command
    from graphviz.backend.execute import run_check

    _, *options = dot_command.command("dot", "json0")
    done = run_check([path, *options], input=text.encode(), capture_output=True, quiet=True, timeout=timeout)
    return bytes(done.stdout)


def first_program() -> str | None:
    """The first of the programs that is there."""
    return next((path for path in map(find_program, PROGRAMS) if path is not None), None)
