"""The commands of ``dwarf`` and their options."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dwarf import __version__
from dwarf.cli import admin, flows, lab, new, working

app = typer.Typer(
    name="dwarf",
    help="Durable workflows: run them, look at them, answer their questions.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,  # a traceback with local variables would show passwords
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"dwarf {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Durable workflows: run them, look at them, answer their questions."""


_NOTEBOOK = "In a notebook"
_FLOWS = "Flows"
_RUN = "Running"
_DATABASE = "Databases"


def _add(panel: str, function: Any, name: str | None = None) -> None:
    app.command(name, rich_help_panel=panel)(function)


_add(_NOTEBOOK, lab.lab)
_add(_RUN, new.new)
_add(_RUN, working.run)
_add(_RUN, working.worker)
_add(_FLOWS, flows.flows)
_add(_FLOWS, flows.show)
_add(_FLOWS, flows.watch)
_add(_FLOWS, flows.logs)
_add(_FLOWS, flows.answer)
_add(_FLOWS, flows.inbox)
_add(_FLOWS, flows.cancel)
_add(_FLOWS, flows.fork)
_add(_FLOWS, flows.retry_failed, "retry-failed")
_add(_FLOWS, flows.report)
_add(_FLOWS, flows.purge)
_add(_DATABASE, admin.shards)
_add(_DATABASE, admin.schedules)
_add(_DATABASE, admin.export)
_add(_DATABASE, admin.import_flows, "import")
_add(_DATABASE, admin.migrate)
_add(_DATABASE, admin.doctor)
