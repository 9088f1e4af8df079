"""Pages that list things have all of them: errors, and the pages themselves."""

from __future__ import annotations

import re

from dwarf import errors
from tests.architecture.repository import ROOT


def test_every_error_has_its_cure() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    named = set(
        re.findall(
            r"`([A-Z][A-Za-z]+)`", "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
        )
    )
    abstract = {"DwarfError", "NotFound", "FlowStopped"}
    elsewhere = {"TimeoutError", "HostUnavailable", "RemoteTaskError"}
    assert named - elsewhere == set(errors.__all__) - abstract


def test_models_are_told_of_every_page() -> None:
    text = (ROOT / "docs" / "llms.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", text)) == {path.name for path in (ROOT / "docs").glob("*.md")}
