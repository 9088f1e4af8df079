"""The table of instruments, and the pages that show it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from dwarf.observe.instruments import BY_KEY, INSTRUMENTS, NOT_MEASURED, Instrument, not_measured, table
from tests.architecture.repository import ROOT

SUFFIXES = ("_total", "_bucket", "_count", "_sum")
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")


def test_the_page_has_the_table_of_the_code() -> None:
    for option, expected in (("--table", table()), ("--not-measured", not_measured())):
        assert expected in PAGE, f"paste what `python -m dwarf.observe.instruments {option}` prints into the page"


@pytest.mark.parametrize("option", ["", "--table", "--not-measured"])
def test_the_table_can_be_printed(option: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "dwarf.observe.instruments", *filter(None, [option])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == (not_measured() if option == "--not-measured" else table())


def test_names_and_labels_are_well_formed() -> None:
    assert len(BY_KEY) == len(INSTRUMENTS)
    for instrument in INSTRUMENTS:
        assert re.fullmatch(r"dwarf_[a-z_]+", instrument.name)
        assert all(re.fullmatch(r"[a-z_]+", label) for label in instrument.labels)
        assert not instrument.name.endswith("_total")
        assert (instrument.kind == "histogram") == bool(instrument.buckets)
        assert list(instrument.buckets) == sorted(set(instrument.buckets))
        assert instrument.name.endswith("_seconds") == (instrument.unit == "s")
        assert instrument.name.endswith("_bytes") == (instrument.unit == "By")


def test_nothing_is_both_measured_and_not() -> None:
    left_out = {name for names in NOT_MEASURED for name in names.split()}
    assert not left_out & BY_KEY.keys()


QUERIES = re.findall(r"`([^`]*dwarf_[^`]*)`", PAGE[PAGE.index("## Queries") :])


def instrument_of(name: str) -> Instrument:
    names = {instrument.name: instrument for instrument in INSTRUMENTS}
    return next(names[base] for base in (name, *map(name.removesuffix, SUFFIXES)) if base in names)


@pytest.mark.parametrize("asked", QUERIES)
def test_queries_ask_for_what_there_is(asked: str) -> None:
    found = [instrument_of(name) for name in re.findall(r"\bdwarf_[a-z_]+", asked)]
    allowed = {label for instrument in found for label in instrument.labels}
    if any(instrument.kind == "histogram" for instrument in found):
        allowed.add("le")
    grouped = {label for labels in re.findall(r"by \(([^)]*)\)", asked) for label in labels.split(", ")}
    chosen = set(re.findall(r'(\w+)="', asked))
    assert grouped | chosen <= allowed
    assert asked.count("(") == asked.count(")")


def test_every_instrument_is_in_a_query_or_an_alarm() -> None:
    asked = {instrument_of(name).key for name in re.findall(r"\bdwarf_[a-z_]+", " ".join(QUERIES))}
    assert BY_KEY.keys() - asked == set()
