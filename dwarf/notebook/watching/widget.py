"""What does the front end get? The widget's class, its scripts and styles, and the words and colours it paints with."""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any

from dwarf.notebook.pictures.palette import DARK, EDGES, LOOKS, ON_ERROR_EDGE

__all__ = ["SCRIPTS", "STYLES", "asset", "module", "script", "style", "theme", "widget_class"]

SCRIPTS = (
    "typing.js",
    "dark.js",
    "card.js",
    "grid.js",
    "life.js",
    "viewport.js",
    "picture.js",
    "said.js",
    "panel.js",
    "run.js",
)
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_DEFAULT = re.compile(r"^export default [^;]*;\n", re.MULTILINE)
_EXPORTED = re.compile(r"^export (?=function|const|class|async)", re.MULTILINE)
STYLES = ("dwarf.css", "run.css")


@cache
def asset(name: str) -> str:
    """The text of a file that ships with the package, such as ``card.js``."""
    return (resources.files("dwarf.notebook") / "static" / name).read_text(encoding="utf-8")


def module(*names: str) -> str:
    """One module of several of the package's, in an order in which each comes after those it imports.

    Front ends get it as a text and cannot follow an import to a file beside it, so these lines are left out.
    """
    *parts, last = (_EXPORTED.sub("", _IMPORT.sub("", asset(name))) for name in names)
    return "\n".join([*(_DEFAULT.sub("", part) for part in parts), last])


def script() -> str:
    """The module of the live view."""
    return module(*SCRIPTS)


def style() -> str:
    """The style sheet of the live view."""
    return "\n".join(asset(name) for name in STYLES)


def theme() -> dict[str, Any]:
    """The looks, the order in which states are numbered, and what each colour becomes on a dark page."""
    looks = {key: asdict(look) for key, look in LOOKS.items()}
    return {"looks": looks, "states": list(LOOKS), "edge": EDGES, "onError": ON_ERROR_EDGE, "dark": DARK}


@cache
def widget_class() -> Any:
    """The widget's class, made at the first use; ImportError that says what to install."""
    try:
        import anywidget
        import traitlets
    except ImportError as fault:
        raise ImportError("live views need anywidget: pip install 'dwarf[notebook]'") from fault

    class DwarfRun(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The live view of a run; every trait is a whole state, and ``planes`` are its pictures by their path."""

        _esm = script()
        _css = style()
        theme = traitlets.Dict().tag(sync=True)
        svg = traitlets.Unicode().tag(sync=True)
        planes: Any = traitlets.Dict().tag(sync=True)
        flow = traitlets.Dict().tag(sync=True)
        cards: Any = traitlets.List().tag(sync=True)
        said: Any = traitlets.Dict().tag(sync=True)

    return DwarfRun
