"""How are times and values said? Short, and the same in pictures, cards and tables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

__all__ = ["brief", "difference_text", "duration_text", "plain", "plural", "rate_text", "seconds_text"]


def seconds_text(seconds: float) -> str:
    """``820 ms``, ``4.2 s``, ``1.3 min``, ``2.5 h``, ``3.1 d``; a negative duration reads as none."""
    seconds = max(seconds, 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 129_600 else f"{seconds / 86_400:.1f} d"


def duration_text(duration: timedelta | None) -> str:
    """A duration in words, or nothing for None."""
    return "" if duration is None else seconds_text(duration.total_seconds())


def rate_text(rate: float) -> str:
    """``120 a second``, ``2.5 a second``, ``14 a minute``, for a rate per second."""
    if rate >= 1:
        return f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.1f} a second"
    return f"{rate * 60:,.0f} a minute" if rate * 60 >= 10 else f"{rate * 60:.1f} a minute"


def plural(count: int, noun: str) -> str:
    """``1 step``, ``2 steps``, ``10,000 steps``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")


def plain(text: str) -> str:
    """A text without the codes that colour it in a terminal."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def brief(value: Any, length: int = 80) -> str:
    """A value on one line: text as it is, anything else as JSON, cut to ``length`` characters."""
    if isinstance(value, str):
        text = " ".join(plain(value[: length * 4]).split())
    else:
        try:
            text = json.dumps(value, ensure_ascii=False, default=str)
        except (TypeError, ValueError):
            text = str(value)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def difference_text(pairs: Mapping[str, tuple[Any, Any]], length: int = 60) -> str:
    """``score 4 → 9, note set``: what is different, in few words."""
    told = []
    for name, (old, new) in pairs.items():
        if old is None:
            told.append(f"{name} = {brief(new, 24)}")
        elif new is None:
            told.append(f"{name} removed")
        else:
            told.append(f"{name} {brief(old, 16)} → {brief(new, 16)}")
    return brief(", ".join(told), length)
