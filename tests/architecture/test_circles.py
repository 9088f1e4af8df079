"""Files that import each other in a circle can only be read together, so circles are few, small, and inside a package."""

from __future__ import annotations

from tests.architecture.circles import circles, graph

LARGEST = 3  # files

# The circles that are known, each by its first file, with its size. An entry may shrink and go, and none may be added.
KNOWN = {
    "dwarf.workflow.binding": 12,  # a graph is checked, a flow is bound, and both are made of the same parts
}


def test_circles_of_imports_are_small() -> None:
    found = {part[0]: len(part) for part in circles(graph(types=False)) if len(part) > LARGEST}
    assert found == KNOWN, f"these import each other: {circles(graph(types=False))}"  # one that is smaller is told, too


def test_no_circle_crosses_the_border_of_a_package() -> None:
    across = [part for part in circles(graph(types=False)) if len({package(name) for name in part}) > 1]
    assert [part[0] for part in across if part[0] not in KNOWN] == []


def package(name: str) -> str:
    """The package that a module is in."""
    return name.rpartition(".")[0]


def test_circles_are_found() -> None:
    links = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("ad"), "d": frozenset("e"), "e": frozenset()}
    assert circles(links) == [["a", "b", "c"]]


def test_the_services_of_an_engine_are_in_no_circle() -> None:
    """Also by the names that they import for their types only: each takes what it uses, and nothing that holds all."""
    found = [part for part in circles(graph(types=True)) if part[0].startswith("dwarf.engine.") and len(part) > LARGEST]
    assert found == []
