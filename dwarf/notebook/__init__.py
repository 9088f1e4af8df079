"""How do I look at a workflow, and answer it? Labs, live runs, pictures, tables and prompts for Jupyter.

Needs the extra "notebook": ``pip install 'dwarf[notebook]'``. From its import on, graphs display as pictures.
"""

from __future__ import annotations

from dwarf.notebook.analysis.branches import Branch as Branch
from dwarf.notebook.analysis.branches import Branches as Branches
from dwarf.notebook.analysis.comparing import RunDiff as RunDiff
from dwarf.notebook.analysis.metrics_view import MetricsTable as MetricsTable
from dwarf.notebook.analysis.report import Report as Report
from dwarf.notebook.analysis.tracing import Trace as Trace
from dwarf.notebook.dashboards.dashboard import Dashboard as Dashboard
from dwarf.notebook.dashboards.inbox import Inbox as Inbox
from dwarf.notebook.lab import Lab as Lab
from dwarf.notebook.live.drift import Drift as Drift
from dwarf.notebook.magic import load_ipython_extension as load_ipython_extension
from dwarf.notebook.magic import unload_ipython_extension as unload_ipython_extension
from dwarf.notebook.maps.forks import ForkRun as ForkRun
from dwarf.notebook.maps.mapping import MapRun as MapRun
from dwarf.notebook.pictures.svg import Svg as Svg
from dwarf.notebook.prompts.prompt import Prompt as Prompt
from dwarf.notebook.run import Run as Run
from dwarf.notebook.showing import install

__all__ = [
    "Branch",
    "Branches",
    "Dashboard",
    "Drift",
    "ForkRun",
    "Inbox",
    "Lab",
    "MapRun",
    "MetricsTable",
    "Prompt",
    "Report",
    "Run",
    "RunDiff",
    "Svg",
    "Trace",
    "load_ipython_extension",
    "unload_ipython_extension",
]

install()
