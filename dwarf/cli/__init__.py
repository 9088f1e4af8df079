"""The command line: ``dwarf COMMAND``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dwarf import __version__
from dwarf.cli import lab

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status of the process. ``argv`` defaults to the process's own arguments."""
    parser = argparse.ArgumentParser(prog="dwarf", description="Durable workflows.")
    parser.add_argument("--version", action="version", version=f"dwarf {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    lab.add_parser(commands)
    arguments = parser.parse_args(argv)
    status: int = arguments.run(arguments)
    return status
