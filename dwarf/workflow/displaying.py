"""The mimebundle of a value: its representations for a front end, computed immediately from its present state.

It is computed in its own thread with a time limit: a task goes on even if a ``_repr_html_`` hangs. No library is
imported or required: a value without representations has its ``repr``.
"""

from __future__ import annotations

import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextvars import copy_context
from io import BytesIO
from typing import Any, Final

from dwarf.errors import StateError
from dwarf.workflow.jsontext import JSON, dumps
from dwarf.workflow.output import SHOWN, Display, sound

__all__ = ["bundle_of", "is_rich"]

LONGEST_TEXT: Final = 64 * 1024  # characters of a repr
PATIENCE_S: Final = 20.0
_METHODS: Final = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "text/latex": "_repr_latex_",
    "application/json": "_repr_json_",
}


def bundle_of(value: Any) -> dict[str, JSON]:
    """A text, or another JSON value, for each type; binary data in Base64. There is always a "text/plain".

    A representation that raises, takes longer than twenty seconds or exceeds the size limit of a step is left out, and
    the plain text says so.
    """
    if isinstance(value, str):
        return {"text/plain": sound(str.__str__(value))}
    if isinstance(value, Display):
        return dict(value.data)
    found: dict[str, JSON] = {}
    faults: list[str] = []
    context = copy_context()
    asking = threading.Thread(target=context.run, args=(_ask, value, found, faults), name="dwarf-display", daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    if asking.is_alive():
        found, faults = dict(found), [*faults, f"it was not there after {PATIENCE_S:.0f} s"]
    if "text/plain" not in found:
        found["text/plain"] = f"<{type(value).__name__}>"
    if faults:
        found["text/plain"] = f"{found['text/plain']}\n(not all of it can be shown: {'; '.join(faults)})"
    return found


def is_rich(value: Any) -> bool:
    """Whether a value has other representations than its repr."""
    return next(_ways(value), None) is not None


def _ask(value: Any, found: dict[str, JSON], faults: list[str]) -> None:
    """Add the representations of the value; the plain text comes last, as it may be the slowest."""
    for kind, make in _ways(value):
        try:
            _keep(kind, make(), found, faults)
        except BaseException as error:  # noqa: BLE001 - a repr may raise anything
            faults.append(f"{kind}: {type(error).__name__}: {error}"[:300])
    if "text/plain" not in found:
        try:
            text = repr(value)
        except BaseException as error:  # noqa: BLE001 - as above
            text = f"<{type(value).__name__}: its repr raised {type(error).__name__}>"
        if len(text) > LONGEST_TEXT:
            text = f"{text[:LONGEST_TEXT]} … ({len(text):,} characters)"
        found["text/plain"] = sound(text)


def _ways(value: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The representation methods of a value, each with its type; "" for a whole bundle."""
    if isinstance(value, type):
        return
    figure = _figure_of(value)
    if figure is not None:
        yield "image/png", lambda: _drawn(figure)
        return
    for kind, name in {"": "_repr_mimebundle_", **_METHODS}.items():
        method = getattr(type(value), name, None)
        if callable(method):
            yield kind, getattr(value, name)


def _figure_of(value: Any) -> Any:
    """The matplotlib figure that a value is, or belongs to; None for other values."""
    module = sys.modules.get("matplotlib.figure")
    if module is None:
        return None
    if isinstance(value, module.Figure):
        return value
    figure = getattr(value, "figure", None)
    return figure if isinstance(figure, module.Figure) else None


def _drawn(figure: Any) -> bytes:
    picture = BytesIO()
    figure.savefig(picture, format="png", bbox_inches="tight", dpi=max(figure.dpi, 96))
    return picture.getvalue()


def _keep(kind: str, answer: Any, found: dict[str, JSON], faults: list[str]) -> None:
    if isinstance(answer, tuple) and len(answer) == 2:  # with metadata
        answer = answer[0]
    if answer is None:
        return
    if not kind:
        if isinstance(answer, Mapping):
            for name, each in answer.items():
                _keep(str(name), each, found, faults)
        return
    if kind in found:
        return
    if isinstance(answer, (bytes, bytearray, memoryview)):
        answer = b64encode(answer).decode()
    try:
        size = len(answer) if isinstance(answer, str) else len(dumps(answer))
    except StateError as error:
        faults.append(f"{kind}: {error}")
        return
    if kind == "text/plain" and isinstance(answer, str) and size > LONGEST_TEXT:
        answer = f"{answer[:LONGEST_TEXT]} … ({size:,} characters)"
    elif size > SHOWN:
        faults.append(f"{kind} has {size / 2**20:,.0f} MB, and a step keeps {SHOWN / 2**20:.0f} MB")
        return
    found[kind] = sound(answer) if isinstance(answer, str) else answer
