"""Checking an answer against a JSON schema, with messages for the answering person."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from typing import Any, TypeAlias
from uuid import UUID

from dwarf.errors import InvalidRequest, StateError
from dwarf.workflow.schemas.evaluate import MOST_WORK, MOST_WORK_ON_LOOP, Evaluation, Fault, TooMuchWork
from dwarf.workflow.schemas.rules import SchemaFault, check_schema, walk
from dwarf.workflow.schemas.types import plain
from dwarf.workflow.suggest import did_you_mean

JSON: TypeAlias = Any

_MAX_FAULTS = 5
_MAX_CHOICES = 20

_TYPES = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "empty",
}
_FORMATS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "date": ("a date (YYYY-MM-DD)", date.fromisoformat),
    "time": ("a time (HH:MM)", time.fromisoformat),
    "date-time": ("a date and time (YYYY-MM-DDTHH:MM)", datetime.fromisoformat),
    "uuid": ("a UUID", UUID),
    "email": ("an e-mail address", lambda text: _matched(r"[^@\s]+@[^@\s]+", text)),
    "uri": ("an address with a scheme", lambda text: _matched(r"[A-Za-z][A-Za-z0-9+.-]*:\S*", text)),
}


def _matched(pattern: str, text: str) -> None:
    if not re.fullmatch(pattern, text):
        raise ValueError(text)


def _is_of(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        if len(text) > _MAX_FORMATTED:
            return False
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return fits


_MAX_FORMATTED = 10_000  # characters; nothing longer is a date, an address or the like
_FORMAT_CHECKS = {name: _is_of(parse) for name, (_, parse) in _FORMATS.items()}


def check(value: Any, schema: Mapping[str, JSON], *, on_loop: bool = False) -> Any:
    """Return the value, unchanged, if it fits the schema; InvalidRequest that says where and why if it does not.

    ``value`` may hold Python values or tagged JSON: it is checked as ``plain`` writes it. Secrets (fields marked
    ``writeOnly`` or of the format "password") do not appear in the message. The time it takes is bounded, to a tenth
    ``on_loop``, where an event loop waits for it; an answer that would take longer is refused.
    """
    try:
        instance = plain(value)
    except StateError as error:
        raise InvalidRequest(f"the answer cannot be kept: {error}") from None
    faults = _faults(instance, schema, on_loop)
    if faults:
        more = f"; and {len(faults) - _MAX_FAULTS} more" if len(faults) > _MAX_FAULTS else ""
        raise InvalidRequest("; ".join(faults[:_MAX_FAULTS]) + more)
    return value


def check_defaults(schema: Mapping[str, JSON], given: JSON = None, *, on_loop: bool = False) -> None:
    """StateError for a default that is no answer: ``given`` for the whole of it, and those in the schema itself.

    None means that there is no default. Members may be absent: the answering person fills them in.
    """
    work = Evaluation(schema, _FORMAT_CHECKS, MOST_WORK_ON_LOOP if on_loop else MOST_WORK)
    inner = [(path, part, part.get("default")) for path, part in walk(schema) if isinstance(part, Mapping)]
    for path, part, default in [((), schema, plain(given)), *inner]:
        if default is None:
            continue
        try:
            faults = [fault for fault in work.of(part, default).faults if not _is_absence(fault)]
        except (TooMuchWork, RecursionError):
            return  # such an answer is refused with a message
        if faults:
            name = ".".join(map(str, path[1::2] if set(path[::2]) == {"properties"} else path))
            what = f"the default of {name!r} in the schema of a question" if name else "the default of a question"
            raise StateError(f"{what} does not fit: {'; '.join(_texts(faults[0]))}")


def _is_absence(fault: Fault) -> bool:
    """Whether nothing is wrong but that a member is absent."""
    if fault.branches:
        return any(all(map(_is_absence, branch)) for branch in fault.branches)
    return fault.keyword == "required"


def checked_schema(schema: dict[str, JSON], *, on_loop: bool = False) -> dict[str, JSON]:
    """The schema itself, if it is one that answers can be checked against; else InvalidRequest."""
    try:
        check_schema(schema, on_loop=on_loop)
    except SchemaFault as fault:
        where = _path(fault.path)
        at = f" at {where}" if where else ""
        raise InvalidRequest(f"the schema is not a valid JSON schema{at}: {fault.reason}") from None
    return schema


def _faults(instance: JSON, schema: Mapping[str, JSON], on_loop: bool) -> list[str]:
    work = Evaluation(schema, _FORMAT_CHECKS, MOST_WORK_ON_LOOP if on_loop else MOST_WORK)
    try:
        check_schema(schema, on_loop=on_loop)  # one that was imported, or is of an earlier version, may be faulty
        faults = work.of(schema, instance).faults
    except SchemaFault as fault:
        where = "".join(f" at {path}" for path in [_path(fault.path)] if path)
        raise InvalidRequest(f"the answer cannot be checked, because its schema is faulty{where}: {fault}") from None
    except RecursionError:
        raise InvalidRequest(
            "the answer cannot be checked, because its schema is faulty: it refers to itself"
        ) from None
    except TooMuchWork:
        raise InvalidRequest("the answer is too large: checking it against its schema would take too long") from None
    except UnicodeEncodeError:
        raise InvalidRequest("the answer cannot be kept: it holds a lone surrogate") from None
    faults = sorted(faults, key=lambda fault: [str(part) for part in fault.path])
    return list(dict.fromkeys(text for fault in faults for text in _texts(fault)))


# ---------------------------------------------------------------------- messages


def _texts(fault: Fault) -> Iterable[str]:
    if fault.branches:
        yield from _branch_texts(fault)
        return
    where = _path(fault.path)
    if fault.keyword == "required":
        yield f"{where}.{fault.wanted} is missing".lstrip(".")
        return
    reason = _reason(fault)
    yield f"{where}: {reason}" if where else reason


def _branch_texts(fault: Fault) -> Iterable[str]:
    # the closest alternative explains the error; null, of an optional value, never does
    real = [faults for faults in fault.branches if faults[0].wanted != "null" or faults[0].keyword != "type"]
    deep = [faults for faults in real if any(inner.path for inner in faults)] or real
    if len(deep) == 1:
        for inner in deep[0]:
            yield from _texts(inner.below(*fault.path))
        return
    wanted = [kind for faults in real for kind in _as_list(faults[0].wanted) if faults[0].keyword == "type"]
    where = _path(fault.path)
    reason = f"{_shown(fault)} is not {_either(wanted)}" if wanted else f"{_shown(fault)} fits none of the alternatives"
    yield f"{where}: {reason}" if where else reason


def _reason(fault: Fault) -> str:
    shown = _shown(fault)
    wanted: Any = fault.wanted
    match fault.keyword:
        case "type":
            return f"{shown} is not {_either(_as_list(wanted))}"
        case "enum":
            more = ", ..." if len(wanted) > _MAX_CHOICES else ""
            return f"{shown} is not one of {', '.join(map(_value_text, wanted[:_MAX_CHOICES]))}{more}"
        case "const":
            return f"{shown} is not {_value_text(wanted)}"
        case "format":
            return f"{shown} is not {_FORMATS[wanted][0]}"
        case "minimum":
            return f"{shown} is less than {wanted}"
        case "maximum":
            return f"{shown} is more than {wanted}"
        case "exclusiveMinimum":
            return f"{shown} is not more than {wanted}"
        case "exclusiveMaximum":
            return f"{shown} is not less than {wanted}"
        case "multipleOf":
            return f"{shown} is not a multiple of {wanted}"
        case "minLength":
            return "must not be empty" if wanted == 1 else f"{shown} is shorter than {wanted} characters"
        case "maxLength":
            return f"{shown} is longer than {wanted} characters"
        case "pattern":
            return f"{shown} does not have the form {wanted}"
        case "minItems" | "maxItems":
            bound = "least" if fault.keyword == "minItems" else "most"
            return f"has {len(fault.instance)} items, not at {bound} {wanted}"
        case "uniqueItems":
            return "holds the same item twice"
        case "additionalProperties":
            return "has unknown fields: " + ", ".join(_unknown(name, fault) for name in wanted[:_MAX_FAULTS])
        case "oneOf":
            return f"{shown} fits more than one of the alternatives"
        case "false":
            return f"{shown} is not allowed here"
    return f"{shown} does not fit ({fault.keyword})"


def _unknown(name: str, fault: Fault) -> str:
    absent = [known for known in fault.schema.get("properties", ()) if known not in fault.instance]
    return f"{name[:60]!r}{did_you_mean(name[:60], absent)}"


def _path(parts: Iterable[Any]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _shown(fault: Fault) -> str:
    if fault.schema.get("writeOnly") or fault.schema.get("format") == "password":
        return "the value"
    return _value_text(fault.instance)


def _value_text(value: JSON) -> str:
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value[:61] if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:57] + "..."


def _either(kinds: Iterable[Any]) -> str:
    return " or ".join(dict.fromkeys(_TYPES.get(kind, str(kind)) for kind in kinds))


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
