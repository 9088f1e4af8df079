"""What `help()`, Tab and a pointer over a name show: each public name has an example that is right."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import textwrap
from typing import Any

MODULES = ("dwarf", "dwarf.engine", "dwarf.hosts", "dwarf.notebook", "dwarf.testing")


def documented() -> dict[str, Any]:
    """The public classes and functions, by their full names."""
    return {
        f"{module}.{name}": value
        for module in MODULES
        for name in importlib.import_module(module).__all__
        if inspect.isclass(value := getattr(importlib.import_module(module), name)) or inspect.isfunction(value)
    }


def blocks(text: str) -> list[str]:
    """The indented blocks behind a paragraph that ends in ``::``."""
    found: list[list[str]] = []
    inside = False
    for line in inspect.cleandoc(text).splitlines():
        if inside and (line.startswith("    ") or not line):
            found[-1].append(line)
            continue
        inside = line.endswith("::")
        if inside:
            found.append([])
    return [textwrap.dedent("\n".join(lines)) for lines in found]


def faults(name: str, value: Any) -> list[str]:
    """What is wrong with the examples of one name."""
    text = value.__doc__ or ""
    tests = doctest.DocTestParser().get_examples(text)
    code = blocks(text)
    for block in code:
        lines = [line for line in block.splitlines() if not line.startswith("%")]  # magics
        compile("\n".join(lines), name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    said: list[str] = []
    doctest.DocTestRunner(verbose=False).run(doctest.DocTest(tests, {}, name, None, 0, text), out=said.append)
    return said if tests or code else [f"{name} has no example in its docstring"]


def test_every_public_name_has_an_example_that_is_right() -> None:
    found = [fault for name, value in documented().items() for fault in faults(name, value)]
    assert not found, "\n".join(found)


def shown(value: Any) -> dict[str, str]:
    """What a cell shows of a value, by the media type."""
    from IPython.core.formatters import DisplayFormatter

    from dwarf.notebook.showing import add_formatters

    display = DisplayFormatter()
    display.active_types = ["text/plain", "text/html", "image/svg+xml"]
    add_formatters(display)
    found, _ = display.format(value)
    return found


def samples() -> dict[str, Any]:
    """One of each public class that a user meets as a value and that no widget shows."""
    from datetime import timedelta

    from dwarf import END, Cache, Flow, Graph, Limit, LogLine, Outcome, Retry, Status, Step, SubFlow
    from dwarf.engine import Engine, Shard, ShardInfo, Timing
    from dwarf.hosts import HttpHost, LocalHost, RoutingHost
    from dwarf.testing import ScriptedAnswers, VirtualClock

    graph = Graph("Pay").add_node("Ask", lambda amount: {"paid": amount}).add_transition("Ask", END, when="piad")
    values = [
        graph, graph.nodes[0], graph.transitions[0], graph.check({"amount": 1})[0], Limit(concurrency=3), Retry(5),
        Cache(ttl=timedelta(days=1)), Flow({"amount": 3}), Outcome(state={"amount": 3}), LogLine(text="begun"),
        Step(key="1-2-0123456789abcdef", node="Ask", status=Status.FAILED, error="no <money>"),
        SubFlow(flow_key="1-3-0123456789abcdef", workflow_name="Check"),
        Shard(1, "postgresql://ada:secret@host/flows"), ShardInfo(1, "", 0.4, False, {}, {}, 2), Timing(lease=20),
    ]  # fmt: skip
    texts = [
        Engine(LocalHost()), LocalHost(), RoutingHost({"": LocalHost()}), HttpHost("https://tasks.example"),
        VirtualClock(), ScriptedAnswers({"Ask": True}),
    ]  # fmt: skip
    return {type(value).__name__: value for value in (*values, *texts)}


def test_values_show_themselves_as_text_and_as_a_page() -> None:
    for name, value in samples().items():
        found = shown(value)
        told = "".join(found.values())
        assert " object at 0x" not in told, name
        assert "0123456789abcdef" not in found.get("text/html", ""), f"{name} shows a key, which grants access"
        assert "secret" not in told, name
        if name in ("Engine", "LocalHost", "RoutingHost", "HttpHost", "VirtualClock", "ScriptedAnswers"):
            continue  # a line of text says it
        assert {"text/html", "image/svg+xml"} & set(found), f"{name} has no page"
    assert "no &lt;money&gt;" in shown(samples()["Step"])["text/html"]
