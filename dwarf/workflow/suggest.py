"""Suggestions for unknown names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known names close to a wrong one, as ``"; did you mean 'x'?"``, or ""."""
    from difflib import get_close_matches  # only errors need it

    names = [candidate for candidate in known if isinstance(candidate, str)]
    by_lower = {candidate.lower(): candidate for candidate in names}
    matches = [by_lower[close] for close in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)]
    return f"; did you mean {' or '.join(map(repr, matches))}?" if matches else ""


def near_node(name: str, nodes: Iterable[str]) -> str:
    """The nodes close to a wrong name, as ``did_you_mean``; all of them if none is close."""
    known = list(dict.fromkeys(nodes))
    return did_you_mean(name, known) or (f"; the nodes are {', '.join(known)}" if known else "")


def near_task(url: str, known: Iterable[str]) -> str:
    """Suggestions for an unknown task URL, as ``did_you_mean``: by the whole URL, or by its last part."""
    known = list(known)
    whole = did_you_mean(url, known)
    if whole:
        return whole
    by_name = {name.rpartition(".")[2]: name for name in known}
    from difflib import get_close_matches

    close = get_close_matches(url.rpartition(".")[2], by_name, n=1, cutoff=0.6)
    return f"; did you mean {by_name[close[0]]!r}?" if close else ""


def common_name(url: str, other: str) -> str:
    """The qualified name, without scopes, that two URLs have in common at their ends; ``""`` if none."""
    ends: list[str] = []
    for one, two in zip(reversed(url.split(".")), reversed(other.split(".")), strict=False):
        if one != two:
            break
        ends.append(one)
    return ".".join(reversed(ends))


def moved_task(url: str, known: Iterable[str]) -> str | None:
    """The known URL of what most likely is the same function in another scope: the longest name in common."""
    scoped = [name for name in sorted(known) if common_name(url, name) not in ("", url, name)]
    return max(scoped, key=lambda name: (len(common_name(url, name)), -len(name)), default=None)


_KNOWN: Final[dict[object, frozenset[str]]] = {}  # the options of the few functions that are checked


def _parameters(function: Callable[..., object]) -> frozenset[str]:
    function = getattr(function, "__func__", function)
    known = _KNOWN.get(function)
    if known is None:
        import inspect

        known = _KNOWN[function] = frozenset(inspect.signature(function).parameters) - {"self"}
    return known


def check_filters(call: str, filters: Iterable[str], search: Callable[..., object]) -> None:
    """TypeError for filters that a search does not have."""
    known = _parameters(search)
    _check("filter", call, filters, known, lambda _: f"its filters are {', '.join(sorted(known))}")


def check_names(call: str, options: Iterable[str], create: Callable[..., object]) -> None:
    """TypeError for unknown options of a new flow: most often they are fields of the state."""
    state = "the state is one mapping"
    _check("option", call, options, _parameters(create), lambda name: f"{state}: {call}(graph, {{{name!r}: ...}})")


def _check(kind: str, call: str, names: Iterable[str], known: frozenset[str], otherwise: Callable[[str], str]) -> None:
    """TypeError for the first unknown name, with the known names close to it, or ``otherwise`` if none is close."""
    for name in names:
        if name not in known:
            raise TypeError(f"{call}() has no {kind} {name!r}{did_you_mean(name, known) or f'; {otherwise(name)}'}")
