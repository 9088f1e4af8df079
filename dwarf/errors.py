"""Everything that can go wrong, in one tree.

::

    DwarfError
    ├── ConfigError (ValueError)         a setting of the engine is wrong
    ├── GraphError (ValueError)          a workflow definition is wrong; ``problems`` lists every fault
    ├── ConditionError (ValueError)      a ``when`` expression cannot be read or evaluated
    ├── StateError (TypeError)           a value cannot be kept in, or read from, the state
    ├── ReducerError (TypeError)         a reducer met a value of the wrong type
    ├── InvalidRequest (ValueError)      a call's arguments are wrong
    ├── NotFound (LookupError)           FlowNotFound, StepNotFound, ThreadNotFound, GraphNotFound, TaskNotFound
    ├── StateConflict                    the flow is in the wrong status for this call, or another call won
    ├── WaitTimeout (TimeoutError)       waiting ended; the flow goes on
    ├── EngineClosed                     the engine is not started, or is closing
    ├── StorageError                     the database failed; ``__cause__`` keeps the driver's error
    ├── FlowStopped                      FlowFailed, FlowCancelled, FlowInterrupted (from ``raise_for_status``)
    ├── SubgraphFailed                   raised inside a task: its child flow did not complete
    ├── InterruptTimeout                 raised inside a task: nobody answered in time
    ├── WorkerLost                       raised by a host: the process that ran a task is gone, the step is run again
    └── PromptNeedsHuman                 a prompt waits where no person can see it

    GraphWarning (UserWarning)           not an error: a finding of ``Graph.check`` about a graph that is used
    TaskError                            for tasks to raise, with a status code and properties
    Parked (BaseException)               not an error: the control signal of interrupt, subgraph and retry
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dwarf.workflow.results import Outcome

__all__ = [
    "ConditionError",
    "ConfigError",
    "DwarfError",
    "EngineClosed",
    "FlowCancelled",
    "FlowFailed",
    "FlowInterrupted",
    "FlowNotFound",
    "FlowStopped",
    "GraphError",
    "GraphNotFound",
    "GraphWarning",
    "InterruptTimeout",
    "InvalidRequest",
    "NotFound",
    "Parked",
    "PromptNeedsHuman",
    "ReducerError",
    "StateConflict",
    "StateError",
    "StepNotFound",
    "StorageError",
    "SubgraphFailed",
    "TaskError",
    "TaskNotFound",
    "ThreadNotFound",
    "WaitTimeout",
    "WorkerLost",
]


class DwarfError(Exception):
    """The root of every error this package raises."""


class ConfigError(DwarfError, ValueError):
    """A setting of the engine, a host or a lab is wrong."""


class GraphError(DwarfError, ValueError):
    """A workflow definition is wrong. ``problems`` lists every fault found, not only the first."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems: Sequence[str] = tuple(problems) or (message,)


class ConditionError(DwarfError, ValueError):
    """A ``when`` expression cannot be read (``position`` counts characters from 0) or evaluated."""

    def __init__(self, message: str, *, expression: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.expression = expression
        self.position = position


class StateError(DwarfError, TypeError):
    """A value cannot be kept in the state, or is not of the type it is read as."""


class ReducerError(DwarfError, TypeError):
    """A reducer met a value of the wrong type. The text names the reducer and both types."""


class InvalidRequest(DwarfError, ValueError):
    """An argument of a call is wrong: a malformed key, a bad limit, an answer that does not fit its schema."""


class NotFound(DwarfError, LookupError):
    """Something addressed does not exist, or the key's secret part does not match."""


class FlowNotFound(NotFound):
    """No flow has this key."""


class StepNotFound(NotFound):
    """No step has this key."""


class ThreadNotFound(NotFound):
    """No flow of a thread has this key."""


class GraphNotFound(NotFound):
    """The host knows no workflow of this name."""


class TaskNotFound(NotFound):
    """The host knows no task of this name."""


class StateConflict(DwarfError):
    """The flow or step is in the wrong status for this call, or another call got there first."""


class WaitTimeout(DwarfError, TimeoutError):
    """Waiting for a flow ended before the flow stopped. The flow goes on; ``flow_key`` names it."""

    def __init__(self, message: str, flow_key: str = "") -> None:
        super().__init__(message)
        self.flow_key = flow_key


class EngineClosed(DwarfError):
    """The engine is not started, is closing, or is closed."""


class StorageError(DwarfError):
    """The database failed. ``__cause__`` keeps the driver's error."""


class FlowStopped(DwarfError):
    """A flow stopped without completing. ``outcome`` says how."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class FlowFailed(FlowStopped):
    """The flow failed."""


class FlowCancelled(FlowStopped):
    """The flow was cancelled."""


class FlowInterrupted(FlowStopped):
    """The flow waits for an answer."""


class SubgraphFailed(DwarfError):
    """Raised inside a task by ``flow.subgraph``: the child flow failed. The text is the child's error."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class InterruptTimeout(DwarfError):
    """Raised inside a task by ``flow.interrupt``: the deadline passed, no answer came, and there is no default."""


class WorkerLost(DwarfError):
    """What ran a task is gone before its outcome was known. Raised by hosts, not by tasks.

    The engine gives the step back at once, to be run again here or elsewhere, and counts the loss like that of a
    process: see ``Engine(max_crashes=)``.
    """


class PromptNeedsHuman(DwarfError):
    """A prompt waits for a person where nobody can see it."""


class TaskError(Exception):
    """For tasks to raise: the text is the error, the rest reaches the error handler in ``onErr``.

    ``status_code`` and the named properties stand beside ``error`` in that field. With ``retryable=False`` the task is
    not tried again, whatever its Retry says.
    """

    def __init__(self, message: str, *, status_code: int = 500, retryable: bool = True, **properties: Any) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.retryable = retryable
        self.properties = properties


class GraphWarning(UserWarning):
    """Something will probably go wrong with a workflow that is created though it is valid: see ``Graph.check``."""


class Parked(BaseException):
    """The control signal by which ``interrupt``, ``subgraph`` and ``retry`` leave a task.

    It is not an error and derives from ``BaseException`` so that ``except Exception`` in a task lets it pass.
    """
