"""One call of a task in another process: packed on the engine's side, run on the executor's side.

The task is sent by cloudpickle: a function of a module by name, a function of a notebook cell or a script by value. The
Flow is sent in its wire form. The outcome comes back in the form that ``remote`` describes, with the error itself if it
can be pickled.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import sys
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from dwarf import __version__
from dwarf.errors import ConfigError, Parked
from dwarf.hosts.calls import awaited
from dwarf.hosts.remote import RemoteTraceback, apply_outcome, error_from_json, outcome_to_json
from dwarf.hosts.telling import SENT, OutputListener, Tell, Teller
from dwarf.workflow import capture
from dwarf.workflow.binding import Binding
from dwarf.workflow.flow import Flow
from dwarf.workflow.flow_identity import WatchedFlow
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.scopes import SCOPE, code_of, scope_of
from dwarf.workflow.unwrap import only_parked
from dwarf.workflow.values.lookup import is_kept, register_type

Wants: TypeAlias = tuple[bool, bool, bool]

_HERE = (sys.version_info[0], sys.version_info[1], __version__)
_PROTOCOL = 4  # every supported Python reads it, so that a version mismatch can be reported instead of just failing
_MAIN = "__main__"


def pack_call(binding: Binding, flow: Flow, wants: Wants) -> bytes:
    """A call as bytes. ``wants``: which kinds of output are needed, see ``OutputListener``.

    ConfigError, naming the task, if its function cannot be pickled.
    """
    try:
        import cloudpickle
    except ImportError:
        raise ConfigError("executors need cloudpickle: pip install 'dwarf[executors]'") from None
    binding.resolve()  # resolved on this side: the names in annotations are not sent with a function
    code = code_of(binding.function)
    scope = scope_of(binding.function) if getattr(code, "__module__", None) == _MAIN else ""
    try:
        task: bytes = cloudpickle.dumps(binding)
    except Exception as error:
        raise ConfigError(
            f"the function of task {binding.url!r} cannot be sent to an executor: {type(error).__name__}: {error}. "
            "It refers to something that cannot be pickled, such as a lock, an open file or a connection: make that "
            "inside the function"
        ) from error
    form = flow.sent_json() if isinstance(flow, WatchedFlow) else flow.to_json()
    return pickle.dumps((_HERE, os.getpid(), scope, wants, task, dumps(form)), protocol=_PROTOCOL)


def run_call(call: bytes, tell: Tell | None = None) -> bytes:
    """Run a packed call in this process. Returns the outcome as bytes; never raises the task's error."""
    versions, pid, scope, wants, task, state = pickle.loads(call)
    teller = Teller(tell)
    flow = WatchedFlow.from_json(state)
    error: BaseException | None = None
    try:
        if versions != _HERE:
            raise ConfigError(
                f"the executor runs Python {_HERE[0]}.{_HERE[1]} with dwarf {_HERE[2]}, and the engine Python "
                f"{versions[0]}.{versions[1]} with dwarf {versions[2]}: install the same versions on both sides"
            )
        away = pid != os.getpid()
        if away and scope:
            sys.modules[_MAIN].__dict__[SCOPE] = scope  # so that classes of the cells have the same names on both sides
        binding: Binding = pickle.loads(task)
        if away and scope:
            _register_classes(binding)
        flow._on_progress = teller.progress if wants[0] else None
        flow._output = (lambda: teller) if wants[1] else None
        _heard(partial(_invoke, binding, flow), teller, wants[2])
    except BaseException as raised:  # noqa: BLE001 - whatever a task raises is its outcome
        error = raised if only_parked(raised) is None else None
    identity_read = flow.identity_read
    outcome = {**outcome_to_json(flow, error), "identityRead": identity_read}
    sent, rest = teller.rest()
    return SENT.pack(sent) + pickle.dumps((dumps(outcome), _pickled(error), rest), protocol=_PROTOCOL)


def _register_classes(binding: Binding) -> None:
    """Let stored values name the classes that were sent with a function."""
    names = getattr(code_of(binding.function), "__globals__", {})
    for value in [*names.values(), *binding.kinds()]:
        if is_kept(value) and value.__module__ == _MAIN:
            register_type(value)


def _heard(work: Callable[[], None], teller: Teller, captured: bool) -> None:
    """Run the task. Its prints and log records go to ``teller`` if they are to be kept."""
    if not captured:
        work()
        return
    capture.install()
    token = capture.enter(lambda: teller)
    try:
        work()
    finally:
        capture.leave(token)
        capture.uninstall()


def _invoke(binding: Binding, flow: Flow) -> None:
    args, kwargs = binding.call_arguments(flow)
    result = binding.function(*args, **kwargs)
    if inspect.isawaitable(result):
        result = asyncio.run(awaited(result))
    binding.store_result(flow, result)


def _pickled(error: BaseException | None) -> bytes:
    """The error as bytes; empty if it cannot be pickled and unpickled."""
    if error is None or isinstance(error, Parked):
        return b""
    try:
        import cloudpickle

        packed: bytes = cloudpickle.dumps(error)
        pickle.loads(packed)
    except Exception:  # noqa: BLE001 - errors of users may do anything when they are pickled
        return b""
    return packed


def take_outcome(flow: Flow, packed: bytes, listener: OutputListener) -> None:
    """Apply the outcome of a packed call to the flow of the step. Raises the task's error, or Parked."""
    text, pickled, rest = pickle.loads(memoryview(packed)[SENT.size :])
    listener.finish(rest)
    outcome = loads(text)
    failed = outcome.get("error")
    if failed is not None and pickled:
        try:
            error: BaseException = pickle.loads(pickled)
        except Exception:  # noqa: BLE001 - the class may be unknown here
            error = error_from_json(failed)
        else:
            error.__cause__ = RemoteTraceback(failed["traceback"])
        raise error
    if isinstance(flow, WatchedFlow) and outcome.get("identityRead") is not False:
        flow.note_read()
    apply_outcome(flow, outcome)
