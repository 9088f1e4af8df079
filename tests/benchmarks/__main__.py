"""``python -m tests.benchmarks [workload ...] [--postgresql] [--scale N] [--rounds N]`` prints a table of each workload.

On a SQLite file (WAL, synchronous=FULL) and, where asked for, on PostgreSQL: ``--postgresql`` starts a private server
that waits for the disk, and ``--url`` names one that runs. Each workload has a process and a database of its own. Beside
the chain stand the limits of the database in the same round: ``raw`` is rows written by hand, and ``bare group commit`` a
loop that does nothing but the writing.

``--peers`` has other engines do the chain, the fan-out, the latency and the prompt in the same rounds, with the durable
settings that their documentation recommends. A table of goals stands at the end.

Rates vary with the machine and its other load. What can be compared are ratios within one round, and counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import asdict
from json import dumps, loads
from pathlib import Path

from tests.benchmarks import goals, raw, suite
from tests.benchmarks.figures import Figures
from tests.benchmarks.peers import environment
from tests.benchmarks.suite import ROOT, Cell
from tests.benchmarks.workloads import WORKLOADS

SERVER = "DWARF_TEST_POSTGRESQL_URL"


def cells(workloads: list[str], servers: list[str], scale: int, python: str, peers: list[str]) -> list[Cell]:
    """What one round measures. ``python``: of the peers' environment, where there are any."""
    size, found = ("--scale", str(scale)), []
    for server in servers:
        kinds = [kind for kind in raw.KINDS if server or "connections" not in kind]
        if "chain" in workloads:
            found += [Cell("tests.benchmarks.raw", (kind, *size), server) for kind in kinds]
            if not server.startswith("mysql"):
                found.append(Cell("tests.benchmarks.bare", ("chain", *size), server))
        found += [Cell("tests.benchmarks.cell", (name, *size), server) for name in workloads]
        found += environment.cells(python, peers, workloads, server, scale)
    return found


def merged(paths: list[Path]) -> list[Figures]:
    """The figures of several runs, whose rounds follow each other."""
    found: list[Figures] = []
    for path in paths:
        before = max((figures.round for figures in found), default=0)
        for saved in loads(path.read_text()):
            figures = Figures(**saved)
            figures.round += before
            found.append(figures)
    return found


def with_server(arguments: list[str]) -> int:
    """Run this again beside a private PostgreSQL that waits for the disk."""
    command = [str(ROOT / "scripts" / "with-servers"), sys.executable, "-m", "tests.benchmarks", *arguments]
    environment = {**os.environ, "DWARF_SERVERS_FSYNC": "1", "DWARF_SERVERS": "postgresql"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> int:
    """Measure what was asked for, or everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []], help="default: all of them")
    parser.add_argument("--scale", type=int, default=8, help="how much of each (default 8)")
    parser.add_argument("--rounds", type=int, default=1, help="how often; medians and spreads are printed (default 1)")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL too, on a private server")
    parser.add_argument("--url", default="", help="on this server too")
    parser.add_argument("--no-sqlite", action="store_true", help="on the server only")
    parser.add_argument(
        "--peers", nargs="*", choices=environment.PEERS, help="beside these engines; all, if none is named"
    )
    parser.add_argument("--json", type=Path, help="a file for all the figures")
    parser.add_argument("--merge", type=Path, nargs="+", help="measure nothing: print what these files of --json hold")
    chosen = parser.parse_args()
    if chosen.merge:
        found = merged(chosen.merge)
        print(suite.tables(found))
        print(goals.table(found))
        return 0
    if chosen.postgresql and not chosen.url and not os.environ.get(SERVER):
        return with_server(sys.argv[1:])
    url = chosen.url or (os.environ[SERVER] if chosen.postgresql else "")
    servers = [server for server in ("", url) if server or not chosen.no_sqlite]
    peers = list(environment.PEERS) if chosen.peers == [] else chosen.peers or []
    python = environment.prepare() if peers else ""
    wanted = cells(chosen.workloads or list(WORKLOADS), list(dict.fromkeys(servers)), chosen.scale, python, peers)
    found = suite.run(wanted, chosen.rounds, lambda text: print(text, file=sys.stderr, flush=True))
    print(suite.tables(found))
    print(goals.table(found))
    if chosen.json:
        chosen.json.write_text(dumps([asdict(figures) for figures in found], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
