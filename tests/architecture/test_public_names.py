"""Completion by Tab is documentation: each public name of a public class is explained, and all others have an underscore."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any

import pytest

from tests.architecture.repository import ROOT

MODULES = ["dwarf", "dwarf.engine", "dwarf.hosts", "dwarf.testing", "dwarf.notebook"]
TELL_OF_THE_INSIDE = {"architecture.md", "changelog.md"}


def public_classes() -> dict[str, type]:
    """Every class that a public module offers, but for errors, by the name a user imports it by."""
    found: dict[type, str] = {}
    for module in MODULES:
        offered = importlib.import_module(module)
        for name in getattr(offered, "__all__", [name for name in vars(offered) if not name.startswith("_")]):
            value = getattr(offered, name)
            own = isinstance(value, type) and value.__module__.startswith("dwarf")
            if own and not issubclass(value, BaseException):
                found.setdefault(value, f"{module}.{name}")
    return {name: value for value, name in found.items()}


def _own(kind: type) -> list[type]:
    return [each for each in kind.__mro__ if each.__module__.startswith("dwarf")]


def _set_on_instances(kind: type) -> Iterator[str]:
    """The attributes that a class gives to its instances: annotated ones, and those its constructor sets."""
    for each in _own(kind):
        yield from vars(each).get("__annotations__", {})
        made = vars(each).get("__init__")
        if inspect.isfunction(made) and made.__module__ == each.__module__ and made.__code__.co_filename != "<string>":
            for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(made)))):
                if (
                    isinstance(node, ast.Attribute)
                    and ast.unparse(node.value) == "self"
                    and isinstance(node.ctx, ast.Store)
                ):
                    yield node.attr


def public_names(kind: type) -> list[str]:
    """What completion shows for an instance, less what comes from outside of this package."""
    foreign = {name for each in kind.__mro__ if each not in _own(kind) for name in vars(each)}
    names = {name for each in _own(kind) for name in vars(each)} | set(_set_on_instances(kind))
    return sorted(name for name in names - foreign if not name.startswith("_"))


@cache
def code_of_docs() -> frozenset[str]:
    """Every name that stands in code in the pages and the README, in a line or in a block."""
    pages = [path for path in (ROOT / "docs").glob("*.md") if path.name not in TELL_OF_THE_INSIDE]
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*pages, ROOT / "README.md"])
    blocks = re.findall(r"```.*?```", text, re.DOTALL)
    lines = re.findall(r"`[^`\n]+`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return frozenset(re.findall(r"[A-Za-z_]\w*", " ".join([*blocks, *lines])))


def _is_told_by(kind: type, name: str) -> bool:
    """Whether the docstring of a class, which is in the reference, names a field in code."""
    told = " ".join(inspect.getdoc(each) or "" for each in _own(kind))
    return re.search(rf"``[^`]*\b{name}\b[^`]*``", told) is not None


def unexplained(kind: type) -> Iterator[str]:
    """The public names of a class that no page and no docstring explains."""
    for name in public_names(kind):
        value: Any = inspect.getattr_static(kind, name, None)
        if callable(value) or isinstance(value, (property, classmethod, staticmethod)):
            if not inspect.getdoc(getattr(value, "__func__", value)):
                yield f"{name} has no docstring"
            if name not in code_of_docs():
                yield f"{name} is in no page of the documentation"
        elif not isinstance(value, Enum) and name not in code_of_docs() and not _is_told_by(kind, name):
            yield f"{name} is in no page, nor in the docstring of the class"


@pytest.mark.parametrize("name", public_classes())
def test_each_public_name_is_explained(name: str) -> None:
    found = list(unexplained(public_classes()[name]))
    assert not found, "explain it in docs/, or give it an underscore: " + "; ".join(found)


def test_the_rule_finds_what_it_forbids() -> None:
    class Example:
        """``told`` is told."""

        def __init__(self) -> None:
            self.told = self.hidden_from_all = 1
            self._inner = 2

        def unheard_of_method(self) -> None: ...

    Example.__module__ = "dwarf.example"
    Example.__init__.__module__ = "dwarf.example"
    assert list(unexplained(Example)) == [
        "hidden_from_all is in no page, nor in the docstring of the class",
        "unheard_of_method has no docstring",
        "unheard_of_method is in no page of the documentation",
    ]
