"""Commands about flows: list, look, watch, answer, cancel, repair."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dwarf.cli import render
from dwarf.cli.connect import Exit, fail, looking, parse_json, read_argument, read_json, run, say
from dwarf.surroundings import user_name
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.engine import Engine, FlowHandle
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.results import FlowSummary, Outcome

Url = Annotated[
    str,
    typer.Option(
        "--url",
        help="The database: an URL or the path of an SQLite file. By default DWARF_URL, else .dwarf/flows.db.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The key of the flow.")]
StatusFilter = Annotated[Status | None, typer.Option(help="Only flows in this status.")]
Workflow = Annotated[str, typer.Option(help="Only flows of the workflow with this name.")]
Search = Annotated[str, typer.Option(help="A text in the workflow, node, error or key.")]
Name = Annotated[str, typer.Option(help="Only flows of this name.")]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="NAME[=VALUE]", help="Only flows with this tag; may be given several times."),
]
OlderThan = Annotated[str, typer.Option(metavar="AGE", help="Last changed longer ago than this: 90s, 15min, 12h, 30d.")]
NewGraph = Annotated[
    str,
    typer.Option(metavar="JSON", help="Go on with this graph (JSON form); @FILE reads it.", show_default=False),
]

_UNITS = {"ms": 0.001, "s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def read_age(text: str) -> timedelta | None:
    """A duration such as ``15min``; None for no text. Ends the command where it is none."""
    if not text:
        return None
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(number) :].strip() or "s"
    try:
        return timedelta(seconds=float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        fail(f"{text!r} is no duration: write 90s, 15min, 12h or 30d")


def _read_graph(text: str) -> Graph | None:
    """A graph in its JSON form; None for no text. GraphError."""
    from dwarf.workflow.graph import Graph

    return Graph.from_json(read_json(text, "the graph")) if text else None


def read_tags(given: list[str] | None) -> dict[str, str | None] | None:
    """Tags as filters; one without a value stands for any."""
    pairs = (text.partition("=") for text in given or ())
    return {name: value if sign else None for name, sign, value in pairs} or None


def given_tags(given: list[str] | None) -> dict[str, str]:
    """The tags of a new flow. Ends the command where one has no value."""
    found = read_tags(given) or {}
    for name, value in found.items():
        if value is None:
            fail(f"the tag {name!r} has no value: write --tag {name}=VALUE")
    return {name: value for name, value in found.items() if value is not None}


def _filters(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value not in ("", None)}


def flows(
    url: Url = "",
    status: StatusFilter = None,
    workflow: Workflow = "",
    node: Annotated[str, typer.Option(help="Only flows that are at this node, or were last.")] = "",
    name: Name = "",
    tag: Tags = None,
    search: Search = "",
    older_than: OlderThan = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List flows, newest first."""
    filters = _filters(
        status=status,
        workflow_name=workflow,
        node=node,
        name=name,
        tags=read_tags(tag),
        search=search,
        older_than=read_age(older_than),
        limit=limit,
    )

    async def work() -> list[FlowSummary]:
        async with looking(url) as engine:
            return [flow async for flow in engine.flows(**filters)]

    found = run(work)
    if as_json:
        render.emit(found)
    elif found:
        render.console().print(render.flows_table(found))
    else:
        say("no flow fits" if len(filters) > 1 else "there are no flows")


def show(key: Key, url: Url = "", as_json: Json = False) -> None:
    """Show a flow with all its steps."""

    async def work() -> tuple[str, Outcome, Any, list[tuple[str, str]]]:
        async with looking(url) as engine:
            handle = engine.flow(key)
            return *await _look(handle), await handle._stuck()

    name, outcome, steps, stuck = run(work)
    if as_json:
        render.emit({"workflow": name, "outcome": outcome, "steps": steps})
        return
    console = render.console()
    console.print(render.flow_tree(key, name, outcome, steps))
    for node, waits in stuck:
        console.print(f"{node} {waits}", markup=False, soft_wrap=True)
    if outcome.state:
        console.print()
        for field, value in outcome.state.items():
            console.print(f"  {field}: {render.short(value, 160)}", markup=False)


async def _look(handle: FlowHandle) -> tuple[str, Outcome, Any]:
    outcome = await handle.snapshot()
    steps = await handle.history()
    return (await handle.graph()).name, outcome, steps


