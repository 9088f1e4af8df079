"""Where do we run: in a notebook's kernel, in a terminal's IPython, or in a plain program?"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

__all__ = [
    "after_cells",
    "cell_mark",
    "cell_runs",
    "current_cell",
    "in_kernel",
    "in_marimo",
    "in_terminal_ipython",
    "is_attended",
    "name_cells",
    "on_main_thread",
    "shell",
]


def shell() -> Any:
    """IPython's shell, or None. Does not import IPython."""
    module = sys.modules.get("IPython")
    get = getattr(module, "get_ipython", None)
    return get() if get is not None else None


def in_kernel() -> bool:
    """Whether the code runs in a Jupyter kernel, with any front end."""
    return getattr(shell(), "kernel", None) is not None


def in_terminal_ipython() -> bool:
    """Whether the code runs in an IPython without a kernel, and so without a front end for pictures."""
    return shell() is not None and not in_kernel()


def in_marimo() -> bool:
    """Whether a marimo notebook runs the code. It displays objects by their method ``_display_``."""
    running = getattr(sys.modules.get("marimo"), "running_in_notebook", None)
    return running is not None and bool(running())


def is_attended() -> bool:
    """Whether the running cell was sent by a front end with a user, not by a program.

    Voilà runs cells like a program, but shows their displays to a user afterwards.
    """
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return True
    return bool(getattr(getattr(shell(), "kernel", None), "_allow_stdin", False))


def on_main_thread() -> bool:
    """Whether this is the thread that runs cells and, in most kernels, handles clicks."""
    return threading.current_thread() is threading.main_thread()


def after_cells(function: Callable[[object], None]) -> None:
    """Call a function with the result of each cell of this IPython. Repeated calls register it once."""
    events = getattr(shell(), "events", None)
    if events is not None and function not in events.callbacks.get("post_run_cell", ()):
        events.register("post_run_cell", function)


def cell_runs() -> bool:
    """Whether a cell is running, so that older kernels handle no clicks. Known from the first call on."""
    events = getattr(shell(), "events", None)
    if events is None:
        return False
    if _cell_begun not in events.callbacks.get("pre_run_cell", ()):
        events.register("pre_run_cell", _cell_begun)
        events.register("post_run_cell", _cell_ended)
        _running.set()
    return _running.is_set()


_running = threading.Event()


def _cell_begun(_: object) -> None:
    _running.set()


def _cell_ended(_: object) -> None:
    _running.clear()


def current_cell() -> object:
    """An object that identifies one execution of a cell; None outside IPython."""
    here = shell()
    return None if here is None else getattr(here, "execution_count", None)


def cell_mark() -> tuple[str, str] | None:
    """The running cell and the identity of its execution; None outside a kernel.

    Front ends without cell ids identify cells by their text.
    """
    get = getattr(shell(), "get_parent", None)
    message = get() if get is not None else None
    if not isinstance(message, Mapping):
        return None
    cell = (message.get("metadata") or {}).get("cellId") or (message.get("content") or {}).get("code")
    return (str(cell), str((message.get("header") or {}).get("msg_id"))) if cell else None


def name_cells(text: str) -> str:
    """The text of a traceback, with ``Cell In[3], line 2`` in place of the temporary files of cells.

    Cells of an earlier kernel, whose numbers are unknown, are distinguished from files.
    """
    if "ipykernel_" not in text and "<ipython-input" not in text:
        return text
    numbers = getattr(getattr(shell(), "compile", None), "_filename_map", {})

    def named(found: re.Match[str]) -> str:
        path, line = found.groups()
        if path in numbers:
            return f"Cell In[{numbers[path]}], line {line}"
        return f"Cell of an earlier kernel, line {line}" if _CELL_FILE.search(path) else found[0]

    return _FRAME.sub(named, text)


_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')
_CELL_FILE = re.compile(r"[/\\]ipykernel_\d+[/\\]\d+\.py$")
