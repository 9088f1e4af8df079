"""Regular expressions in RE2 syntax, matched in linear time for any pattern and text."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

__all__ = ["BadPattern", "compile_pattern"]


class BadPattern(Exception):
    """Not a regular expression in RE2 syntax. The text says why."""


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether the pattern is found anywhere in a text. BadPattern if it is none."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        search = re2.compile(pattern, options).search
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args else ""
        raise BadPattern(reason.decode(errors="replace") if isinstance(reason, bytes) else str(error)) from None
    return lambda text: search(text) is not None
