"""Commands that run tasks: one flow to its end, or a worker."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dwarf.cli import render
from dwarf.cli.connect import Exit, fail, find_url, read_json, say
from dwarf.cli.connect import run as run_work
from dwarf.cli.flows import Json, Url, given_tags, leave, read_age
from dwarf.cli.health import health_endpoint
from dwarf.cli.supervise import supervise
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import Host
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.engine import Engine
    from dwarf.workflow.results import Outcome


_BUDGET_S = 3600  # as in a notebook: a person is there who can stop it
_GRACE_S = 2.0  # for tasks that still run when the wait is over


def load_target(target: str, what: str) -> Any:
    """The object that ``MODULE:NAME`` names, with this folder on the path. Ends the command where there is none."""
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        fail(f"{what} is written MODULE:NAME, as in app.flows:host, not {target!r}")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.startswith(error.name):
            fail(f"there is no module {module_name!r} in {folder} or on the path", Exit.NOT_FOUND)
        raise
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            fail(f"the module {module_name!r} has no {name!r}", Exit.NOT_FOUND)
    return found


def run(
    workflow: Annotated[str, typer.Argument(metavar="MODULE:GRAPH", help="A Graph, or a function that makes one.")],
    state: Annotated[str, typer.Option(help="The initial state as JSON; @FILE or - reads it.")] = "{}",
    url: Url = "",
    timeout: Annotated[str, typer.Option(metavar="TIME", help="How long to wait at most: 90s, 15min.")] = "",
    key: Annotated[str, typer.Option(help="An idempotency key: the same one starts nothing twice.")] = "",
    name: Annotated[str, typer.Option(help="What to call the flow in lists.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="A tag; may be given several times.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Only create the flow, for workers; print its key.")] = False,
    ask: Annotated[bool, typer.Option("--ask/--no-ask", help="Ask questions in this terminal.")] = True,
    as_json: Json = False,
) -> None:
    """Run a workflow here until it ends, asking its questions in this terminal.

    Stopped in between, it goes on with the next run that has the same --key, or with any worker.
    """
    from dwarf.engine import Engine
    from dwarf.hosts import LocalHost

    initial = read_json(state, "the state")
    limit = read_age(timeout)
    graph = load_target(workflow, "a workflow")
    if not isinstance(graph, Graph) and callable(graph):
        graph = graph()
    if not isinstance(graph, Graph):
        fail(f"{workflow} is a {type(graph).__name__}, not a Graph")

    options: dict[str, Any] = {"idempotency_key": key, "name": name, "tags": given_tags(tag)}

    async def create() -> str:
        async with Engine(LocalHost(), find_url(url, make=True), workers=0) as engine:
            return (await engine.create(graph, initial, **options)).key

    async def work() -> Outcome:
        engine = Engine(LocalHost(), find_url(url, make=True), time_budget=_BUDGET_S, capture_output=True)
        await engine.start()
        try:
            flow = await engine.create(graph, initial, **options)
            if not as_json:
                say(f"flow {flow.key}")
            return await _finish(engine, flow.key, limit, ask=ask and sys.stdin.isatty())
        finally:
            await engine.aclose(grace=_GRACE_S)

    if detach:
        print(run_work(create))
        return
    with redirect_stdout(sys.stderr) if as_json else nullcontext():  # what tasks print is no part of the JSON
        outcome = run_work(work)
    _show(outcome, as_json)
    leave(outcome)


def _show(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        render.emit(outcome)
        return
    console = render.console()
    style = render.STYLES[outcome.status]
    console.print(f"[{style}]{outcome.status}[/]  ", end="")
    asked = outcome.interrupt_payload
    why = outcome.error or outcome.cancel_reason or (asked and render.short(asked.get("title") or asked, 100))
    console.print(why or "", markup=False)
    for field, value in outcome.state.items():
        console.print(f"  {field}: {render.short(value, 160)}", markup=False)


async def _finish(engine: Engine, flow_key: str, limit: Any, *, ask: bool) -> Outcome:
    """Wait for the end, with questions answered here. The running outcome where the time is over."""
    from dwarf.cli.ask import answer_in_terminal, ask_line

    flow = engine.flow(flow_key)
    console = render.console()
    while True:
        outcome = await (flow.outcome() if limit is None else flow.poll(timeout=limit))
        if outcome.status is not Status.INTERRUPTED or not ask:
            return outcome
        for step in await flow.interrupts():

            def put(text: str, secret: bool) -> str:
                return ask_line(text, secret)

            if not await answer_in_terminal(flow, step, console, put):
                return outcome


def worker(
    host: Annotated[str, typer.Argument(metavar="MODULE:HOST", help="A host, or a function that makes one.")],
    url: Url = "",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Most tasks at a time in a process.", show_default=False)
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="So many processes, each an engine of its own.")] = 1,
    label: Annotated[
        list[str] | None, typer.Option(help="What this worker can do, for tasks that ask for labels; several times.")
    ] = None,
    grace: Annotated[str, typer.Option(metavar="TIME", help="How long running tasks may take after SIGTERM.")] = "25s",
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again when a Python file in this folder changes.")
    ] = False,
    health: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Answer GET /health on this port of this machine.")
    ] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what the engine does.")] = False,
) -> None:
    """Run the tasks of a host until SIGTERM or Ctrl-C; then wait for those in flight.

    A second signal ends the wait at once: what still ran is run again by another worker.
    """
    import logging

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    patience = read_age(grace)
    if patience is None:
        fail("--grace needs a duration such as 25s")
    if processes > 1 or reload:
        supervise(host, url, workers, processes, grace, label or [], reload=reload, health=health, verbose=verbose)
        return
    found = load_target(host, "a host")
    if not isinstance(found, Host) and callable(found):
        found = found()
    if not isinstance(found, Host):
        fail(f"{host} is a {type(found).__name__}, not a host")

    async def work() -> None:
        from dwarf.engine import Engine

        settings: dict[str, Any] = {"workers": workers, "capture_output": True, "labels": label or ()}
        async with Engine(found, find_url(url, make=True), **settings) as engine:
            say(f"worker {os.getpid()} is ready")
            async with health_endpoint(engine, health):
                await engine.serve(grace=patience)
        say(f"worker {os.getpid()} has ended")

    run_work(work)
