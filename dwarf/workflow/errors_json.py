"""The error of a task, as text and as the state field ``onErr``."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import GetSetDescriptorType, MemberDescriptorType, TracebackType
from typing import Any, TypeAlias

from dwarf.errors import StateError, TaskError
from dwarf.workflow.policies import kinds_of
from dwarf.workflow.values import to_json

JSON: TypeAlias = Any

MAX_TRACEBACK = 20_000
"""The maximum length of ``traceback_text``, in characters."""

_MOST = 3  # errors of a group, told in its text

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")
_COLOURS = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]")  # ANSI escape sequences of a terminal
_SURROGATES = re.compile("[\ud800-\udfff]")
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")
_AWAITED = re.compile(r"object \w+ can't be used in 'await' expression")
_RESERVED = frozenset({"error", "statusCode", "trace", "stack"})
# said otherwise here, or (obj, object) the whole value that an operation failed on
_SKIPPED = frozenset({"args", "status_code", "properties", "obj", "object"})


def error_fields(error: BaseException, *, trace: str = "") -> dict[str, JSON]:
    """The value of ``onErr``: ``{"error": text, "statusCode": int, ...}`` and the error's public JSON attributes.

    ``properties`` of a TaskError are added to them. ``trace`` is the id of the trace, in 32 hexadecimal digits; without
    one, the error's own attribute or property of that name is used if it is such an id. Values without a JSON form are
    left out. Never raises.
    """
    fields: dict[str, JSON] = {}
    own = _attributes(error)
    if isinstance(error, TaskError):
        own = [(name, value) for name, value in own if name != "retryable"]  # for the engine, not for a handler
    for name, value in (*own, *_properties(error)):
        if name == "trace" and not trace and isinstance(value, str):
            trace = value
        if name in _RESERVED or not isinstance(name, str):
            continue
        try:
            fields[to_json(name)] = to_json(value)
        except Exception:  # noqa: BLE001, S112 - one property that cannot be kept must not hide the error
            continue
    head: dict[str, JSON] = {"error": _printable(_text(error)), "statusCode": _status_code(error)}
    if _TRACE.fullmatch(trace):
        head["trace"] = trace
    return head | fields


def retry_kinds(error: BaseException) -> tuple[tuple[str, ...], ...]:
    """For each error, of a single one or of a group, the names of its class and bases, for ``Retry._covers``.

    Empty if one of them is an error that another attempt cannot mend.
    """
    leaves, within = [error], tuple[str, ...]()
    if isinstance(error, BaseExceptionGroup):
        leaves, within = list(_leaves(error)), kinds_of(error)
    if any(isinstance(leaf, StateError) or (isinstance(leaf, TaskError) and not leaf.retryable) for leaf in leaves):
        return ()
    return tuple((*kinds_of(leaf), *within) for leaf in leaves)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def error_text(error: BaseException) -> str:
    """The recorded text of an error: without terminal colours, and with U+FFFD for other control characters.

    Newlines and tabs stay.
    """
    return _CONTROL.sub("\ufffd", _COLOURS.sub("", _printable(_text(error))))


def _text(error: BaseException) -> str:
    try:
        text = str(error) or type(error).__name__
        if isinstance(error, KeyError) and type(error).__str__ is KeyError.__str__:
            return f"{type(error).__name__}: {text}"  # the key alone tells nobody what has happened
        if isinstance(error, BaseExceptionGroup):
            return text + _about_members(error)
        return text + _about_await(error) if type(error) is TypeError and _AWAITED.fullmatch(text) else text
    except Exception:  # noqa: BLE001 - an exception's __str__ may raise anything
        return type(error).__name__


def _about_members(group: BaseExceptionGroup[BaseException]) -> str:
    """The first few of the errors in a group, which says itself only how many there are."""
    leaves = list(_leaves(group))
    texts = [(type(leaf).__name__, _text(leaf)) for leaf in leaves[:_MOST]]
    told = [text if text.startswith(name) else f"{name}: {text}" for name, text in texts]
    more = f"; and {len(leaves) - _MOST} more" if len(leaves) > _MOST else ""
    return f": {'; '.join(told)}{more}"


def _about_await(error: BaseException) -> str:
    """A hint for an awaited result of a control call: the call itself waits, durably."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    line = last[0].line or "" if last else ""
    called = next((name for name in ("interrupt", "subgraph") if f".{name}(" in line), "")
    return f": flow.{called}(...) gives the value itself, write it without await" if called else ""


def _printable(text: str) -> str:
    return _SURROGATES.sub("\ufffd", text)


def _status_code(error: BaseException) -> int:
    try:
        status = getattr(error, "status_code", 500)
    except Exception:  # noqa: BLE001 - a property may raise anything
        return 500
    return int(status) if isinstance(status, int) and not isinstance(status, bool) and status > 0 else 500


def _attributes(error: BaseException) -> list[tuple[str, Any]]:
    """The public data of an error: its attributes, its class's, and those of Python's errors, such as ``errno``."""
    names = dict.fromkeys(getattr(error, "__dict__", {}))
    for cls in type(error).__mro__:
        names.update(dict.fromkeys(name for name, value in vars(cls).items() if _is_data(value)))
    found = []
    for name in names:
        if name.startswith("_") or name in _SKIPPED:
            continue
        try:
            value = getattr(error, name)
        except Exception:  # noqa: BLE001, S112 - a property may raise anything
            continue
        if value is not None and not callable(value):
            found.append((name, value))
    return found


def _is_data(value: Any) -> bool:
    if isinstance(value, (property, GetSetDescriptorType, MemberDescriptorType)):
        return True
    return not (callable(value) or hasattr(value, "__get__"))


def _properties(error: BaseException) -> list[tuple[str, Any]]:
    properties = error.properties if isinstance(error, TaskError) else None
    return list(properties.items()) if isinstance(properties, Mapping) else []


def traceback_text(error: BaseException) -> str:
    """The traceback without this package's frames around the task, at most ``MAX_TRACEBACK`` characters."""
    try:
        summary = traceback.TracebackException(type(error), error, _users_part(error.__traceback__), compact=True)
        _drop_ours(summary)
        text = _printable("".join(summary.format()))
    except Exception:  # noqa: BLE001 - sources, reprs and notes are the user's and may raise anything
        text = f"{type(error).__name__}: {_printable(_text(error))}\n"
    if len(text) <= MAX_TRACEBACK:
        return text
    head = MAX_TRACEBACK // 4
    return f"{text[:head]}\n  ... shortened ...\n{text[head + 30 - MAX_TRACEBACK :]}"


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return trace


def _drop_ours(summary: traceback.TracebackException | None) -> None:
    seen: set[int] = set()
    waiting = [summary]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        kept = [frame for frame in current.stack if not frame.filename.startswith(_PACKAGE)]
        current.stack = traceback.StackSummary.from_list(kept)
        waiting += [current.__cause__, current.__context__, *(current.exceptions or ())]
