"""The command line: ``dwarf COMMAND``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

__all__ = ["main"]

ADVICE = "the command line needs an extra: pip install 'dwarf[cli]' (the extra \"notebook\" brings it, too)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status of the process. ``argv`` defaults to the process's own arguments."""
    if any(importlib.util.find_spec(name) is None for name in ("typer", "rich")):
        print(f"dwarf: {ADVICE}", file=sys.stderr)
        return 2
    from dwarf.cli.app import app

    try:
        app(args=None if argv is None else list(argv), prog_name="dwarf")
    except SystemExit as ended:
        if isinstance(ended.code, int):
            return ended.code
        if ended.code is not None:
            print(ended.code, file=sys.stderr)
        return int(ended.code is not None)
    return 0
