"""Whether two functions are one task, redefined, or two."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dwarf.workflow import identity
from dwarf.workflow.identity import described, place_of, same_task


def factory(who: Any) -> Callable[[], Any]:
    def load() -> Any:
        return who

    return load


def with_default(who: Any) -> Callable[..., Any]:
    def load(who: Any = who) -> Any:
        return who

    return load


def with_helper(who: Any) -> Callable[[], Any]:
    def helper() -> Any:
        return who

    def load() -> Any:
        return helper(), load

    return load


class Extract:
    def __init__(self, table: str) -> None:
        self.table = table

    def run(self) -> str:
        return self.table

    def __call__(self) -> str:
        return self.table

    @classmethod
    def named(cls) -> str:
        return cls.__name__


class Orders(Extract):
    pass


@pytest.mark.parametrize("make", [factory, with_default, with_helper])
def test_closures_are_one_task_only_where_they_hold_the_same(make: Callable[[Any], Any]) -> None:
    assert same_task(make("A"), make("A"))
    assert same_task(make(("A", 1, None)), make(("A", 1, None)))
    assert not same_task(make("A"), make("B"))
    assert not same_task(make([]), make([]))  # two lists are two, whatever is in them
    shared: list[int] = []
    assert same_task(make(shared), make(shared))
    assert not same_task(make(1), make(True))


def test_methods_of_two_objects_are_two_tasks() -> None:
    one = Extract("orders")
    assert same_task(one.run, one.run)
    assert not same_task(one.run, Extract("customers").run)
    assert not same_task(Orders("orders").run, one.run)
    assert same_task(Extract.named, Extract.named)
    assert not same_task(Extract.named, Orders.named)


def test_objects_and_partials() -> None:
    one = Extract("orders")
    assert same_task(one, one)
    assert not same_task(one, Extract("orders"))
    assert same_task(functools.partial(factory, who="A"), functools.partial(factory, who="A"))
    assert not same_task(functools.partial(factory, who="A"), functools.partial(factory, who="B"))
    assert not same_task(functools.partial(factory, "A"), factory)


def test_functions_of_two_names_are_two_tasks() -> None:
    assert not same_task(factory, with_default)


def imported(path: Path, source: str, module: ModuleType | None = None) -> Any:
    """The function ``load`` of a file; with a module, as when that is reloaded."""
    path.write_text(source, encoding="utf-8")
    module = module or ModuleType("shop")
    exec(compile(source, str(path), "exec"), vars(module))
    return module.__dict__["load"]


def test_a_module_that_was_edited_and_loaded_again(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    old = imported(file, "def load(): return 1\n")
    assert same_task(old, imported(file, "def load(): return 2\n"))
    assert same_task(old, imported(file, "import os\n\n\ndef load(): return 3\n"))


def test_a_file_that_defines_a_name_twice_has_two_tasks(tmp_path: Path) -> None:
    source = "def load(): return 1\nfirst = load\ndef load(): return 2\n"
    module = ModuleType("shop")
    second = imported(tmp_path / "shop.py", source, module)
    assert not same_task(module.__dict__["first"], second)


def test_two_files_of_one_module_name_have_two_tasks(tmp_path: Path) -> None:
    source = "def load(): return 1\n"
    assert not same_task(imported(tmp_path / "a.py", source), imported(tmp_path / "b.py", source))


# ------------------------------------------------------------------ cells


class Shell:
    """As much of IPython as tells cells apart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel = SimpleNamespace(get_parent=lambda: {"metadata": {}})
        self.user_ns: dict[str, Any] = {"__name__": "__main__"}
        self.compile = SimpleNamespace(_filename_map={})
        self.events = SimpleNamespace(callbacks={"pre_run_cell": []}, register=self._register)
        self.execution_count = 0
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: self))
        monkeypatch.setattr(identity, "_cells", {})
        identity.heed_cells()

    def _register(self, event: str, function: Callable[..., Any]) -> None:
        self.events.callbacks[event].append(function)

    def run(self, source: str, cell_id: str | None) -> Any:
        self.execution_count += 1
        name = f"/tmp/ipykernel_1/{hash(source)}.py"
        self.compile._filename_map[name] = self.execution_count
        for each in self.events.callbacks["pre_run_cell"]:
            each(SimpleNamespace(cell_id=cell_id))
        exec(compile(source, name, "exec"), self.user_ns)
        return self.user_ns["load"]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(monkeypatch)


def test_the_same_cell_run_again_is_a_redefinition(shell: Shell) -> None:
    old = shell.run("def load(): return 1", "c1")
    assert str(place_of(old)) == "cell [1]"
    new = shell.run("# edited\ndef load(): return 2", "c1")
    assert same_task(old, new)
    assert described(new) == "load (cell [2])"


def test_another_cell_is_another_task(shell: Shell) -> None:
    assert not same_task(shell.run("def load(): return 1", "c1"), shell.run("def load(): return 2", "c2"))


def test_a_cell_that_makes_closures_may_be_run_again(shell: Shell) -> None:
    source = "def make(held):\n  def load(): return held\n  return load\nload = make({!r})"
    old = shell.run(source.format("A"), "c1")
    assert same_task(old, shell.run(source.format("B"), "c1"))
    make = shell.user_ns["make"]
    assert not same_task(make("A"), make("B"))


def test_a_front_end_that_tells_no_cells(shell: Shell) -> None:
    assert same_task(shell.run("def load(): return 1", None), shell.run("def load(): return 2", None))


def test_what_moved_from_a_cell_to_a_module_is_another_task(shell: Shell, tmp_path: Path) -> None:
    old = shell.run("def load(): return 1", "c1")
    module = ModuleType("shop")
    module.__dict__["__dwarf_scope__"] = shell.user_ns["__dwarf_scope__"] = "shared"
    assert not same_task(old, imported(tmp_path / "shop.py", "def load(): return 1", module))


def test_marimo_names_its_cells_in_the_file() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("def load(): ...", "/tmp/marimo_7/__marimo__cell_Hbol_.py", "exec"), names)
    old = names["load"]
    exec(compile("# edited\ndef load(): ...", "/tmp/marimo_7/__marimo__cell_Hbol_.py", "exec"), names)
    assert same_task(old, names["load"])
