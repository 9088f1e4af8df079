"""Checking an answer against a JSON schema, with messages for the person who gave it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from dwarf.errors import InvalidRequest, StateError
from dwarf.workflow.schemas.types import plain

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

JSON: TypeAlias = Any

_MAX_FAULTS = 5

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


def check(value: Any, schema: Mapping[str, JSON]) -> Any:
    """Return the value, unchanged, if it fits the schema; InvalidRequest that says where and why if it does not.

    ``value`` may hold Python values or tagged JSON: it is checked as ``plain`` writes it. Secrets (fields marked
    ``writeOnly`` or of the format "password") do not appear in the message.
    """
    try:
        instance = plain(value)
    except StateError as error:
        raise InvalidRequest(f"the answer cannot be kept: {error}") from None
    faults = _faults(instance, schema)
    if faults:
        more = f"; and {len(faults) - _MAX_FAULTS} more" if len(faults) > _MAX_FAULTS else ""
        raise InvalidRequest("; ".join(faults[:_MAX_FAULTS]) + more)
    return value


def checked_schema(schema: dict[str, JSON]) -> dict[str, JSON]:
    """The schema itself, if it is a valid JSON schema; else InvalidRequest."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = _path(error.absolute_path)
        at = f" at {where}" if where else ""
        raise InvalidRequest(f"the schema is not a valid JSON schema{at}: {error.message:.200}") from None
    return schema


def _faults(instance: JSON, schema: Mapping[str, JSON]) -> list[str]:
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry

    formats = FormatChecker(formats=())
    for name, (_, parse) in _FORMATS.items():
        formats.checks(name, raises=ValueError)(_parses(parse))
    # the empty registry: a $ref never leads to a network
    validator = Draft202012Validator(schema, format_checker=formats, registry=Registry())
    try:
        errors = sorted(validator.iter_errors(instance), key=lambda error: [str(part) for part in error.absolute_path])
    except Exception as error:  # noqa: BLE001 - a faulty schema fails in ways of its own
        raise InvalidRequest(f"the answer cannot be checked, because its schema is faulty: {error!s:.300}") from None
    return list(dict.fromkeys(fault for error in errors for fault in _texts(error)))


def _parses(parse: Callable[[str], Any]) -> Callable[[object], bool]:
    def checker(value: object) -> bool:
        if isinstance(value, str):
            parse(value)
        return True

    return checker


# ---------------------------------------------------------------------- messages


def _texts(error: ValidationError) -> Iterable[str]:
    if error.validator in ("anyOf", "oneOf") and error.context:
        yield from _branch_texts(error)
        return
    where = _path(error.absolute_path)
    if error.validator == "required":
        present = error.instance if isinstance(error.instance, Mapping) else {}
        wanted: Any = error.validator_value
        names = [name for name in wanted if name not in present]
        # one error comes for each missing name; its message begins with the name
        for name in names:
            if error.message.startswith(repr(name)):
                yield f"{where}.{name} is missing".lstrip(".")
        return
    reason = _reason(error)
    yield f"{where}: {reason}" if where else reason


def _branch_texts(error: ValidationError) -> Iterable[str]:
    # of the alternatives, the one that comes closest says what is wrong; null, of an optional value, never does
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).append(inner)
    real = [faults for faults in branches.values() if faults[0].validator_value != "null"]
    deep = [faults for faults in real if any(fault.path for fault in faults)] or real
    if len(deep) == 1:
        for inner in deep[0]:
            yield from _texts(inner)
        return
    wanted = [kind for faults in real for kind in _as_list(faults[0].validator_value) if faults[0].validator == "type"]
    where = _path(error.absolute_path)
    reason = f"{_shown(error)} is not {_either(wanted)}" if wanted else f"{_shown(error)} fits none of the alternatives"
    yield f"{where}: {reason}" if where else reason


def _reason(error: ValidationError) -> str:
    shown = _shown(error)
    wanted: Any = error.validator_value
    instance: Any = error.instance
    match error.validator:
        case "type":
            return f"{shown} is not {_either(_as_list(wanted))}"
        case "enum":
            return f"{shown} is not one of {', '.join(_value_text(choice) for choice in wanted)}"
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
            bound = "least" if error.validator == "minItems" else "most"
            return f"has {len(instance)} items, not at {bound} {wanted}"
        case "uniqueItems":
            return "holds the same item twice"
        case "additionalProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
            return "has unknown fields: " + ", ".join(repr(name) for name in instance if name not in known)
    return f"{shown} does not fit ({error.validator})"


def _path(parts: Iterable[Any]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _shown(error: ValidationError) -> str:
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    if schema.get("writeOnly") or schema.get("format") == "password":
        return "the value"
    return _value_text(error.instance)


def _value_text(value: JSON) -> str:
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _either(kinds: Iterable[Any]) -> str:
    return " or ".join(dict.fromkeys(_TYPES.get(kind, str(kind)) for kind in kinds))


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
