"""A ``graphviz.Digraph`` that renders wherever a picture of ours does, with ``dot`` or without."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import graphviz
from graphviz.backend import dot_command

from dwarf.workflow.drawing.programs import first_program

__all__ = ["Drawing"]

_one_at_a_time = threading.Lock()


class Drawing(graphviz.Digraph):  # type: ignore[misc]  # the package has no types
    """A digraph to be styled, shown and rendered at will, as the package graphviz describes it.

    The package knows the program by its name, ``dot``, alone. Where that is not installed, this one is rendered by
    graphviz-pure, which takes the same arguments.
    """

    def pipe(self, *args: Any, **options: Any) -> Any:
        """See graphviz.Digraph.pipe."""
        with _program():
            return super().pipe(*args, **options)

    def render(self, *args: Any, **options: Any) -> Any:
        """See graphviz.Digraph.render."""
        with _program():
            return super().render(*args, **options)


@contextmanager
def _program() -> Iterator[None]:
    program = first_program()
    if program is None:
        yield  # the package says what is missing
        return
    with _one_at_a_time:
        usual, dot_command.DOT_BINARY = dot_command.DOT_BINARY, Path(program)
        try:
            yield
        finally:
            dot_command.DOT_BINARY = usual
