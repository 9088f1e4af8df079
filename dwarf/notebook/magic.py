"""What are ``%dwarf flows``, ``%dwarf show KEY`` and ``%dwarf inbox``? Magics, there as soon as a Lab is made.

Before, ``%load_ext dwarf.notebook`` brings them.
"""

from __future__ import annotations

from typing import Any

from dwarf.notebook.lab import current_lab

__all__ = ["USAGE", "dwarf_magic", "load_ipython_extension", "unload_ipython_extension"]

USAGE = """%dwarf flows [STATUS]   the flows of the current lab, live
%dwarf show KEY         the run of a flow, live
%dwarf inbox            every prompt that waits for an answer, live"""


def dwarf_magic(line: str) -> Any:
    """The line magic ``%dwarf``."""
    command, *rest = line.split() or [""]
    if command == "flows":
        return current_lab().dashboard(**({"status": rest[0]} if rest else {}))
    if command == "show" and rest:
        return current_lab().get(rest[0])
    if command == "inbox":
        return current_lab().inbox()
    print(USAGE)  # noqa: T201  a magic speaks to the reader of the cell
    return None


def load_ipython_extension(ipython: Any) -> None:
    """Called by ``%load_ext dwarf.notebook``.

    Example::

        %load_ext dwarf.notebook
        %dwarf flows
        %dwarf inbox
    """
    ipython.register_magic_function(dwarf_magic, magic_kind="line", magic_name="dwarf")


def unload_ipython_extension(ipython: Any) -> None:
    """Called by ``%unload_ext dwarf.notebook``.

    Example::

        %unload_ext dwarf.notebook
    """
    ipython.magics_manager.magics["line"].pop("dwarf", None)
