"""What a task is called where it has no URL of its own."""

from __future__ import annotations

import functools
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from dwarf.errors import ConfigError
from dwarf.workflow import scopes
from dwarf.workflow.graph import Graph
from dwarf.workflow.tasks import mark_of, task

SOURCE = "def load(flow): ..."


def defined_in(source: str = SOURCE, **names: Any) -> Any:
    """The function ``load`` of a module with these global names."""
    exec(source, names)
    return names["load"]


def main_of(**names: Any) -> str:
    """The URL of a function of a main program with these global names."""
    return mark_of(defined_in(__name__="__main__", **names)).url


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A kernel, whose cells have the names in ``user_ns``."""
    shell = SimpleNamespace(kernel=object(), user_ns={"__name__": "__main__"})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    for name in ("JPY_SESSION_NAME", "SERVER_SOFTWARE", "SCRIPT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(scopes, "_parent", lambda: ((), None))
    return shell


def cell(shell: SimpleNamespace, source: str = SOURCE) -> str:
    """The URL of a function that a cell defines."""
    exec(source, shell.user_ns)
    return mark_of(shell.user_ns["load"]).url


def test_a_module() -> None:
    assert mark_of(defined_in(__name__="shop.billing")).url == "shop.billing.load"


def test_a_scope_of_its_own_outranks_the_module_and_the_main_program() -> None:
    assert mark_of(defined_in(__name__="shop.billing", __dwarf_scope__="fraud")).url == "fraud.load"
    assert main_of(__dwarf_scope__="fraud", __file__="/x/etl.py") == "fraud.load"


@pytest.mark.parametrize("scope", ["", "  ", 5])
def test_a_scope_must_be_text(scope: Any) -> None:
    with pytest.raises(ConfigError, match="__dwarf_scope__ must be a text"):
        mark_of(defined_in(__name__="m", __dwarf_scope__=scope))


@pytest.mark.parametrize(
    ("names", "scope"),
    [
        ({"__spec__": SimpleNamespace(name="shop.worker"), "__file__": "/x/shop/worker.py"}, "shop.worker"),
        ({"__spec__": SimpleNamespace(name="shop.__main__"), "__file__": "/x/shop/__main__.py"}, "shop"),
        ({"__spec__": SimpleNamespace(name="__main__"), "__file__": "/x/etl.py"}, "etl"),
        ({"__spec__": SimpleNamespace(name="__main__"), "__file__": "/x/shop/__main__.py"}, "shop"),
        ({"__spec__": None, "__file__": "/x/etl.v2.py"}, "etl.v2"),
        ({"__spec__": None, "__file__": "script"}, "script"),
        ({}, "main"),
    ],
)
def test_the_main_program(names: dict[str, Any], scope: str) -> None:
    assert main_of(**names) == f"{scope}.load"
    assert mark_of(defined_in(__name__="__mp_main__", **names)).url == f"{scope}.load"


def test_a_main_program_that_happens_to_use_ipython_is_no_notebook(notebook: SimpleNamespace) -> None:
    assert main_of(__file__="/x/etl.py") == "etl.load"


def test_a_notebook_of_which_nothing_is_told(notebook: SimpleNamespace) -> None:
    assert cell(notebook) == "notebook.load"


def test_the_session_of_jupyter(notebook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/models/models/fraud v2.ipynb")
    assert cell(notebook) == "fraud v2.load"
    notebook.user_ns["__dwarf_scope__"] = "shared"
    assert cell(notebook) == "shared.load"


def test_the_session_as_ipython_tells_it(notebook: SimpleNamespace) -> None:
    notebook.user_ns["__session__"] = "C:\\notebooks\\fraud.ipynb"
    assert cell(notebook) == "fraud.load"


def test_vs_code_tells_the_file(notebook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/tmp/6f3.ipynb")
    notebook.user_ns["__vsc_ipynb_file__"] = "/models/fraud.ipynb"
    assert cell(notebook) == "fraud.load"


def test_voila_tells_the_page(notebook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.0")
    monkeypatch.setenv("SCRIPT_NAME", "/voila/render/models/fraud.ipynb")
    assert cell(notebook) == "fraud.load"


def test_the_session_of_a_notebook_that_runs_another_one_is_not_taken(
    notebook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/models/outer.ipynb")
    monkeypatch.setattr(scopes, "_parent", lambda: (("python", "-m", "papermill"), "/models/outer.ipynb"))
    assert cell(notebook) == "notebook.load"


@pytest.mark.parametrize(
    "command",
    [
        ["/venv/bin/python", "/venv/bin/papermill", "in/fraud.ipynb", "out/fraud-1.ipynb"],
        ["/venv/bin/python", "-m", "papermill", "fraud.ipynb", "out.ipynb"],
        ["/venv/bin/python", "/venv/bin/jupyter-nbconvert", "--execute", "--to", "html", "fraud.ipynb"],
        ["/venv/bin/python", "/venv/bin/voila", "fraud.ipynb", "--no-browser"],
    ],
)
def test_a_tool_that_was_told_which_notebook_to_run(
    notebook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(scopes, "_parent", lambda: (tuple(command), None))
    assert cell(notebook) == "fraud.load"


def test_a_program_that_mentions_a_notebook_is_no_such_tool(
    notebook: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scopes, "_parent", lambda: (("python", "run_all.py", "fraud.ipynb"), None))
    assert cell(notebook) == "notebook.load"


# ------------------------------------------------------------------ kinds of tasks

HERE = __name__


class Extract:
    def __init__(self, table: str) -> None:
        self.table = table

    def __call__(self) -> dict[str, str]:
        return {self.table: "called"}

    def run(self) -> dict[str, str]:
        return {self.table: "run"}


def load(flow: Any) -> None: ...


def test_names_of_functions_methods_and_closures() -> None:
    def inner(flow: Any) -> None: ...

    graph = Graph("g").add_node("A", load).add_node("B", Extract("x").run).add_node("C", inner)
    closure = "test_names_of_functions_methods_and_closures.<locals>.inner"
    assert [node.url for node in graph.nodes] == [f"{HERE}.load", f"{HERE}.Extract.run", f"{HERE}.{closure}"]


def test_what_has_no_name_goes_by_its_graph_and_node() -> None:
    graph = Graph("g").add_node("A", lambda: None).add_node("B", Extract("x")).add_node("C", functools.partial(load))
    assert [node.url for node in graph.nodes] == [f"{HERE}.g.A", f"{HERE}.g.B", f"{HERE}.g.C"]


def test_a_decorated_function_keeps_its_name() -> None:
    @functools.wraps(load)
    def wrapper(flow: Any) -> None: ...

    assert mark_of(wrapper).url == f"{HERE}.load"


def test_a_url_that_was_given_stays() -> None:
    @task(url="billing/charge", aliases=["charge", "old.charge", "charge"])
    def charge(flow: Any) -> None: ...

    assert (mark_of(charge).url, mark_of(charge).aliases) == ("billing/charge", ("charge", "old.charge"))
    assert Graph("g").add_node("A", charge).url_of("A") == "billing/charge"


@pytest.mark.parametrize("aliases", ["charge", 5, [5], [""]])
def test_aliases_are_a_list_of_urls(aliases: Any) -> None:
    with pytest.raises(ConfigError):
        task(aliases=aliases)


def test_the_limit_of_a_function_holds_for_a_partial_of_it() -> None:
    from dwarf import Limit

    @task(url="fetch", limit=Limit(concurrency=2))
    def fetch(flow: Any, table: str) -> None: ...

    node = Graph("g").add_node("A", functools.partial(fetch, table="x")).nodes[0]
    assert node.limit == Limit(concurrency=2)
    assert node.url == f"{HERE}.g.A"
