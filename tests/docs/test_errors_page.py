"""The page about errors has every error there is, and no other."""

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
