"""The form in which a task in another process sends its outcome, and how the outcome is applied to the step.

An outcome is one JSON object: ``{"flow": <wire form>}`` after a return or a park. If the task raised, ``"error"`` has
the text, the fields for ``onErr``, the traceback, and the names of the error's classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from dwarf.errors import DwarfError, GraphNotFound, Parked, StateError, TaskError, TaskNotFound
from dwarf.workflow.errors_json import error_fields, error_text, traceback_text
from dwarf.workflow.flow import Flow

JSON: TypeAlias = Any

_NAMED: Mapping[str, type[Exception]] = {
    f"{kind.__module__}.{kind.__qualname__}": kind for kind in (TaskNotFound, GraphNotFound, StateError)
}
_RESERVED = ("error", "statusCode", "message", "status_code", "retryable")


class RemoteTraceback(Exception):
    """The cause of an error raised in another process. Its text is the traceback there."""

    def __init__(self, text: str) -> None:
        super().__init__(text)

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class RemoteTaskError(TaskError):
    """An error that a task raised in another process.

    It has the text, the status code and the properties of the original; ``type_names`` are the qualified names of the
    original's classes, most specific first.

    Example::

        @task(retry=Retry(3, retry_on=["requests.exceptions.ConnectionError"]))  # matched with type_names
        def fetch(city: str) -> dict: ...
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int = 500,
        retryable: bool = True,
        type_names: tuple[str, ...] = (),
        **properties: JSON,
    ) -> None:
        super().__init__(message, status_code=status_code, retryable=retryable, **properties)
        self._type_names = type_names


def type_names(error: BaseException) -> tuple[str, ...]:
    """The qualified names of an error's classes, or of the original's if it was raised in another process."""
    if isinstance(error, RemoteTaskError):
        return error._type_names
    return tuple(f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__ if kind is not object)


def outcome_to_json(flow: Flow, error: BaseException | None) -> dict[str, JSON]:
    """The outcome of one execution. ``error`` is the exception of the task, if any; Parked is not an error."""
    outcome: dict[str, JSON] = {"flow": flow.to_json()}
    if error is not None and not isinstance(error, Parked):
        outcome["error"] = {
            "text": error_text(error),
            "fields": error_fields(error),
            "traceback": traceback_text(error),
            "types": list(type_names(error)),
            "retryable": bool(getattr(error, "retryable", True)),
        }
    return outcome


def apply_outcome(flow: Flow, outcome: Mapping[str, JSON]) -> None:
    """Apply an outcome to the flow of the step. Raises the task's error, or Parked if it parked.

    StateError if the outcome has the wrong shape: data from another process is always checked.
    """
    carried = outcome.get("flow")
    if not isinstance(carried, Mapping):
        raise StateError("the process that ran the task answered without a flow")
    returned = Flow.from_json(carried)
    failed = outcome.get("error")
    if failed is not None:
        raise error_from_json(failed)
    flow._adopt(returned)
    if returned._park is not None:
        raise Parked("parked in another process")


def error_from_json(data: JSON) -> Exception:
    """The error described by ``outcome_to_json``."""
    if not isinstance(data, Mapping):
        return RemoteTaskError(str(data))
    text = data.get("text")
    message = text if isinstance(text, str) and text else "the task failed in another process, which gave no reason"
    found = data.get("fields")
    fields: Mapping[str, JSON] = found if isinstance(found, Mapping) else {}
    named = data.get("types")
    names = tuple(name for name in named if isinstance(name, str)) if isinstance(named, list) else ()
    error: Exception
    if names and names[0] in _NAMED:
        error = _NAMED[names[0]](message)
    else:
        status = fields.get("statusCode")
        error = RemoteTaskError(
            message,
            status_code=status if isinstance(status, int) and not isinstance(status, bool) and status > 0 else 500,
            retryable=data.get("retryable") is not False,
            type_names=names,
            **{name: value for name, value in fields.items() if isinstance(name, str) and name not in _RESERVED},
        )
    trace = data.get("traceback")
    if isinstance(trace, str) and trace:
        error.__cause__ = RemoteTraceback(trace)
    return error


class HostUnavailable(DwarfError):
    """A task cannot run now for a reason outside the task: its server is away, or refuses the caller.

    Example::

        class BusHost(BaseHost):
            async def execute_task(self, url: str, flow: Flow) -> None:
                if not self.bus.connected:
                    raise HostUnavailable("the bus is away")  # the step waits, within its time budget
                await self.bus.call(url, flow)
    """
