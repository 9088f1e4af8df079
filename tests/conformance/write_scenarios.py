"""Makes SCENARIOS.md, the list of the numbered scenarios: python -m tests.conformance.write_scenarios"""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
TARGET = TESTS / "conformance" / "SCENARIOS.md"
PARTS = {
    "w": ("Workflow", "Graphs, conditions, reducers, the Flow that a task gets: what holds for one task or one graph."),
    "e": (
        "Engine",
        "Whole flows on an engine and its database: routing, errors, fan-outs, questions, children, forks, replicas.",
    ),
    "o": (
        "Operations",
        "Processes and servers that are stopped, cut off, restarted or slow. See also the table in tests/README.md.",
    ),
}
NAMED = re.compile(r"^(?:async )?def test_((?:[ewo]\d+_)+)(\w+)\(", re.MULTILINE)

HEAD = """# The numbered scenarios

The behaviour of this engine was specified as numbered scenarios before it was written. A test that is one of them bears its number:
`test_e61_...` is scenario 61 of the engine. This list has a line for each, in the words of its tests, and is made from their names by
`python -m tests.conformance.write_scenarios`. Numbers that are not here are in `tests/README.md`: scenarios that this design supersedes, and
those of operations that are tested elsewhere.
"""


def scenarios() -> dict[str, list[tuple[str, Path]]]:
    """What the tests of each scenario say, and where they are, by its letter and number."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for numbers, words in NAMED.findall(path.read_text(encoding="utf-8")):
            for number in numbers.rstrip("_").split("_"):
                found.setdefault(number, []).append((words.replace("_", " "), path))
    return found


def text() -> str:
    """The whole file."""
    known = scenarios()
    lines = [HEAD]
    for letter, (title, about) in PARTS.items():
        lines += [f"## {title}\n", f"{about}\n", "| number | what holds | tests |", "|---|---|---|"]
        for number in sorted((each for each in known if each[0] == letter), key=lambda each: int(each[1:])):
            said = "; ".join(dict.fromkeys(words for words, _ in known[number]))
            files = dict.fromkeys(path.relative_to(TESTS).as_posix() for _, path in known[number])
            lines.append(f"| {number} | {said} | {', '.join(f'[{file}](../{file})' for file in files)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
