"""An HTML table, as data frames show themselves, in plain text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

WIDEST = 48

_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?%?|NaN|NaT|None|", re.IGNORECASE)


def table_text(html: str) -> str:
    """The table in a piece of HTML with its columns aligned, or "" where there is none, or more than one."""
    reader = _CellCollector()
    reader.feed(html)
    if reader.tables != 1 or not reader.rows:
        return ""
    width = max(map(len, reader.rows))
    rows = [[_cut(cell) for cell in row] + [""] * (width - len(row)) for row in reader.rows]
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(_NUMBER.fullmatch(cell) for cell in column[1:]) for column in columns]
    lines = (
        "  ".join(
            cell.rjust(size) if right else cell.ljust(size)
            for cell, size, right in zip(row, widths, numeric, strict=True)
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _cut(cell: str) -> str:
    text = " ".join(cell.split())
    return text if len(text) <= WIDEST else text[: WIDEST - 3] + "..."


class _CellCollector(HTMLParser):
    """Collects the cells of every row."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = 0
        self.rows: list[list[str]] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables += 1
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data
