"""Durable workflows for Python: graphs of plain functions, kept in a database.

This module holds the pure names: what a workflow is made of, and what can go wrong. The engine is in ``dwarf.engine``,
hosts are in ``dwarf.hosts``, the notebook's tools in ``dwarf.notebook``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dwarf.errors import ConditionError as ConditionError
from dwarf.errors import ConfigError as ConfigError
from dwarf.errors import DwarfError as DwarfError
from dwarf.errors import EngineClosed as EngineClosed
from dwarf.errors import FlowCancelled as FlowCancelled
from dwarf.errors import FlowFailed as FlowFailed
from dwarf.errors import FlowInterrupted as FlowInterrupted
from dwarf.errors import FlowNotFound as FlowNotFound
from dwarf.errors import FlowStopped as FlowStopped
from dwarf.errors import GraphError as GraphError
from dwarf.errors import GraphNotFound as GraphNotFound
from dwarf.errors import GraphWarning as GraphWarning
from dwarf.errors import InterruptTimeout as InterruptTimeout
from dwarf.errors import InvalidRequest as InvalidRequest
from dwarf.errors import NotFound as NotFound
from dwarf.errors import Parked as Parked
from dwarf.errors import PromptNeedsHuman as PromptNeedsHuman
from dwarf.errors import ReducerError as ReducerError
from dwarf.errors import StateConflict as StateConflict
from dwarf.errors import StateError as StateError
from dwarf.errors import StepNotFound as StepNotFound
from dwarf.errors import StorageError as StorageError
from dwarf.errors import SubgraphFailed as SubgraphFailed
from dwarf.errors import TaskError as TaskError
from dwarf.errors import TaskNotFound as TaskNotFound
from dwarf.errors import ThreadNotFound as ThreadNotFound
from dwarf.errors import WaitTimeout as WaitTimeout
from dwarf.errors import WorkerLost as WorkerLost
from dwarf.workflow import END as END
from dwarf.workflow import Answered as Answered
from dwarf.workflow import Cache as Cache
from dwarf.workflow import Display as Display
from dwarf.workflow import Finding as Finding
from dwarf.workflow import Flow as Flow
from dwarf.workflow import FlowSummary as FlowSummary
from dwarf.workflow import FlowUpdate as FlowUpdate
from dwarf.workflow import Graph as Graph
from dwarf.workflow import Limit as Limit
from dwarf.workflow import LogLine as LogLine
from dwarf.workflow import Node as Node
from dwarf.workflow import Outcome as Outcome
from dwarf.workflow import Reducer as Reducer
from dwarf.workflow import Retry as Retry
from dwarf.workflow import Status as Status
from dwarf.workflow import Step as Step
from dwarf.workflow import SubFlow as SubFlow
from dwarf.workflow import Transition as Transition
from dwarf.workflow import register_type as register_type
from dwarf.workflow import task as task

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dwarf.workflow.short import choose as choose
    from dwarf.workflow.short import each as each
    from dwarf.workflow.short import rescue as rescue
    from dwarf.workflow.short import together as together

__all__ = [
    "END",
    "Answered",
    "Cache",
    "ConditionError",
    "ConfigError",
    "Display",
    "DwarfError",
    "EngineClosed",
    "Finding",
    "Flow",
    "FlowCancelled",
    "FlowFailed",
    "FlowInterrupted",
    "FlowNotFound",
    "FlowStopped",
    "FlowSummary",
    "FlowUpdate",
    "Graph",
    "GraphError",
    "GraphNotFound",
    "GraphWarning",
    "InterruptTimeout",
    "InvalidRequest",
    "Limit",
    "LogLine",
    "Node",
    "NotFound",
    "Outcome",
    "Parked",
    "PromptNeedsHuman",
    "Reducer",
    "ReducerError",
    "Retry",
    "StateConflict",
    "StateError",
    "Status",
    "Step",
    "StepNotFound",
    "StorageError",
    "SubFlow",
    "SubgraphFailed",
    "TaskError",
    "TaskNotFound",
    "ThreadNotFound",
    "Transition",
    "WaitTimeout",
    "WorkerLost",
    "__version__",
    "choose",
    "each",
    "register_type",
    "rescue",
    "task",
    "together",
]
_SHORT = frozenset({"choose", "each", "rescue", "together"})
_ELSEWHERE = {
    "dwarf.engine": "Codec Engine FlowHandle FlowQuery Schedule Shard ShardInfo Timing",
    "dwarf.hosts": "BaseHost Host HostUnavailable HttpHost LocalHost RemoteTaskError RoutingHost",
    "dwarf.notebook": (
        "Branch Branches Dashboard Drift ForkRun Inbox Lab MapRun MetricsTable Prompt Report Run RunDiff Svg Trace "
        "load_ipython_extension unload_ipython_extension"
    ),
    "dwarf.testing": (
        "HostCheck HostFaults LostWriteWarning ScriptedAnswers VirtualClock check_host engine_for_test host_tasks"
    ),
}


def __getattr__(name: str) -> Any:
    """The forms of short graphs are loaded where they are used: a worker needs none of them.

    A public name of a subpackage is not loaded from here, but the error says where it is.
    """
    if name in _SHORT:
        from dwarf.workflow import short

        return globals().setdefault(name, getattr(short, name))
    import sys

    for place, names in _ELSEWHERE.items():
        if name in names.split():
            hint = f"{name!r} is in {place}: from {place} import {name}"
            # `from dwarf import name` replaces the text of an AttributeError by its own; an ImportError passes through.
            if sys._getframe(1).f_globals.get("__name__") == "importlib._bootstrap":
                raise ImportError(hint, name=__name__)
            raise AttributeError(hint, name=name, obj=sys.modules[__name__])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
