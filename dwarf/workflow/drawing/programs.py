"""Which program lays a graph out: ``dot``, else the one that the package graphviz-pure installs."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Final

__all__ = ["PROGRAMS", "find_program", "first_program"]

PROGRAMS: Final = ("dot", "graphviz-pure")


def find_program(name: str) -> str | None:
    """Where a program is: on the PATH, or beside this Python, whose folder a kernel's PATH often lacks."""
    places = os.pathsep.join([str(Path(sys.executable).parent), sysconfig.get_path("scripts")])
    return shutil.which(name) or shutil.which(name, path=places)


def first_program() -> str | None:
    """The first of the programs that is there."""
    return next((path for path in map(find_program, PROGRAMS) if path is not None), None)
