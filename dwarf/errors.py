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
    """The root of every error this package raises.

    Example::

        try:
            await engine.flow(key).cancel()
        except DwarfError as error:  # FlowNotFound, EngineClosed, StorageError: whatever it is
            print(error)
    """


class ConfigError(DwarfError, ValueError):
    """A setting of the engine, a host or a lab is wrong.

    Example::

        try:
            Engine(host, "oracle://host/name")
        except ConfigError as error:
            print(error)  # says which databases there are
    """


class GraphError(DwarfError, ValueError):
    """A workflow definition is wrong. ``problems`` lists every fault found, not only the first.

    >>> from dwarf import Graph, GraphError
    >>> try:
    ...     Graph("Pay").add_node("Ask").add_transition("Ask", "Pay").validate()
    ... except GraphError as error:
    ...     print(len(error.problems))
    1
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems: Sequence[str] = tuple(problems) or (message,)


class ConditionError(DwarfError, ValueError):
    """A ``when`` expression cannot be read (``position`` counts characters from 0) or evaluated.

    >>> from dwarf import ConditionError
    >>> from dwarf.workflow.conditions import parse
    >>> try:
    ...     parse("amount >")
    ... except ConditionError as error:
    ...     print(error.expression, error.position)
    amount > 8
    """

    def __init__(self, message: str, *, expression: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.expression = expression
        self.position = position


class StateError(DwarfError, TypeError):
    """A value cannot be kept in the state, or is not of the type it is read as.

    >>> from dwarf import Flow, StateError
    >>> try:
    ...     Flow({"n": "one"}).get_as("n", int)
    ... except StateError as error:
    ...     print(error)
    field 'n': expected int, got str 'one'
    """


class ReducerError(DwarfError, TypeError):
    """A reducer met a value of the wrong type. The text names the reducer and both types.

    >>> from dwarf import Reducer, ReducerError
    >>> try:
    ...     Reducer.ADD.reduce(1, "two")
    ... except ReducerError as error:
    ...     print("not a number")
    not a number
    """


class InvalidRequest(DwarfError, ValueError):
    """An argument of a call is wrong: a malformed key, a bad limit, an answer that does not fit its schema.

    Example::

        try:
            await flow.resume("perhaps")
        except InvalidRequest as error:  # the answer does not fit the schema of the question, which still waits
            print(error)
    """


class NotFound(DwarfError, LookupError):
    """Something addressed does not exist, or the key's secret part does not match.

    Example::

        try:
            outcome = await engine.flow(key)
        except NotFound:
            outcome = None
    """


class FlowNotFound(NotFound):
    """No flow has this key.

    Example::

        try:
            await engine.flow("1-999999-0123456789abcdef")
        except FlowNotFound:
            print("it was deleted, or the key is mistyped")
    """


class StepNotFound(NotFound):
    """No step has this key.

    Example::

        try:
            step = await engine.step(step_key)
        except StepNotFound:
            step = None  # deleted with its flow
    """


class ThreadNotFound(NotFound):
    """No flow of a thread has this key.

    Example::

        try:
            turns = [turn async for turn in engine.flows(thread=key)]
        except ThreadNotFound:
            turns = []
    """


class GraphNotFound(NotFound):
    """The host knows no workflow of this name.

    Example::

        try:
            await engine.create("Paymnet")
        except GraphNotFound as error:
            print(error)  # says what may have been meant
    """


class TaskNotFound(NotFound):
    """The host knows no task of this name.

    Example::

        try:
            await engine.create(graph)
        except TaskNotFound as error:  # no engine of this database knows the function of one of its nodes
            print(error)
    """


class StateConflict(DwarfError):
    """The flow or step is in the wrong status for this call, or another call got there first.

    Example::

        try:
            await flow.resume(True, step=waiting)
        except StateConflict:
            print("somebody else has answered")
    """


class WaitTimeout(DwarfError, TimeoutError):
    """Waiting for a flow ended before the flow stopped. The flow goes on; ``flow_key`` names it.

    Example::

        try:
            outcome = await flow.outcome(timeout=30)
        except WaitTimeout as error:
            print(f"{error.flow_key} goes on")
    """

    def __init__(self, message: str, flow_key: str = "") -> None:
        super().__init__(message)
        self.flow_key = flow_key


class EngineClosed(DwarfError):
    """The engine is not started, is closing, or is closed.

    Example::

        try:
            await engine.create(graph)
        except EngineClosed:
            print("write `async with engine:` around it")
    """


class StorageError(DwarfError):
    """The database failed. ``__cause__`` keeps the driver's error.

    Example::

        try:
            flow = await engine.create(graph)
        except StorageError as error:
            log.error("the database is away: %s", error.__cause__)
    """


class FlowStopped(DwarfError):
    """A flow stopped without completing. ``outcome`` says how.

    Example::

        try:
            state = (await flow).raise_for_status().state
        except FlowStopped as stopped:  # failed, cancelled or waiting
            print(stopped.outcome.status)
    """

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class FlowFailed(FlowStopped):
    """The flow failed.

    Example::

        try:
            (await flow).raise_for_status()
        except FlowFailed as failed:
            print(failed.outcome.error)
            repaired = await flow.retry_failed()
    """


class FlowCancelled(FlowStopped):
    """The flow was cancelled.

    Example::

        try:
            (await flow).raise_for_status()
        except FlowCancelled as cancelled:
            print(cancelled.outcome.cancel_reason)
    """


class FlowInterrupted(FlowStopped):
    """The flow waits for an answer.

    Example::

        try:
            (await flow).raise_for_status()
        except FlowInterrupted as waiting:
            print(waiting.outcome.interrupt_payload["title"])
    """


class SubgraphFailed(DwarfError):
    """Raised inside a task by ``flow.subgraph``: the child flow failed. The text is the child's error.

    Example::

        def onboard(flow: Flow) -> dict:
            try:
                return {"check": flow.subgraph("Check", {"name": flow["name"]})}
            except SubgraphFailed as failed:
                return {"check": {"error": str(failed)}}
    """

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class InterruptTimeout(DwarfError):
    """Raised inside a task by ``flow.interrupt``: the deadline passed, no answer came, and there is no default.

    Example::

        def ask(flow: Flow) -> dict:
            try:
                return {"approved": flow.interrupt({"title": "Pay?", "schema": bool}, timeout=timedelta(days=2))}
            except InterruptTimeout:
                return {"approved": False, "reason": "nobody has answered"}
    """


class WorkerLost(DwarfError):
    """What ran a task is gone before its outcome was known. Raised by hosts, not by tasks.

    The engine gives the step back at once, to be run again here or elsewhere, and counts the loss like that of a
    process: see ``Engine(max_crashes=)``.

    Example::

        class PoolHost(BaseHost):
            async def execute_task(self, url: str, flow: Flow) -> None:
                try:
                    await self.pool.run(url, flow)
                except BrokenPipeError as error:
                    raise WorkerLost(f"the process that ran {url} is gone") from error
    """


class PromptNeedsHuman(DwarfError):
    """A prompt waits for a person where nobody can see it.

    Example::

        try:
            outcome = await ScriptedAnswers({"Ask": True}).drive(flow)
        except PromptNeedsHuman as error:
            print(error)  # names the question that the script has no answer for
    """


class TaskError(Exception):
    """For tasks to raise: the text is the error, the rest reaches the error handler in ``onErr``.

    ``status_code`` and the named properties stand beside ``error`` in that field. With ``retryable=False`` the task is
    not tried again, whatever its Retry says.

    Example::

        def fetch(city: str) -> dict:
            if not city:
                raise TaskError("no city", status_code=400, retryable=False, field="city")
            return {"weather": ask_service(city)}
    """

    def __init__(self, message: str, *, status_code: int = 500, retryable: bool = True, **properties: Any) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.retryable = retryable
        self.properties = properties


class GraphWarning(UserWarning):
    """Something will probably go wrong with a workflow that is created though it is valid: see ``Graph.check``.

    Example::

        warnings.simplefilter("error", GraphWarning)  # a misspelt field stops the test in place of a warning
    """


class Parked(BaseException):
    """The control signal by which ``interrupt``, ``subgraph`` and ``retry`` leave a task.

    It is not an error and derives from ``BaseException`` so that ``except Exception`` in a task lets it pass.

    Example::

        def approve(flow: Flow) -> dict:
            try:
                return {"approved": flow.interrupt("Pay?")}
            except Exception:  # does not catch Parked; `except BaseException` would
                return {"approved": False}
    """
