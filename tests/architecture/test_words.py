"""Nothing in the repository speaks of the place where it was written: its people and programs, paths, mirrors."""

from __future__ import annotations

import re

import pytest

from tests.architecture.repository import files, relative

# Written so that this file does not contain what it looks for, and so that a database session or a user agent is fine.
FORBIDDEN = [
    r"/wo[r]k/",
    r"/roo[t]/",
    r"/home/\w+/",
    r"/opt/dwar[f]",
    r"/tmp/note[s]",
    r"\bpyp[i]\.org",
    r"pythonhoste[d]\.org",
    r"npmj[s]\.(org|com)",
    r"deb\.debia[n]\.org",
    r"\bCE[O]\b",
    r"\bworkplac[e]\b",
    r"\bclaud[e]\b",
    r"\banthropi[c]\b",
    r"\bchatgp[t]\b",
    r"\bissue #?\d[+]?",
    r"\bshared/(design|spec|survey)\b",
]
PATTERN = re.compile("|".join(FORBIDDEN), re.IGNORECASE)


def test_no_file_names_the_place_it_was_written_in() -> None:
    found = []
    for path in files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for number, line in enumerate(text.splitlines(), start=1):
            if match := PATTERN.search(line):
                found.append(f"{relative(path)}:{number}: {match.group()!r}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text", ["async_sessionmaker()", "the user agent", "at work / at home", "an LLM agent", "see issues"]
)
def test_ordinary_words_are_allowed(text: str) -> None:
    assert not PATTERN.search(text)


@pytest.mark.parametrize("text", ["/wo~rk/main", "/ro~ot/x", "https://py~pi.org/simple", "is~sue 12", "is~sue #3"])
def test_telling_words_are_found(text: str) -> None:
    assert PATTERN.search(text.replace("~", ""))
