"""What a process must have to run a step, as one text: the task's URL, and the executor that its node asks for.

The rows of steps have it in the place of the URL alone, so that whoever looks for work leaves steps it cannot run as
it leaves those of unknown tasks.
"""

from __future__ import annotations

from collections.abc import Iterable

APART = "\x1f"  # the unit separator of ASCII: it is in no URL
_LABELS = "\x1e"  # the record separator: no URL begins with it


def need_of(url: str, executor: str = "") -> str:
    """The need of a step of this task, in this executor; "" is none, and the need is the URL."""
    return f"{url}{APART}{executor}" if executor else url


def parts_of(need: str) -> tuple[str, str]:
    """The URL of the task, and the name of the executor or ""."""
    url, _, executor = need.partition(APART)
    return url, executor


def labels_told(labels: str) -> str:
    """What an engine with these labels, joined by commas, tells of them beside the needs that it meets."""
    return _LABELS + labels


def any_has_labels(told: Iterable[str], wanted: str) -> bool:
    """Whether one of those that have told this has all of the labels, which are joined by commas."""
    asked = set(wanted.split(","))
    return any(asked <= set(text[1:].split(",")) for text in told if text.startswith(_LABELS))
