"""The types of a workflow: pure, without a database, an event loop or a network."""

from __future__ import annotations

from dwarf.workflow.checking.finding import Finding as Finding
from dwarf.workflow.flow import Flow as Flow
from dwarf.workflow.graph import END as END
from dwarf.workflow.graph import Graph as Graph
from dwarf.workflow.graph import Limit as Limit
from dwarf.workflow.graph import Node as Node
from dwarf.workflow.graph import Transition as Transition
from dwarf.workflow.output import Display as Display
from dwarf.workflow.output import LogLine as LogLine
from dwarf.workflow.policies import Cache as Cache
from dwarf.workflow.policies import Retry as Retry
from dwarf.workflow.reducers import Reducer as Reducer
from dwarf.workflow.results import Answered as Answered
from dwarf.workflow.results import FlowSummary as FlowSummary
from dwarf.workflow.results import FlowUpdate as FlowUpdate
from dwarf.workflow.results import Outcome as Outcome
from dwarf.workflow.results import Step as Step
from dwarf.workflow.results import SubFlow as SubFlow
from dwarf.workflow.status import Status as Status
from dwarf.workflow.tasks import task as task
from dwarf.workflow.values.lookup import register_type as register_type

__all__ = [
    "END",
    "Answered",
    "Cache",
    "Display",
    "Finding",
    "Flow",
    "FlowSummary",
    "FlowUpdate",
    "Graph",
    "Limit",
    "LogLine",
    "Node",
    "Outcome",
    "Reducer",
    "Retry",
    "Status",
    "Step",
    "SubFlow",
    "Transition",
    "register_type",
    "task",
]
