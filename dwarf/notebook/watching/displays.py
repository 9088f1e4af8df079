"""How does something come to stand under a cell, and how is it replaced there?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dwarf.notebook.kernel import shell

__all__ = ["publish", "widget_bundle"]

_VIEW = "application/vnd.jupyter.widget-view+json"


def widget_bundle(widget: Any, still: Mapping[str, Any]) -> dict[str, Any]:
    """The bundle of a live widget, beside what front ends without widgets show."""
    return {_VIEW: {"version_major": 2, "version_minor": 1, "model_id": widget.model_id}, **still}


def publish(bundle: Mapping[str, Any], display_id: str, *, update: bool = False) -> None:
    """Display a bundle, or replace what has been displayed under the same id. Outside IPython nothing is displayed."""
    if shell() is None:
        return  # IPython would make a shell for it, and the program would look like a terminal's IPython from then on
    from IPython.display import publish_display_data

    send: Any = publish_display_data  # it has no types
    send(dict(bundle), transient={"display_id": display_id}, update=update)