def watch(key: Key, url: Url = "") -> None:
    """Watch a flow until it has ended or waits for an answer. The exit status tells how."""
    from rich.live import Live

    async def work() -> Outcome:
        async with looking(url) as engine:
            handle = engine.flow(key)
            name = (await handle.graph()).name
            console = render.console()
            outcome = await handle.snapshot()
            if not console.is_terminal:
                outcome = await handle.outcome()
                console.print(render.flow_tree(key, name, outcome, await handle.history()))
                return outcome
            with Live(console=console, auto_refresh=True, refresh_per_second=4) as live:
                async for update in handle.watch():
                    outcome = update.outcome
                    live.update(render.flow_tree(key, name, outcome, update.steps))
                    if outcome.stopped:
                        break
            return outcome

    leave(run(work))


def logs(
    key: Key,
    url: Url = "",
    node: Annotated[str, typer.Option(help="Only what this node says.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the flow has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Print what the tasks of a flow have printed, logged and streamed, oldest first.

    Tasks are heard where the engine that runs them has `capture_output`, as a `dwarf worker` has.
    """

    async def work() -> int:
        count = 0
        async with looking(url) as engine:
            handle = engine.flow(key)
            if not follow:
                lines = await handle.logs(node=node)
                for line in lines:
                    render.print_line(line, as_json)
                return len(lines)
            async for line in handle.follow_logs(node=node):
                render.print_line(line, as_json)
                count += 1
        return count

    if not run(work) and not as_json:
        say("its tasks have said nothing")


def leave(outcome: Outcome) -> None:
    """End the command with the status that tells how the flow has stopped."""
    status = {
        Status.COMPLETED: Exit.FINE,
        Status.FAILED: Exit.FAILED,
        Status.CANCELLED: Exit.FAILED,
        Status.INTERRUPTED: Exit.WAITS,
    }.get(outcome.status, Exit.TIMEOUT)
    raise typer.Exit(int(status))


def answer(
    key: Key,
    value: Annotated[
        str | None,
        typer.Argument(
            help="The answer as JSON, or as it is where a text is asked for; @FILE or - reads it. "
            "Without one it is asked for here.",
            show_default=False,
        ),
    ] = None,
    url: Url = "",
    step: Annotated[str, typer.Option(help="The key of the step that asks, where several do.")] = "",
) -> None:
    """Answer a question of a flow, here or by an argument."""
    given = None if value is None else read_argument(value, "the answer")

    async def work() -> bool:
        async with looking(url) as engine:
            handle = engine.flow(key)
            waiting = [each for each in await handle.interrupts() if not step or each.key == step]
            if not waiting:
                await handle.snapshot()  # tells an unknown key apart
                fail(
                    "nothing of this flow waits for an answer" if not step else f"the step {step} does not wait",
                    Exit.CONFLICT,
                )
            if given is not None:
                if len(waiting) > 1:
                    titles = "\n".join(f"  {each.key}  {_title(each)}" for each in waiting)
                    fail(f"several questions wait; name one by --step:\n{titles}")
                from dwarf.cli.ask import bare_text

                text = bare_text(given, waiting[0].interrupt_payload)
                answered = parse_json(given, "the answer") if text is None else text
                await handle.resume(answered, step=waiting[0], by=user_name())
                return True
            return await _ask_all(engine, [(handle, each) for each in waiting])

    if not run(work):
        raise typer.Exit(int(Exit.WAITS))


def inbox(url: Url = "", workflow: Workflow = "", name: Name = "", tag: Tags = None, as_json: Json = False) -> None:
    """Go through every question that waits, and answer it here. Ctrl-D leaves one open."""

    async def work() -> tuple[list[Any], bool]:
        async with looking(url) as engine:
            found = []
            waiting = _filters(status=Status.INTERRUPTED, workflow_name=workflow, name=name, tags=read_tags(tag))
            async for flow in engine.flows(**waiting):
                handle = engine.flow(flow.flow_key)
                found += [(handle, step) for step in await handle.interrupts()]
            found.sort(key=lambda pair: pair[1].updated_at)
            if as_json:
                return [
                    {"flow": handle.key, "step": step.key, "node": step.node, "payload": step.interrupt_payload}
                    for handle, step in found
                ], True
            return found, await _ask_all(engine, found)

    found, answered = run(work)
    if as_json:
        render.emit(found)
    elif not found:
        say("no question waits")
    elif not answered:
        raise typer.Exit(int(Exit.WAITS))


async def _ask_all(engine: Engine, waiting: list[tuple[FlowHandle, Any]]) -> bool:
    import sys

    from dwarf.cli.ask import answer_in_terminal, ask_line

    if not sys.stdin.isatty():
        fail("there is no terminal to ask in: give the answer as an argument", Exit.WAITS)
    console = render.console()
    every = True
    for number, (handle, step) in enumerate(waiting, 1):
        if len(waiting) > 1:
            console.print(f"\n{number} of {len(waiting)}  {handle.key}", style="dim")
        every = await answer_in_terminal(handle, step, console, ask_line) and every
    return every


def _title(step: Any) -> str:
    payload = step.interrupt_payload or {}
    return str(payload.get("title") or step.node)


def cancel(
    key: Key, url: Url = "", reason: Annotated[str, typer.Option(help="Why; it is kept with the flow.")] = ""
) -> None:
    """Cancel a flow."""

    async def work() -> None:
        async with looking(url) as engine:
            await engine.flow(key).cancel(reason)

    run(work)


def fork(
    step: Annotated[str, typer.Argument(metavar="STEP", help="The key of the step to go on from.")],
    url: Url = "",
    changes: Annotated[str, typer.Option(help="Fields to change, as JSON; @FILE reads it.")] = "{}",
    after: Annotated[bool, typer.Option("--after", help="Keep the step's result, and go on behind it.")] = False,
    graph: NewGraph = "",
) -> None:
    """Go on from a step in a new flow, and print its key."""
    laid_over, new = read_json(changes, "the changes"), _read_graph(graph)

    async def work() -> str:
        async with looking(url) as engine:
            return (await engine.fork(step, laid_over, at="after" if after else "input", graph=new)).key

    print(run(work))


def retry_failed(
    key: Key,
    url: Url = "",
    changes: Annotated[str, typer.Option(help="Fields to change, as JSON; @FILE reads it.")] = "{}",
    graph: NewGraph = "",
) -> None:
    """Run again what has failed in a flow, and print the key of the flow in which that happens."""
    laid_over, new = read_json(changes, "the changes"), _read_graph(graph)

    async def work() -> str:
        async with looking(url) as engine:
            return (await engine.flow(key).retry_failed(laid_over, graph=new)).key

    print(run(work))


def report(
    key: Key,
    url: Url = "",
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")] = Path("report.html"),
) -> None:
    """Write one HTML file that tells everything about a flow."""
    import importlib.util

    if any(importlib.util.find_spec(name) is None for name in ("anywidget", "pandas")):
        fail("a report needs the notebook's pictures: pip install 'dwarf[notebook]'")

    async def work() -> None:
        from dwarf.notebook.analysis.report import make_report, read_facts

        async with looking(url) as engine:
            handle = engine.flow(key)
            make_report(await read_facts(handle, await handle.graph())).save(output)

    try:
        run(work)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")
    say(f"written: {output}")


def purge(
    url: Url = "",
    status: StatusFilter = None,
    workflow: Workflow = "",
    name: Name = "",
    tag: Tags = None,
    search: Search = "",
    older_than: OlderThan = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete flows that have stopped. At least one filter is needed; running flows are left out."""
    filters = _filters(
        status=status,
        workflow_name=workflow,
        name=name,
        tags=read_tags(tag),
        search=search,
        older_than=read_age(older_than),
    )

    async def count() -> int:
        async with looking(url) as engine:
            counts = await engine.count(**filters)
            return sum(number for state, number in counts.items() if state.stopped)

    async def work() -> int:
        done = 0
        async with looking(url) as engine:
            while deleted := await engine.purge(**filters):
                done += deleted
        return done

    if not filters:
        fail("purge needs a filter, such as --status completed or --older-than 30d")
    if not yes:
        number = run(count)
        flows_text = "1 flow" if number == 1 else f"{number} flows"
        try:
            sure = typer.confirm(f"Delete {flows_text} for good?", err=True)
        except typer.Abort:  # the input has ended, as without a terminal
            fail("nothing was deleted, as nobody said yes: --yes deletes without asking")
        if not sure:
            raise typer.Exit(int(Exit.USAGE))
    say(f"{run(work)} flows deleted")
