"""Questions of flows, asked in a terminal: by their schema, field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dwarf.cli.render import short
from dwarf.errors import InvalidRequest, StateConflict, StateError
from dwarf.surroundings import user_name

if TYPE_CHECKING:
    from rich.console import Console

    from dwarf.engine import FlowHandle
    from dwarf.workflow.results import Step

Schema = Mapping[str, Any]
Ask = Callable[[str, bool], str]
"""Asks for one line: the text before it, and whether it is secret. EOFError when there are no more."""

_TOLD_APART = frozenset({"title", "schema", "default", "description", "help"})
_HOPS = 20


class Skipped(Exception):
    """The person leaves the question open."""


async def answer_in_terminal(handle: FlowHandle, step: Step, console: Console, ask: Ask) -> bool:
    """Put a question until its answer is taken. False: the person leaves it open, or another answer was quicker."""
    payload = step.interrupt_payload or {}
    show_question(step, console)
    schema = payload.get("schema")
    while True:
        try:
            value = ask_value(schema if isinstance(schema, Mapping) else {}, payload.get("default"), console, ask)
            await handle.resume(value, step=step, by=user_name())
        except Skipped:
            return False
        except (InvalidRequest, StateError) as error:
            console.print(str(error), style="red", markup=False)
        except StateConflict as error:
            console.print(str(error), style="yellow", markup=False)
            return False
        else:
            return True


def show_question(step: Step, console: Console) -> None:
    """The whole question: what is asked, and everything that it tells besides."""
    payload = step.interrupt_payload or {}
    title = payload.get("title")
    console.print()
    console.print(str(title) if title else step.node, style="bold yellow", markup=False)
    for name in ("description", "help"):
        if isinstance(payload.get(name), str):
            console.print(payload[name], markup=False)
    for name, value in payload.items():
        if name in _TOLD_APART:
            continue
        text = value if isinstance(value, str) else short(value, 100_000)
        console.print(f"  {name}: {text}", markup=False)


def ask_value(schema: Schema, default: Any, console: Console, ask: Ask) -> Any:
    """A value that the schema asks for, as far as a terminal can see to that; the engine checks the rest."""
    root = schema
    schema = _resolved(schema, root)
    if schema.get("type") == "object" and isinstance(schema.get("properties"), Mapping):
        given = default if isinstance(default, Mapping) else {}
        return _object(schema, root, given, console, ask)
    return _single(schema, "answer", default, console, ask, needed=default is None)


def _object(schema: Schema, root: Schema, given: Mapping[str, Any], console: Console, ask: Ask) -> dict[str, Any]:
    needed = set(schema.get("required") or ())
    values: dict[str, Any] = {}
    for name, part in schema["properties"].items():
        part = _resolved(part if isinstance(part, Mapping) else {}, root)
        default = given.get(name, part.get("default"))
        if part.get("type") == "object" and isinstance(part.get("properties"), Mapping):
            console.print(f"{name}:", style="bold", markup=False)
            values[name] = _object(part, root, default if isinstance(default, Mapping) else {}, console, ask)
            continue
        value = _single(part, name, default, console, ask, needed=name in needed)
        if value is not None or name in needed:
            values[name] = value
    return values


def _single(schema: Schema, name: str, default: Any, console: Console, ask: Ask, *, needed: bool) -> Any:
    options = _options(schema)
    if options:
        return _choice(options, name, default, console, ask, needed=needed)
    kinds = _kinds(schema)
    secret = schema.get("format") == "password" or schema.get("writeOnly") is True
    if schema.get("description"):
        console.print(f"  {schema['description']}", style="dim", markup=False)
    if "boolean" in kinds:
        hint = "y/n"
    elif kinds & {"array", "object"} or not kinds:
        hint = "JSON" if kinds else "text or JSON"
    else:
        hint = schema.get("format") or next(iter(kinds - {"null"}), "nothing")
    shown = "" if default is None or secret else f" [{short(default, 40)}]"
    while True:
        text = ask(f"{name} ({hint}){shown}: ", secret)
        if not text.strip():
            if default is not None or not needed or "null" in kinds:
                return default
            if kinds == {"string"} or not kinds:
                return ""
            console.print("an answer is needed; Ctrl-D leaves the question open", style="red")
            continue
        try:
            return read_line(text, kinds)
        except ValueError as error:
            console.print(str(error), style="red", markup=False)


def read_line(text: str, kinds: frozenset[str]) -> Any:
    """What a line means for these JSON types; without any, JSON where it is JSON and else the text. ValueError."""
    from dwarf.workflow.jsontext import loads

    stripped = text.strip()
    if "boolean" in kinds and stripped.lower() in ("y", "yes", "true", "n", "no", "false"):
        return stripped.lower() in ("y", "yes", "true")
    if "integer" in kinds or "number" in kinds:
        try:
            return int(stripped) if "." not in stripped and "e" not in stripped.lower() else float(stripped)
        except ValueError:
            if "string" not in kinds:
                raise ValueError(f"{stripped!r} is not a number") from None
    if "string" in kinds:
        return text
    if "boolean" in kinds:
        raise ValueError("answer y or n")
    try:
        return loads(stripped, bounded=True)
    except StateError as error:
        if not kinds:
            return text
        raise ValueError(f"this is no JSON: {error}") from None


def bare_text(text: str, payload: Mapping[str, Any] | None) -> str | None:
    """A line that answers a question as it stands, because that asks for a text; None where it is to be JSON."""
    from dwarf.workflow.jsontext import loads

    given = (payload or {}).get("schema")
    schema = _resolved(given, given) if isinstance(given, Mapping) else {}
    choices = [value for _, value in _options(schema)]
    kinds = _kinds(schema)
    if "string" not in kinds and not any(isinstance(value, str) for value in choices):
        return None
    bare = text.rstrip("\r\n")
    try:
        value = loads(text, bounded=True)
    except StateError:
        return bare
    if choices:
        return None if value in choices else bare
    others = kinds - {"string", "null"}  # of several kinds, what reads as JSON is meant as JSON
    return None if isinstance(value, str) or others or (value is None and "null" in kinds) else bare


def _choice(
    options: Sequence[tuple[str, Any]], name: str, default: Any, console: Console, ask: Ask, *, needed: bool
) -> Any:
    for number, (label, _) in enumerate(options, 1):
        console.print(f"  {number}  {label}", markup=False)
    labels = dict(options)
    while True:
        text = ask(f"{name} (1 to {len(options)}): ", False).strip()
        if not text and (default is not None or not needed):
            return default
        if text in labels:
            return labels[text]
        if text.isdigit() and 1 <= int(text) <= len(options):
            return options[int(text) - 1][1]
        console.print(f"choose a number from 1 to {len(options)}", style="red")


def _options(schema: Schema) -> list[tuple[str, Any]]:
    if isinstance(schema.get("enum"), list):
        return [(value if isinstance(value, str) else short(value), value) for value in schema["enum"]]
    for word in ("oneOf", "anyOf"):
        parts = schema.get(word)
        if isinstance(parts, list) and parts and all(isinstance(part, Mapping) and "const" in part for part in parts):
            return [(str(part.get("title") or short(part["const"])), part["const"]) for part in parts]
    return []


def _kinds(schema: Schema) -> frozenset[str]:
    kind = schema.get("type")
    if isinstance(kind, str):
        return frozenset({kind})
    if isinstance(kind, list):
        return frozenset(map(str, kind))
    found: set[str] = set()
    for part in schema.get("anyOf") or schema.get("oneOf") or ():
        if isinstance(part, Mapping):
            found |= _kinds(part)
    return frozenset(found)


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema that a reference inside the same document leads to."""
    for _ in range(_HOPS):
        ref = schema.get("$ref")
        if not isinstance(ref, str) or not ref.startswith("#/"):
            break
        found: Any = root
        for part in ref[2:].split("/"):
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
        schema = {**(found if isinstance(found, Mapping) else {}), **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def ask_line(text: str, secret: bool) -> str:
    """Ask a person at this terminal. Skipped at the end of the input."""
    import getpass

    try:
        return getpass.getpass(text) if secret else input(text)
    except EOFError:
        print()
        raise Skipped from None
