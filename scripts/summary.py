"""Sums up a run of ./scripts/test: `summary.py FOLDER NAME=ok|failed ...`, with pytest's XML reports in the folder.

Each check counts as one test, except those that left a report `FOLDER/NAME.xml`: there each test counts.
The last line printed is the sum; the exit status is 0 only if everything passed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def count(report: Path) -> tuple[int, int, int]:
    """How many tests of a report passed, failed and were skipped."""
    suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - written by our own pytest
    total, failures, errors, skipped = (
        sum(int(suite.get(key, "0")) for suite in suites) for key in ("tests", "failures", "errors", "skipped")
    )
    return total - failures - errors - skipped, failures + errors, skipped


def main(folder: str, *checks: str) -> int:
    """Print the summary and return the exit status."""
    passed = failed = skipped = 0
    broken = []
    for check in checks:
        name, _, verdict = check.rpartition("=")
        report = Path(folder, f"{name}.xml")
        ok, bad, left_out = count(report) if report.exists() else (int(verdict == "ok"), 0, 0)
        if verdict != "ok":
            broken.append(name)
            bad = max(bad, 1)  # a check that broke down before it could count is one failure
        passed, failed, skipped = passed + ok, failed + bad, skipped + left_out
    if broken:
        print("failed:", ", ".join(broken))
    print(f"tests: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
