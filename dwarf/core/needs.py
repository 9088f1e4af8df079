"""What a process must have to run a step, as one text: the task's URL, and the executor that its node asks for.

The rows of steps have it in the place of the URL alone, so that whoever looks for work leaves steps it cannot run as
it leaves those of unknown tasks.
"""

from __future__ import annotations

_APART = "\x1f"  # the unit separator of ASCII: it is in no URL


def need_of(url: str, executor: str = "") -> str:
    """The need of a step of this task, in this executor; "" is none, and the need is the URL."""
    return f"{url}{_APART}{executor}" if executor else url


def parts_of(need: str) -> tuple[str, str]:
    """The URL of the task, and the name of the executor or ""."""
    url, _, executor = need.partition(_APART)
    return url, executor
