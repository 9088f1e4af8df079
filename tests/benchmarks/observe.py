"""``python -m tests.benchmarks.observe [--rounds N] [--scale N]``: what measuring costs the chain, in CPU per step.

Side by side, in processes that take turns: the engine with every line that reports taken out of its source, the engine
as it is with no provider set, with metrics and spans kept by the SDK and sent in batches, and with each of the two alone.
The smallest of several rounds counts: other work on the machine only ever adds. Where that is still too noisy to tell a
percent, the last line adds up what the lines themselves take when nobody measures.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any

MODES = {
    "taken out": "no line that reports is in the source",
    "no provider": "as it is, nothing set",
    "metrics": "SDK, read every second",
    "spans": "SDK, batch processor",
    "both": "SDK, both",
}
REMOVED = ("observing.", "committed.decided", "committed.flows", "committed.resumed", "committed.seconds")
GUARDS = ("observing.active", "on_beat is not None", "written is not None")


class Stripper(ast.NodeTransformer):
    """Takes out what only reports: calls of ``observing``, what is gathered for them, and the checks around them."""

    def __init__(self) -> None:
        self.count = 0

    def visit_Expr(self, node: ast.Expr) -> Any:
        return self._without(node, any(word in ast.unparse(node) for word in REMOVED))

    def visit_Assign(self, node: ast.Assign) -> Any:
        target = ast.unparse(node.targets[0])
        if target == "read":
            node.value = ast.Tuple([], ast.Load())
        return self.generic_visit(self._without(node, target in ("began", "committed.seconds")))

    def visit_Call(self, node: ast.Call) -> Any:
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != "written"]
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> Any:
        if any(guard in ast.unparse(node.test) for guard in GUARDS):
            self.count += 1
            return [self.visit(line) for line in node.orelse] or ast.Pass()
        return self.generic_visit(node)

    def _without(self, node: ast.stmt, taken_out: bool) -> ast.stmt:
        self.count += taken_out
        return ast.copy_location(ast.Pass(), node) if taken_out else node


def strip_imports() -> Stripper:
    """From now on, import the engine and its storage without the lines that report."""
    stripper, original = Stripper(), SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> CodeType | None:
        if not name.startswith(("dwarf.engine.", "dwarf.storage.")) or name.endswith(
            (".telemetry.events", ".telemetry.gauges")
        ):
            return original(loader, name)
        tree = stripper.visit(ast.parse(loader.get_data(loader.get_filename(name))))
        return compile(ast.fix_missing_locations(tree), loader.get_filename(name), "exec")

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    return stripper


def providers(mode: str) -> tuple[dict[str, Any], Callable[[], None]]:
    """The engine's settings in a mode, and how to end them."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    settings: dict[str, Any] = {}
    if mode in ("metrics", "both"):
        settings["meter_provider"] = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    if mode in ("spans", "both"):
        settings["tracer_provider"] = TracerProvider(shutdown_on_exit=False)
        settings["tracer_provider"].add_span_processor(BatchSpanProcessor(Nowhere()))

    def end() -> None:
        for provider in settings.values():
            provider.shutdown()

    return settings, end


async def cpu_per_step(mode: str, scale: int) -> float:
    """Microseconds of CPU per step of the chain, on a fresh file."""
    from dwarf.engine import Engine
    from dwarf.hosts import LocalHost
    from tests.benchmarks.workloads import chain

    settings, end = providers(mode)
    with tempfile.TemporaryDirectory() as folder:
        async with Engine(LocalHost(), f"sqlite:///{folder}/chain.db", **settings) as engine:
            await chain(engine, 1)
            begun = time.process_time()
            measured = await chain(engine, scale)
            used = time.process_time() - begun
    end()
    return used / measured.steps * 1e6


def child(mode: str, scale: int) -> None:
    """One measurement, in a process of its own."""
    stripper = strip_imports() if mode == "taken out" else None
    used = asyncio.run(cpu_per_step(mode, scale))
    json.dump({"us": used, "removed": stripper.count if stripper else 0}, sys.stdout)


def measure(rounds: int, scale: int, modes: list[str]) -> dict[str, list[float]]:
    """The figures of every mode; the modes take turns."""
    figures: dict[str, list[float]] = {mode: [] for mode in modes}
    for _ in range(rounds):
        for mode in modes:
            command = [sys.executable, "-m", __spec__.name, "--child", mode, "--scale", str(scale)]
            done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            if mode == "taken out" and done["removed"] < 20:
                raise AssertionError(f"only {done['removed']} lines were taken out: the stripper is out of date")
            figures[mode].append(done["us"])
    return figures


def directly(group_size: int = 32, steps_per_flow: int = 10) -> float:
    """Microseconds per step of what reports, with no provider, one statement at a time."""
    from dwarf.engine.shard.commit_requests import CommitResult
    from dwarf.engine.telemetry.events import ShardTelemetry, Telemetry
    from dwarf.engine.telemetry.health import Health

    observing, group, step = ShardTelemetry(Telemetry(), 1, 30_000, Health()), CommitResult(0), object()
    decided: list[Any] = []
    empty = least("pass", {})
    names = {"observing": observing, "group": group, "step": step, "decided": decided, "written": None, "ids": [1] * 32}
    per_step = ("if observing.active: pass", "observing.task_ended(step, None)", "if written is not None: pass")
    per_group = (
        "observing.committed(group)",
        "time.monotonic(); time.monotonic()",
        "decided.extend(ids); decided.clear()",
    )
    return (
        sum(least(line, names) - empty for line in per_step)
        + sum(least(line, names) - empty for line in per_group) / group_size
        + (least("observing.new_flow(step, None)", names) - empty) / steps_per_flow
        + (least("decided.append((step, step)); decided.pop()", names) - empty)
    )


def least(line: str, names: dict[str, Any]) -> float:
    """Microseconds that a statement takes at best."""
    return min(timeit.repeat(line, "import time", globals=names, number=20_000, repeat=7)) / 20_000 * 1e6


def report(figures: dict[str, list[float]]) -> str:
    """The table."""
    base = min(figures["taken out"])
    lines = [f"{'':<12} {'least us/step':>14} {'median':>8} {'against taken out':>18}"]
    for mode, found in figures.items():
        share = (min(found) / base - 1) * 100
        lines.append(f"{mode:<12} {min(found):>14.1f} {statistics.median(found):>8.1f} {share:>+17.1f}%  {MODES[mode]}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each (default 7)")
    parser.add_argument("--scale", type=int, default=8, help="640 steps each (default 8)")
    parser.add_argument("--modes", nargs="*", default=list(MODES), choices=list(MODES))
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.child, chosen.scale)
    else:
        figures = measure(chosen.rounds, chosen.scale, chosen.modes)
        print(report(figures))
        own, base = directly(), min(figures["taken out"])
        print(f"the lines themselves, with no provider: {own:.2f} us/step, {own / base:.1%} of {base:.1f}")


if __name__ == "__main__":
    main()
