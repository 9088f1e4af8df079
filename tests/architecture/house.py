"""How easy is the house to read, in figures: python -m tests.architecture.house

Figures do not say whether a comment helps or a name is good. They show where to look.
"""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from pathlib import Path

from tests.architecture.circles import circles, graph
from tests.architecture.repository import modules, relative
from tests.architecture.test_public_names import public_classes, public_names
from tests.architecture.test_records import records

MANY = 8  # arguments by position


def comments(path: Path) -> int:
    """The lines of a file that have a comment for readers."""
    code = io.StringIO(path.read_text(encoding="utf-8"))
    found = [token for token in tokenize.generate_tokens(code.readline) if token.type == tokenize.COMMENT]
    signs = ("# noqa", "# type:", "# fmt:", "# ----", "# pragma")
    return sum(not token.string.startswith(signs) for token in found)


def documented() -> tuple[int, int]:
    """How many public functions, classes and methods there are in the package, and how many have a docstring."""
    count = with_text = 0
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            inner = node.body if isinstance(node, ast.Module | ast.ClassDef) else []
            for each in inner:
                if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    continue
                if not each.name.startswith("_"):
                    overloaded = any("overload" in ast.unparse(mark) for mark in each.decorator_list)
                    count += not overloaded
                    with_text += not overloaded and ast.get_docstring(each) is not None
    return count, with_text


def long_calls() -> int:
    """Calls of own records with very many arguments by position."""
    names = records(modules())
    calls = (
        node
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    )
    return sum(len(node.args) >= MANY for node in calls)


def named_twice() -> list[str]:
    """Public classes whose name another file uses, too."""
    seen: dict[str, int] = {}
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                seen[node.name] = seen.get(node.name, 0) + 1
    return sorted(name for name, count in seen.items() if count > 1)


def main() -> None:
    """Print the figures."""
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    full = {name: length for name, length in lengths.items() if not name.endswith("__init__.py")}
    total, noted = sum(lengths.values()), sum(map(comments, modules()))
    count, with_text = documented()
    imported, named = circles(graph(types=False)), circles(graph(types=True))
    across = [part for part in imported if len({name.rpartition(".")[0] for name in part}) > 1]
    shown = sum(len(public_names(kind)) for kind in public_classes().values())
    print(f"files                      {len(lengths)}, {total:,} lines")
    print(
        f"median file                {statistics.median(full.values()):g} lines; {sum(v < 100 for v in full.values())} under 100"
    )
    print(f"longest file               {max(full.values())} lines, {max(full, key=lambda name: full[name])}")
    print(f"comments per 100 lines     {100 * noted / total:.1f}")
    print(f"public names documented    {100 * with_text / count:.1f} % of {count:,}")
    print(f"names on public classes    {shown:,}, all explained in docs/ (test_public_names.py)")
    print(f"calls by position, {MANY} or more  {long_calls()}")
    print(
        f"circles of imports         {[len(part) for part in imported]}, over a package's border {[len(part) for part in across]}"
    )
    print(f"  with names for types     {[len(part) for part in named]}")
    print(f"class names used twice     {len(named_twice())} {named_twice()}")


if __name__ == "__main__":
    main()
