"""The peers' own environment: what the extra ``bench`` of pyproject.toml names, away from dwarf's."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.suite import ROOT, Cell

FOLDER = ROOT / ".cache" / "benchmark-peers"
# adapter, variant, and whether it is for servers only
PEERS = {
    "burr": (("on_burr", "", False),),
    "langgraph": (("on_langgraph", "one saver", False), ("on_langgraph", "16 savers", True)),
    "dbos": (("on_dbos", "", False),),
    "prefect": (("on_prefect", "", False),),
}
WORKLOADS = ("chain", "fan-out", "latency", "prompt")


def prepare(folder: Path = FOLDER) -> str:
    """Make the environment, or bring it up to date; its Python."""
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    if stamp.exists() and stamp.read_text() == "\n".join(wanted):
        return str(python)
    print(f"installing {', '.join(wanted)} into {folder}", file=sys.stderr, flush=True)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted], check=True)
    stamp.write_text("\n".join(wanted))
    return str(python)


def cells(python: str, peers: Sequence[str], workloads: Sequence[str], server: str, scale: int) -> list[Cell]:
    """What one round measures on one database."""
    found = []
    for name in peers:
        for module, variant, needs_server in PEERS[name]:
            if needs_server and not server:
                continue
            asked = ("--scale", str(scale), *(("--variant", variant) if variant else ()))
            adapter = f"tests.benchmarks.peers.{module}"
            found += [Cell(adapter, (work, *asked), server, python) for work in workloads if work in WORKLOADS]
    return found
