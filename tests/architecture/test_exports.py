"""The public names, pinned: taking one away or adding one is a decision, and shows up in a review of this file."""

from __future__ import annotations

import ast

import dwarf
import dwarf.errors
from tests.architecture.repository import modules, relative

PURE_NAMES = set(
    (
        "END Answered Cache Display Finding Flow FlowSummary FlowUpdate Graph Limit LogLine Node Outcome Reducer Retry "
        "Status Step SubFlow "
        "Transition choose each register_type rescue task together"
    ).split()
)


def test_the_root_exports_the_pure_names() -> None:
    assert set(dwarf.__all__) - set(dwarf.errors.__all__) == PURE_NAMES | {"__version__"}


def test_every_export_exists() -> None:
    missing = [name for name in dwarf.__all__ if not hasattr(dwarf, name)]
    assert not missing
    assert len(set(dwarf.__all__)) == len(dwarf.__all__)


def test_every_error_is_exported_by_its_module() -> None:
    defined = {
        name
        for name, value in vars(dwarf.errors).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert defined == set(dwarf.errors.__all__)


def test_classes_have_names_of_their_own() -> None:
    """Two classes of one name are mixed up when the code is read or searched."""
    places: dict[str, list[str]] = {}
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(relative(path))
    twice = {name: files for name, files in places.items() if len(files) > 1}
    assert not twice
