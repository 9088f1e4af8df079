"""A ``graphviz.Digraph`` that renders wherever a picture of ours does, with ``dot`` or without."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from dwarf.workflow.drawing.programs import first_program

__all__ = ["drawing_class"]

_one_at_a_time = threading.Lock()


@cache
def drawing_class() -> Any:
    """A subclass of ``graphviz.Digraph``. ImportError where the package graphviz is missing.

    The package knows the program by its name, ``dot``, alone. Where that is not installed, a drawing of this class is
    rendered by graphviz-pure, which takes the same arguments.
    """
    import graphviz

    class Drawing(graphviz.Digraph):  # type: ignore[misc]  # the package has no types
        """A digraph to be styled, shown and rendered at will."""

        def pipe(self, *args: Any, **options: Any) -> Any:
            with _program():
                return super().pipe(*args, **options)

        def render(self, *args: Any, **options: Any) -> Any:
            with _program():
                return super().render(*args, **options)

    return Drawing


@contextmanager
def _program() -> Iterator[None]:
    from graphviz.backend import dot_command

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
