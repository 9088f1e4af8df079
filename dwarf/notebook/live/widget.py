"""What does the front end get? The widget's class, its scripts and styles, and the words and colours it paints with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any

from dwarf.notebook.kernel import shell
from dwarf.notebook.pictures.palette import DARK, EDGES, LOOKS, ON_ERROR_EDGE

__all__ = [
    "STYLES",
    "asset",
    "fit_into_boxes",
    "module",
    "publish",
    "style",
    "theme",
    "widget_bundle",
    "widget_class",
]

_VIEW = "application/vnd.jupyter.widget-view+json"

_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_FROM = re.compile(r'^import [^;]* from "\./([\w.]+)";$', re.MULTILINE)
_DEFAULT = re.compile(r"^export default [^;]*;\n", re.MULTILINE)
_EXPORTED = re.compile(r"^export (?=function|const|class|async)", re.MULTILINE)
STYLES = ("dwarf.css", "run.css")


def widget_bundle(widget: Any, still: Mapping[str, Any]) -> dict[str, Any]:
    """The bundle of a live widget, beside what front ends without widgets show."""
    return {_VIEW: {"version_major": 2, "version_minor": 1, "model_id": widget.model_id}, **still}


def publish(bundle: Mapping[str, Any], display_id: str, *, update: bool = False) -> None:
    """Display a bundle, or replace the earlier display with the same id. Outside IPython nothing is displayed."""
    if shell() is None:
        return  # IPython would create a shell, and the program would look like a terminal's IPython from then on
    from IPython.display import publish_display_data

    send: Any = publish_display_data  # it has no types
    send(dict(bundle), transient={"display_id": display_id}, update=update)


@cache
def asset(name: str) -> str:
    """The text of a file that ships with the package, such as ``card.js``."""
    return (resources.files("dwarf.notebook") / "static" / name).read_text(encoding="utf-8")


@cache
def module(name: str) -> str:
    """A script of the package and all its imports, as one module.

    Front ends get it as a text and cannot resolve an import of a neighbouring file. So each file comes after the files
    that it imports, and lines with import and export are removed.
    """
    order: list[str] = []
    _put_in_order(name, order, set())
    *parts, last = (_EXPORTED.sub("", _IMPORT.sub("", asset(each))) for each in order)
    return "\n".join([*(_DEFAULT.sub("", part) for part in parts), last])


def _put_in_order(name: str, order: list[str], known: set[str]) -> None:
    known.add(name)
    for other in _FROM.findall(asset(name)):
        if other not in known:
            _put_in_order(other, order, known)
    order.append(name)


def fit_into_boxes(widget: Any) -> Any:
    """The widget takes the width that a box of widgets offers: a view is laid out by its width and sets none."""
    widget.layout.flex = "1 1 auto"
    widget.layout.min_width = "min(320px, 100%)"
    return widget


def style() -> str:
    """The style sheet of the live view."""
    return "\n".join(asset(name) for name in STYLES)


def theme() -> dict[str, Any]:
    """The looks, the numbers of states, and the dark variant of each colour."""
    looks = {key: asdict(look) for key, look in LOOKS.items()}
    return {"looks": looks, "states": list(LOOKS), "edge": EDGES, "onError": ON_ERROR_EDGE, "dark": DARK}


@cache
def widget_class() -> Any:
    """The widget's class, created at the first use. ImportError with the command that installs the package."""
    try:
        import anywidget
        import traitlets
    except ImportError as fault:
        raise ImportError("live views need anywidget: pip install 'dwarf[notebook]'") from fault

    class DwarfRun(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The live view of a run; every trait is a whole state, and ``planes`` are its pictures by their path."""

        _esm = module("run.js")
        _css = style()
        theme = traitlets.Dict().tag(sync=True)
        svg = traitlets.Unicode().tag(sync=True)
        planes: Any = traitlets.Dict().tag(sync=True)
        flow = traitlets.Dict().tag(sync=True)
        cards: Any = traitlets.List().tag(sync=True)
        said: Any = traitlets.Dict().tag(sync=True)
        earlier: Any = traitlets.List().tag(sync=True)

    return DwarfRun
