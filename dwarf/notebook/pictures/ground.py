"""On what does a still picture stand? On whatever page it is put on, light or dark, without a card of its own.

What stays in a notebook is seen by readers with other themes than the writer's, and an image knows nothing of the page
around it. So the words and lines that stand on the page itself have middle tones, which are readable on white and on
black; cards of nodes bring their own ground.
"""

from __future__ import annotations

import re

from dwarf.notebook.pictures.palette import CARD, DARK, EDGE, EDGE_TAKEN, FAINT, HAIR, INK, MUTED

__all__ = ["ERROR_TONE", "MIDDLE", "in_dark", "on_any_ground"]

MIDDLE = "#68778d"  # 4.5 to white, 4.2 to the black of dark themes
ERROR_TONE = "#dc2626"
_ANY = {
    CARD: "none",
    INK: MIDDLE,
    MUTED: MIDDLE,
    EDGE_TAKEN: MIDDLE,
    FAINT: MIDDLE,
    EDGE: "#94a3b8",
    HAIR: "#94a3b855",
    "#cbd5e1": "#94a3b8",
    "#f1f5f9": "#94a3b826",
    "#b91c1c": ERROR_TONE,
    "#fca5a5": "#e57373",
}
_COLOUR = re.compile(r'\b(fill|stroke)="(#[0-9a-f]{6})"')


def on_any_ground(drawn: str) -> str:
    """What has been drawn for a white card, in tones for any page."""
    return _COLOUR.sub(lambda found: f'{found[1]}="{_ANY.get(found[2], found[2])}"', drawn)


def in_dark(drawn: str) -> str:
    """A picture in the colours that a live view has on a dark page."""
    return _COLOUR.sub(lambda found: f'{found[1]}="{DARK.get(found[2], found[2])}"', drawn)
