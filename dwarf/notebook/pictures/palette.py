"""What does each state look like, and how are pictures readable on any page? Words, colours and icons, in one table."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "CARD",
    "DARK",
    "EDGE",
    "EDGES",
    "EDGE_TAKEN",
    "ERROR_TONE",
    "FAINT",
    "HAIR",
    "INK",
    "LOOKS",
    "Look",
    "MIDDLE",
    "MUTED",
    "ON_ERROR",
    "ON_ERROR_EDGE",
    "in_dark",
    "look_of",
    "on_any_ground",
]

INK = "#0f172a"
MUTED = "#475569"
FAINT = "#94a3b8"
HAIR = "#e2e8f0"
CARD = "#ffffff"
EDGE = "#94a3b8"
EDGE_TAKEN = "#334155"
ON_ERROR = "#b91c1c"
EDGES = ("#cbd5e1", EDGE_TAKEN)  # not taken, taken
ON_ERROR_EDGE = ("#fca5a5", ON_ERROR)

# Tones of words on the page itself: 4.5 to white, 4.1 to the black of dark themes. A picture for a dark page, which may
# stand on a light one later, has the same.
MIDDLE = "#68778d"
ERROR_TONE = "#df3131"
_ANY = {
    CARD: "none",
    INK: MIDDLE,
    MUTED: MIDDLE,
    EDGE_TAKEN: MIDDLE,
    FAINT: MIDDLE,
    "#64748b": MIDDLE,
    EDGE: "#94a3b8",
    HAIR: "#94a3b855",
    "#cbd5e1": "#94a3b8",
    "#f1f5f9": "#94a3b826",
    "#b91c1c": ERROR_TONE,
    "#fca5a5": "#e57373",
}
_COLOUR = re.compile(r'\b(fill|stroke)="(#[0-9a-f]{6})"')


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is drawn: ``fill`` and ``line`` of its card, ``ink`` of its words and icon, ``glyph`` an SVG path."""

    key: str
    word: str
    sign: str
    fill: str
    line: str
    ink: str
    glyph: str


def _looks(*looks: Look) -> dict[str, Look]:
    return {look.key: look for look in looks}


_CHECK = "M-3.6 0.3L-1.1 2.9L3.6 -2.7"
_CROSS = "M-2.8 -2.8L2.8 2.8M2.8 -2.8L-2.8 2.8"
_PLAY = "M-1.9 -3.2L3.3 0L-1.9 3.2Z"
_QUESTION = "M-2.4 -1.7C-2.4 -4.9 2.6 -4.8 2.6 -1.8C2.6 -0.2 0.1 0 0.1 1.6M0.1 4L0.1 4.1"
_CLOCK = "M0 -3.9L0 0.3L2.6 1.8"
_BAR = "M-3.4 0L3.4 0"
_AGAIN = "M3 -2.1A3.7 3.7 0 1 0 3.6 1M3.3 -4.5L3.1 -2L0.6 -2.2"
_MARK = "M0 -4.2V0.8M0 4V4.1"
_NESTED = "M-3.4 -3.4H1.2V1.2H-3.4ZM-0.6 3.6H3.6V-0.6"

# "sign" is the icon in plain text.
LOOKS = _looks(
    Look("idle", "not reached", "·", "#ffffff", "#cbd5e1", "#64748b", ""),
    Look("pending", "pending", "○", "#f8fafc", "#94a3b8", "#475569", _CLOCK),
    Look("delayed", "delayed", "◷", "#f8fafc", "#94a3b8", "#475569", _CLOCK),
    Look("running", "running", "▶", "#eff6ff", "#2563eb", "#1d4ed8", _PLAY),
    Look("nested", "in subgraph", "▣", "#eff6ff", "#2563eb", "#1d4ed8", _NESTED),
    Look("retrying", "retrying", "↻", "#fff7ed", "#ea580c", "#c2410c", _AGAIN),
    Look("interrupted", "waiting for an answer", "?", "#fffbeb", "#d97706", "#b45309", _QUESTION),
    Look("completed", "completed", "✔", "#f0fdf4", "#16a34a", "#15803d", _CHECK),
    Look("handled", "error handled", "!", "#fff7ed", "#ea580c", "#c2410c", _MARK),
    Look("failed", "failed", "✘", "#fef2f2", "#dc2626", "#b91c1c", _CROSS),
    Look("cancelled", "cancelled", "–", "#f1f5f9", "#64748b", "#475569", _BAR),
)

# What each colour becomes on a dark page.
DARK = {
    "#ffffff": "#161b22",
    "#f8fafc": "#1c232d",
    "#f1f5f9": "#222b36",
    "#e2e8f0": "#2d3644",
    "#cbd5e1": "#4a5667",
    "#94a3b8": "#7d8ba0",
    "#64748b": "#94a3b8",
    "#475569": "#aab6c6",
    "#334155": "#c1ccda",
    "#0f172a": "#e6ebf2",
    "#eff6ff": "#14233c",
    "#2563eb": "#4d8df6",
    "#1d4ed8": "#9cc4fb",
    "#fff7ed": "#2e1d10",
    "#ea580c": "#f08a3c",
    "#c2410c": "#fdb878",
    "#fffbeb": "#2c240d",
    "#d97706": "#dca426",
    "#b45309": "#fad562",
    "#f0fdf4": "#10261a",
    "#16a34a": "#2fa862",
    "#15803d": "#86e3a9",
    "#fef2f2": "#331718",
    "#dc2626": "#ee6a6a",
    "#b91c1c": "#fca9a9",
    "#fca5a5": "#7c4347",
}


def look_of(key: str) -> Look:
    """The look of a state by its key; an unknown one looks idle."""
    return LOOKS.get(key, LOOKS["idle"])


def on_any_ground(drawn: str) -> str:
    """What has been drawn for a white card, in tones for any page."""
    return _COLOUR.sub(lambda found: f'{found[1]}="{_ANY.get(found[2], found[2])}"', drawn)


def in_dark(drawn: str) -> str:
    """A picture in the colours that a live view has on a dark page."""
    return _COLOUR.sub(lambda found: f'{found[1]}="{DARK.get(found[2], found[2])}"', drawn)
