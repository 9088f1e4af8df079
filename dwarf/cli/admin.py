"""Commands about databases: how they are, moving flows, migrating, finding faults."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dwarf import __version__
from dwarf.cli import render
from dwarf.cli.connect import URL_VARIABLE, Exit, fail, find_url, looking, run, say
from dwarf.cli.flows import Json, Url
from dwarf.errors import DwarfError
from dwarf.surroundings import LAB_FILE, without_password


def shards(url: Url = "", as_json: Json = False) -> None:
    """Show how each database is: latency, replicas, flows and steps by status."""

    async def work() -> Any:
        async with looking(url) as engine:
            return await engine.shards()

    found = run(work)
    if as_json:
        render.emit(found)
    else:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("shard", "latency", "replicas", "flows", "steps", "what"):
            table.add_column(heading)
        for info in found:
            table.add_row(
                str(info.index),
                f"{info.latency_ms:.1f} ms",
                str(info.replicas),
                _counts(info.flows),
                _counts(info.steps),
                info.error or ("cordoned" if info.cordoned else ""),
            )
        render.console().print(table)
    if any(info.error for info in found):
        raise typer.Exit(int(Exit.UNAVAILABLE))


def _counts(counts: Any) -> str:
    return ", ".join(f"{number} {status}" for status, number in counts.items() if number) or "none"


def schedules(
    url: Url = "",
    pause: Annotated[str, typer.Option(metavar="NAME", help="Pause this schedule.")] = "",
    resume: Annotated[str, typer.Option(metavar="NAME", help="Let this schedule go on.")] = "",
    delete: Annotated[str, typer.Option(metavar="NAME", help="Delete this schedule.")] = "",
    as_json: Json = False,
) -> None:
    """List the schedules, or change one."""

    async def work() -> list[dict[str, Any]]:
        async with looking(url) as engine:
            found = {schedule.name: schedule for schedule in await engine.schedules()}
            for name, method in ((pause, "pause"), (resume, "resume"), (delete, "delete")):
                if name and name not in found:
                    fail(f"there is no schedule {name!r}", Exit.NOT_FOUND)
                if name:
                    await getattr(found[name], method)()
            return [
                {
                    "name": schedule.name,
                    "workflow": schedule.workflow_url,
                    "cron": schedule.cron,
                    "timezone": schedule.timezone,
                    "next_at": schedule.next_at,
                    "paused": schedule.paused,
                }
                for schedule in await engine.schedules()
            ]

    rows = run(work)
    if as_json:
        render.emit(rows)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "workflow", "when", "next"):
        table.add_column(heading)
    for row in rows:
        when = f"{row['cron']} {row['timezone']}".strip() if row["cron"] else "every interval"
        following = (
            "paused" if row["paused"] else row["next_at"].isoformat(timespec="seconds") if row["next_at"] else ""
        )
        table.add_row(row["name"], row["workflow"], when, following)
    render.console().print(table)


def export(
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="The flows.")],
    url: Url = "",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file; else the standard output.")] = None,
) -> None:
    """Write flows as lines of JSON, for `dwarf import` into another database."""

    async def work() -> None:
        async with looking(url) as engine:
            if output is None:
                async for line in engine.export_flows(*keys):
                    print(line)
                return
            with _private(output) as file:
                async for line in engine.export_flows(*keys):
                    file.write(f"{line}\n")

    try:
        run(work)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")


def _private(path: Path) -> Any:
    """A new file that only its owner can read: states are in it."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    return open(path, "w", encoding="utf-8", opener=opener)


def import_flows(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `dwarf export` wrote; - for the standard input.")],
    url: Url = "",
) -> None:
    """Read flows from a file, and print their new keys."""

    async def lines() -> AsyncIterator[str]:
        source = sys.stdin if file == "-" else Path(file).open(encoding="utf-8")  # noqa: SIM115, ASYNC230 - one reader
        with source:
            for line in source:
                yield line

    async def work() -> list[str]:
        async with looking(url) as engine:
            return [handle.key for handle in await engine.import_flows(lines())]

    try:
        keys = run(work)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    print("\n".join(keys))


def migrate(url: Url = "") -> None:
    """Bring the tables of a database to this version of dwarf; a new file or an empty database gets them."""
    from dwarf.engine import Engine
    from dwarf.hosts import LocalHost

    async def work() -> None:
        async with Engine(LocalHost(), find_url(url, make=True), workers=0):
            pass

    run(work)
    say("the database has the tables of this version")


def doctor(url: Url = "") -> None:
    """Look for what is wrong: the installation, the extras, the database. The exit status is 5 if something is."""
    console = render.console()
    bad = False

    def line(good: bool | None, what: str, said: str) -> None:
        nonlocal bad
        bad = bad or good is False
        sign, style = {True: ("ok", "green"), False: ("wrong", "bold red"), None: ("-", "dim")}[good]
        console.print(f"[{style}]{sign:>6}[/]  {what}  ", end="")
        console.print(without_password(said), markup=False)

    line(sys.version_info >= (3, 11), "Python", platform.python_version())
    line(True, "dwarf", __version__)
    for extra, packages in _EXTRAS.items():
        found = {name: _version(name) for name in packages}
        missing = [name for name, version in found.items() if not version]
        told = ", ".join(f"{name} {version}" for name, version in found.items() if version)
        if not found[packages[0]]:
            line(None, extra, f"not installed: pip install 'dwarf[{extra}]'")
        elif missing:
            line(False, extra, f"{', '.join(missing)} is missing: pip install 'dwarf[{extra}]'")
        else:
            line(True, extra, told)
    _database_lines(url, line)
    raise typer.Exit(int(Exit.UNAVAILABLE if bad else Exit.FINE))


# The first package of each comes with that extra alone, so that it tells whether the extra was asked for.
_EXTRAS = {
    "notebook": ("anywidget", "ipywidgets", "graphviz", "graphviz-pure", "pandas", "ipykernel"),
    "postgresql": ("asyncpg",),
    "mysql": ("asyncmy",),
    "http": ("starlette", "httpx"),
    "dask": ("distributed",),
    "cli": ("typer", "rich"),
}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _database_lines(url: str, line: Callable[[bool | None, str, str], None]) -> None:
    import asyncio

    if not url and not os.environ.get(URL_VARIABLE) and not LAB_FILE.is_file():
        line(None, "database", f"none: no {LAB_FILE} here, no {URL_VARIABLE}, no --url")
        return

    async def work() -> None:
        async with looking(url) as engine:
            for info in await engine.shards():
                told = f"{info.replicas} replicas, flows: {_counts(info.flows)}, answers in {info.latency_ms:.1f} ms"
                line(not info.error, f"database {info.index}", info.error or told)

    try:
        asyncio.run(work())
    except DwarfError as error:
        line(False, "database", str(error))
