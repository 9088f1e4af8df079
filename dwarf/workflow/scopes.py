"""The default URL of a task: the scope in which it is defined, and its qualified name.

A name alone is not enough: two programs on one database must not run each other's functions because of equal names. The
scope is the module's name. The main program has no module name: its scope is the name it was started with, or the name
of its notebook, as reported by the front end.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from dwarf.errors import ConfigError

__all__ = [
    "SCOPE",
    "code_of",
    "in_notebook",
    "is_nameless",
    "name_of",
    "notebook_shell",
    "scope_of",
    "scope_of_names",
    "url_of",
]

SCOPE: Final = "__dwarf_scope__"
"""The global name with which a module or a notebook sets its scope."""

_MAIN: Final = ("__main__", "__mp_main__")  # the second is a main program as imported by a child process
_NOTEBOOK_TOOLS: Final = ("papermill", "voila", "nbconvert", "jupyter-nbconvert", "jupyter-execute", "execute")


def url_of(task: Any, graph: str = "", node: str = "") -> str:
    """The URL of a task without an explicit one.

    A lambda, a partial or a callable object has no name, so its URL is made of the graph and the node; without a graph,
    of the name of the function that it calls.
    """
    scope = scope_of(task)
    return f"{scope}.{graph}.{node}" if node and is_nameless(task) else f"{scope}.{name_of(task)}"


def is_nameless(task: Any) -> bool:
    """Whether this is a callable without a name."""
    name = getattr(task, "__name__", None)
    return not isinstance(name, str) or not name or name == "<lambda>" or not isinstance(_qualname(task), str)


def name_of(task: Any) -> str:
    """The qualified name of a function; for a partial of its function, for a callable object of its class."""
    while isinstance(task, functools.partial):
        task = task.func
    name = _qualname(task)
    return name if isinstance(name, str) and name else type(task).__qualname__


def _qualname(task: Any) -> Any:
    return getattr(task, "__qualname__", None) or getattr(task, "__name__", None)


def code_of(task: Any) -> Any:
    """The end of a call: the function under partials, methods and wrappers; the class of an object."""
    for _ in range(100):  # a wrapper may lead back to itself
        if isinstance(task, functools.partial):
            task = task.func
        elif inspect.ismethod(task):
            task = task.__func__
        elif (wrapped := getattr(task, "__wrapped__", None)) is not None and callable(wrapped):
            task = wrapped
        else:
            break
    return task if inspect.isroutine(task) or isinstance(task, type) else type(task)


def scope_of(task: Any) -> str:
    """The scope in which a task is defined. ConfigError if ``__dwarf_scope__`` is not a text."""
    code = code_of(task)
    module = getattr(code, "__module__", None)
    names = getattr(code, "__globals__", None)
    if names is None:
        names = vars(sys.modules[module]) if module in sys.modules else {}
    return scope_of_names(names, module)


def scope_of_names(names: Mapping[str, Any], module: Any = None) -> str:
    """The scope of definitions among these global names, in a module of this name. ConfigError."""
    given = names.get(SCOPE)
    if given is not None:
        if not isinstance(given, str) or not given.strip():
            raise ConfigError(f"{SCOPE} must be a text that is not empty, not {given!r}")
        return str.__str__(given)
    if not isinstance(module, str) or not module:
        module = names.get("__name__", "main")
    return _scope_of_main(names) if module in _MAIN else str(module)


# ------------------------------------------------------------------ the main program


def _scope_of_main(names: Mapping[str, Any]) -> str:
    if in_notebook(names):
        return _notebook(names)
    spec = getattr(names.get("__spec__"), "name", None)
    if isinstance(spec, str) and spec not in (*_MAIN, ""):
        return spec.removesuffix(".__main__")
    file = names.get("__file__")
    if not isinstance(file, str) or not file:
        return "main"
    name = _stem(file)
    return name if name not in _MAIN else Path(file).resolve().parent.name or "main"


def notebook_shell() -> Any:
    """The IPython shell of a notebook's kernel, or None. Does not import IPython."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get() if get is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


def in_notebook(names: Mapping[str, Any]) -> bool:
    """Whether these are the global names of a notebook's cells."""
    return names is getattr(notebook_shell(), "user_ns", None)


def _notebook(names: Mapping[str, Any]) -> str:
    """The name of a notebook as reported by its front end, or "notebook"."""
    told = (names.get("__vsc_ipynb_file__"), _session(names), _page())
    name = next((name for each in told if isinstance(each, str) and (name := _stem(each))), "")
    return name or _of_command() or "notebook"


def _session(names: Mapping[str, Any]) -> Any:
    """The session's name, unless the kernel's parent has it too: then it belongs to another notebook."""
    session = os.environ.get("JPY_SESSION_NAME") or names.get("__session__")
    return None if session and session == _parent()[1] else session


def _page() -> str | None:
    """The notebook that Voilà shows at this address."""
    page = os.environ.get("SCRIPT_NAME", "")
    return page if os.environ.get("SERVER_SOFTWARE", "").startswith("voila") and page.endswith(".ipynb") else None


def _of_command() -> str:
    """The notebook in the command of a tool that runs notebooks: the first one named, which is its input."""
    arguments = _parent()[0]
    if not any(_stem(argument) in _NOTEBOOK_TOOLS for argument in arguments[:4]):
        return ""
    return next((_stem(argument) for argument in arguments if argument.endswith(".ipynb")), "")


@functools.cache
def _parent() -> tuple[tuple[str, ...], str | None]:
    """The command of the parent process, and the parent's session."""
    try:
        psutil: Any = import_module("psutil")  # installed with a kernel
        parent = psutil.Process(os.getppid())
        return tuple(parent.cmdline()), parent.environ().get("JPY_SESSION_NAME")
    except Exception:  # noqa: BLE001 - not every system lets a process ask
        return (), None


def _stem(path: str) -> str:
    """A file's name without its folder and its suffix."""
    name = re.split(r"[\\/]", path.rstrip("\\/"))[-1]
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name
