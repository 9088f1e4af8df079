"""Circles of imports: files that need each other, so that none of them can be read, or changed, alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.architecture.repository import ROOT, modules

Graph = Mapping[str, frozenset[str]]


def module_name(path: Path) -> str:
    """The name by which a file of the package is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _for_the_type_checker(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _imports(tree: ast.AST, *, types: bool) -> Iterator[tuple[str, str]]:
    """What is imported anywhere in a file, inside functions too, as module and name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif types or not _for_the_type_checker(node):
            yield from _imports(node, types=types)


@cache
def graph(*, types: bool) -> Graph:
    """Which file of the package imports which; ``types``: also those that it names for the type checker only."""
    names = {module_name(path): path for path in modules()}
    found: dict[str, frozenset[str]] = {}
    for name, path in names.items():
        targets = set()
        for module, part in _imports(ast.parse(path.read_text(encoding="utf-8")), types=types):
            whole = f"{module}.{part}"
            targets.add(whole if whole in names else module)
        found[name] = frozenset(targets & names.keys() - {name})
    return found


def circles(links: Graph) -> list[list[str]]:
    """The strongly connected parts of more than one file, the largest first (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(links.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            part = sorted(stack[at:])
            del stack[at:]
            if len(part) > 1:
                found.append(part)

    for name in sorted(links):
        if name not in index:
            visit(name)
    return sorted(found, key=lambda part: (-len(part), part))
