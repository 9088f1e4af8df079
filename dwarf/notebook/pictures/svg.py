"""How is SVG text made safely? The ``Svg`` string that displays itself, escaping, and text metrics."""

from __future__ import annotations

import os
import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

__all__ = [
    "FONT",
    "MONO",
    "Svg",
    "attributes",
    "element",
    "escape",
    "fit_middle",
    "fit_text",
    "number",
    "open_svg",
    "text_width",
]

# Families with the same metrics stand first, so that the estimated widths hold on most machines.
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
MONO = "Menlo, Consolas, Liberation Mono, monospace"

# Advance widths of Helvetica for the characters from space to tilde, in thousandths of the font size.
_WIDTHS = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 "
    "584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 "
    "667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 "
    "278 556 500 722 500 500 500 334 260 334 584"
)
_ADVANCE = dict(zip((chr(code) for code in range(32, 127)), map(int, _WIDTHS.split()), strict=True))

# Characters that XML 1.0 cannot hold, in any form: everything below space but tab and line ends, and lone surrogates.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Svg(str):
    """The text of an SVG picture. In a notebook it displays as the picture; ``alt`` is its plain-text form.

    Example::

        Path("run.svg").write_text(run.picture())
    """

    alt: str

    def __new__(cls, text: str = "", *, alt: str = "") -> Self:
        made = super().__new__(cls, text)
        made.alt = alt
        return made

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": str(self), "text/plain": self.alt or f"<picture, {len(self):,} characters of SVG>"}

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.alt or "<picture>")  # or IPython would print the whole string beside the picture

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file and return its path."""
        target = Path(path)
        target.write_text(self, encoding="utf-8")
        return target


def escape(text: object) -> str:
    """Text that is safe between tags and inside double-quoted attributes."""
    cleaned = _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(text))
    return (
        cleaned.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("'", "&#39;")
    )


def attributes(**values: object) -> str:
    """``fill_opacity=0.5`` becomes `` fill-opacity="0.5"``. None is left out; numbers are rounded to 0.1."""
    parts = []
    for name, value in values.items():
        if value is None:
            continue
        text = number(value) if isinstance(value, int | float) else escape(value)
        parts.append(f' {name.strip("_").replace("_", "-")}="{text}"')
    return "".join(parts)


def element(tag: str, text: str | None = None, **values: object) -> str:
    """One element; ``text`` is escaped."""
    inner = "" if text is None else escape(text)
    return f"<{tag}{attributes(**values)}>{inner}</{tag}>" if text is not None else f"<{tag}{attributes(**values)}/>"


def open_svg(
    width: float,
    height: float,
    label: str,
    scale: float = 1.0,
    *,
    name: str | None = None,
    left: float = 0.0,
    top: float = 0.0,
) -> str:
    """The opening tag of a picture; its size is written in pixels, since front ends clip what they cannot measure.

    ``left`` and ``top``: where in the drawing it begins.
    """
    size = attributes(width=width * scale, height=height * scale, data_name=name)
    box = f'viewBox="{number(left)} {number(top)} {number(width)} {number(height)}"'
    names = f'role="img" font-family="{escape(FONT)}" aria-label="{escape(label)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg"{size} {box} {names}>'


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, *, bold: bool = False, mono: bool = False) -> float:
    """The estimated width of a line in pixels, slightly generous."""
    if mono:
        return size * 0.602 * sum(2 if _is_wide(char) else 1 for char in text)
    total = sum(_ADVANCE.get(char) or (1000 if _is_wide(char) else 600) for char in text)
    return total / 1000 * size * (1.07 if bold else 1.0) * 1.02


@lru_cache(maxsize=4096)
def fit_middle(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """A name on one line, cut in its middle where it is too wide: names of one family differ at their ends."""
    line = " ".join(text[:2000].split())
    if text_width(line, size, bold=bold) <= room:
        return line
    low, high = 0, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        fits = text_width(_without_middle(line, middle), size, bold=bold) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return _without_middle(line, low)


def _without_middle(line: str, kept: int) -> str:
    head = (kept + 1) // 2
    tail = kept - head
    return f"{line[:head].rstrip()}…{line[len(line) - tail :].lstrip() if tail else ''}"


def wrap_text(text: str, room: float, size: float) -> list[str]:
    """The text on as many lines as it needs."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return [fit_text(line, room, size) for line in lines]


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


@lru_cache(maxsize=4096)
def fit_text(text: str, room: float, size: float, *, bold: bool = False, mono: bool = False) -> str:
    """The text on one line, cut with an ellipsis where it is wider than ``room`` pixels."""
    line = " ".join(text.split()) if len(text) < 2000 else " ".join(text[:2000].split())
    if text_width(line, size, bold=bold, mono=mono) <= room:
        return line
    low, high = 0, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        fits = text_width(line[:middle].rstrip() + "…", size, bold=bold, mono=mono) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return line[:low].rstrip() + "…"
