"""How does a display come onto a page of ours? As a picture, a closed frame or a text: nothing in it runs or loads.

A view is plain data: ``{"kind": "image", "src"}``, ``{"kind": "frame", "html"}`` for a frame without scripts,
``{"kind": "rich", "html"}`` of harmless tags, or ``{"kind": "text", "text"}``.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from dwarf.notebook.pictures.formatting import plain

__all__ = ["closed_page", "markdown_html", "thumbnail", "view_html", "view_of"]

MOST = 4_000_000  # characters of a display on a page
_MOST_TEXT = 100_000
_THUMB = 220  # pixels
_MOST_THUMB = 60_000
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = (
    "body{margin:0;font:13px/1.45 system-ui,sans-serif;color:%s;background:transparent}"
    "table{border-collapse:collapse;border:0;font-size:12.5px}th,td{border:0;padding:2px 10px 2px 0;text-align:left;"
    "border-bottom:1px solid #94a3b866;font-weight:400}thead th{font-weight:600}"
)


def view_of(data: Mapping[str, Any]) -> dict[str, str]:
    """The view of a mimebundle: the best of what it has."""
    for kind in ("image/png", "image/jpeg", "image/gif"):
        if isinstance(data.get(kind), str) and len(data[kind]) <= MOST:
            return {"kind": "image", "src": f"data:{kind};base64,{''.join(data[kind].split())}", "alt": _alt(data)}
    svg = data.get("image/svg+xml")
    if isinstance(svg, str) and len(svg) <= MOST:
        source = base64.b64encode(svg.encode()).decode()
        return {"kind": "image", "src": f"data:image/svg+xml;base64,{source}", "alt": _alt(data)}
    page = data.get("text/html")
    if isinstance(page, str) and len(page) <= MOST:
        return {"kind": "frame", "html": page}
    text = data.get("text/markdown")
    if isinstance(text, str) and len(text) <= _MOST_TEXT:
        return {"kind": "rich", "html": markdown_html(text)}
    for kind in ("text/latex", "text/plain"):
        if isinstance(data.get(kind), str):
            return {"kind": "text", "text": _cut(plain(data[kind]))}
    return {"kind": "text", "text": _cut(json.dumps(dict(data), ensure_ascii=False, indent=1, default=str))}


def view_html(data: Mapping[str, Any]) -> str:
    """A mimebundle as HTML for a page without scripts."""
    view = view_of(data)
    if view["kind"] == "image":
        return f'<img src="{view["src"]}" alt="{html.escape(view["alt"])}" style="max-width:100%">'
    if view["kind"] == "frame":
        page = html.escape(closed_page(view["html"]))
        style = "width:100%;height:320px;border:1px solid #94a3b8;border-radius:6px;background:#fff"
        return f'<iframe sandbox title="{html.escape(_alt(data))}" style="{style}" srcdoc="{page}"></iframe>'
    if view["kind"] == "rich":
        return view["html"]
    return f"<pre>{html.escape(view['text'])}</pre>"


def closed_page(body: str, ink: str = "#0f172a") -> str:
    """A page for a frame: whatever is in it, it loads nothing from anywhere, and without scripts it runs nothing."""
    head = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE % ink}</style>'
    return f'<!DOCTYPE html><html><head><meta charset="utf-8">{head}</head><body>{body}</body></html>'


def thumbnail(data: Mapping[str, Any]) -> str:
    """A small picture of a display as a data URL; "" where there is none."""
    view = view_of(data)
    if view["kind"] != "image":
        return ""
    if len(view["src"]) <= _MOST_THUMB // 4:
        return view["src"]
    try:
        from io import BytesIO

        from PIL import Image

        made = BytesIO()
        with Image.open(BytesIO(base64.b64decode(view["src"].partition(",")[2]))) as picture:
            picture.thumbnail((_THUMB, _THUMB))
            picture.convert("RGB").save(made, "JPEG", quality=80)
        return f"data:image/jpeg;base64,{base64.b64encode(made.getvalue()).decode()}"
    except Exception:  # noqa: BLE001  no library, or no picture that it can read: the words must do
        return ""


def markdown_html(text: str) -> str:
    """Markdown as HTML: raw HTML in it stays text, pictures from elsewhere are left out."""
    render = _renderer()
    return f"<pre>{html.escape(text)}</pre>" if render is None else str(render(text))


@cache
def _renderer() -> Any:
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        return None
    made = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").disable("image")
    return made.render


def _alt(data: Mapping[str, Any]) -> str:
    text = data.get("text/plain")
    return plain(text)[:200] if isinstance(text, str) else "a display"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}\n… {len(text) - _MOST_TEXT:,} more characters"
