"""Where does a moment stand on a line? A scale of time that cuts long stretches of nothing short."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dwarf.notebook.pictures.formatting import seconds_text

__all__ = ["Axis", "nice"]

_CUT = 56.0  # pixels of a stretch that is cut short
_MOST_CUTS = 4
_SHARE = 0.25  # of the whole must be nothing in one piece to be worth a cut


@dataclass(frozen=True, slots=True)
class Axis:
    """A piecewise linear scale. ``knots`` are (seconds from the start, pixel, whether the piece after it is cut)."""

    start: datetime
    span: float
    left: float
    right: float
    knots: tuple[tuple[float, float, bool], ...]

    @classmethod
    def over(
        cls,
        working: Sequence[tuple[datetime, datetime]],
        extent: tuple[datetime, datetime],
        left: float,
        right: float,
    ) -> Axis:
        """A scale over an extent of time; ``working`` are the stretches in which something was at work."""
        start, end = extent
        span = max((end - start).total_seconds(), 0.001)
        gaps = _gaps(sorted(((a - start).total_seconds(), (b - start).total_seconds()) for a, b in working), span)
        rest = span - sum(b - a for a, b in gaps)
        long = [gap for gap in gaps if gap[1] - gap[0] > _SHARE * span and gap[1] - gap[0] > 4 * rest]
        cuts = sorted(sorted(long, key=lambda gap: gap[0] - gap[1])[:_MOST_CUTS]) if rest > 0 else []
        kept = span - sum(b - a for a, b in cuts)
        pace = (right - left - _CUT * len(cuts)) / max(kept, 1e-9)
        knots, at, x = [], 0.0, left
        for a, b in cuts:
            if a > at:
                knots.append((at, x, False))
                x += (a - at) * pace
            knots.append((a, x, True))
            at, x = b, x + _CUT
        knots.append((at, x, False))
        return cls(start, span, left, right, tuple(knots))

    def x(self, moment: datetime) -> float:
        """The pixel of a moment; those outside stand at the ends."""
        seconds = min(max((moment - self.start).total_seconds(), 0.0), self.span)
        index = max(bisect_right(self.knots, seconds, key=lambda knot: knot[0]) - 1, 0)
        begin, x, _ = self.knots[index]
        end, after = self._end(index)
        return x if end <= begin else x + (after - x) * (seconds - begin) / (end - begin)

    def _end(self, index: int) -> tuple[float, float]:
        if index + 1 < len(self.knots):
            return self.knots[index + 1][:2]
        return self.span, self.right

    def cuts(self) -> Iterator[tuple[float, float, float]]:
        """The stretches that are cut short: first and last pixel, and the seconds between."""
        for index, (begin, x, cut) in enumerate(self.knots):
            if cut:
                end, after = self._end(index)
                yield x, after, end - begin

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Pixels of round times, counted from the start and anew behind each cut, with their labels."""
        pieces = [(*self._end(index), begin, x) for index, (begin, x, cut) in enumerate(self.knots) if not cut]
        kept = sum(end - begin for end, _, begin, _ in pieces)
        step = nice(kept / 5)
        first = True
        for end, after, begin, x in pieces:
            count = int((end - begin) / step + 1e-9)
            for index in range(count + 1):
                at = x + (after - x) * index * step / (end - begin) if end > begin else x
                if index or first:
                    sign = "" if begin == 0 else "+"
                    yield at, (sign + seconds_text(index * step)) if index else "0"
            first = False


def _gaps(working: Sequence[tuple[float, float]], span: float) -> list[tuple[float, float]]:
    gaps, reached = [], 0.0
    for begin, end in working:
        if begin > reached:
            gaps.append((reached, begin))
        reached = max(reached, end)
    if span > reached:
        gaps.append((reached, span))
    return gaps


def nice(seconds: float) -> float:
    """The least round number of seconds that is no smaller."""
    power = 10.0 ** int(f"{seconds:e}".split("e")[1])
    steps = [power, 2 * power, 5 * power, 10 * power]
    if 60 < seconds <= 86_400:
        steps = [120, 300, 600, 1200, 3600, 7200, 14_400, 28_800, 43_200, 86_400]
    elif seconds > 86_400:
        steps = [86_400 * nice(seconds / 86_400)] if seconds < 86_400 * 60 else steps
    return min(each for each in steps if each >= seconds)
