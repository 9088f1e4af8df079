"""No link leads nowhere: files and headings that pages name exist. Addresses on the net are not asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.repository import ROOT

PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("**/*.md"),
    *(ROOT / "notebooks").glob("*.md"),
    ROOT / "tests/README.md",
]
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
CODE = re.compile(r"^(```+).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)
GENERATED = {"genindex", "modindex", "search"}


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub and MyST make them, and the labels that are set."""
    text = page.read_text(encoding="utf-8")
    titles = re.findall(
        r"^#+ (.+)$", CODE.sub(lambda match: match[0].strip("`") if "\n" not in match[0] else "", text), re.MULTILINE
    )
    made = {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}
    return made | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def dead(page: Path) -> Iterator[str]:
    labels = {
        label
        for each in PAGES
        for label in re.findall(r"^\(([\w-]+)\)=$", each.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for found in LINK.finditer(CODE.sub("", page.read_text(encoding="utf-8"))):
        target = found[1] or found[2]
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or target in labels | GENERATED:
            continue
        file = (page.parent / place).resolve() if place else page
        if not file.exists():
            yield f"{page.relative_to(ROOT)}: {target}"
        elif anchor and file.suffix == ".md" and anchor not in headings(file) | labels:
            yield f"{page.relative_to(ROOT)}: {target} (no such heading)"


def test_no_link_leads_nowhere() -> None:
    assert [fault for page in PAGES for fault in dead(page)] == []
