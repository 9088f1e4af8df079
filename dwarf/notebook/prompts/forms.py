"""How does a JSON schema become a form? A plain description that any front end can show: fields, buttons, context."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dwarf.notebook.pictures.formatting import brief, plural
from dwarf.notebook.prompts.answers import NOTHING, default_of
from dwarf.workflow.schemas.tables import MARK, is_table, rows_of

__all__ = ["answer_text", "form_of", "has_secret"]

Schema = Mapping[str, Any]

_MOST_BUTTONS = 5
_LONG_TEXT = 200
_HOPS = 20
_DEPTH = 4  # groups and lists inside each other; what is deeper is asked for as JSON
_INPUTS = {
    "date": "date",
    "time": "time",
    "date-time": "datetime",
    "email": "email",
    "uri": "url",
    "password": "password",
}
# the browser matches by going back and forth, so it is given only patterns in which there is nothing to go back to
_SIMPLE_PATTERN = re.compile(r"\^(\[[^\]\\]*\]|\\[dw]|[\w -])([*+]|\{\d+(,\d*)?\})?\$")


def form_of(payload: Mapping[str, Any], schema: Schema | None) -> dict[str, Any]:
    """The form of a prompt: ``fields``, ``buttons`` as [label, value, style], and ``single``.

    A single form answers with the value of its only field, another with an object of them all. A form without fields
    answers with the value of the button.
    """
    if is_table(schema):
        return _form([_table(payload, schema or {})], single=True)
    default = default_of(payload, schema)
    if schema is None:
        return _form([_free("answer", default)], single=True)
    root = schema
    schema = _resolve(schema, root)
    options = _options(schema)
    if _type(schema) == "boolean":
        return _form([], [["Approve", True, "yes"], ["Reject", False, "no"]])
    if options is not None and len(options) <= _MOST_BUTTONS:
        return _form([], [[label, value, "main" if value == default else ""] for label, value in options])
    if _type(schema) == "object" and isinstance(schema.get("properties"), Mapping) and schema["properties"]:
        given = default if isinstance(default, Mapping) else {}
        return _form(list(_fields(schema, root, given)), single=False)
    field = _field("answer", schema, default, root, required=True)
    field["label"] = str(schema.get("title") or "")
    return _form([field], single=True)


def has_secret(schema: Schema | None) -> bool:
    """Whether an answer to this schema holds something that must not be written down in a notebook."""
    if schema is None:
        return False
    return any(part.get("format") == "password" or part.get("writeOnly") is True for part in _parts(schema))


def answer_text(value: Any, schema: Schema | None) -> str:
    """An answer on one line, for the record that stays in the notebook; secrets are masked."""
    if has_secret(schema):
        return "answered (not shown)"
    if value is ...:
        return "answered"
    if is_table(schema) and isinstance(value, (list, tuple)):
        return f"a table of {plural(len(value), 'row')}"
    if isinstance(value, bool):
        return "approved" if value else "rejected"
    if isinstance(value, Mapping):
        return brief(", ".join(f"{name}: {brief(part, 40)}" for name, part in value.items()), 160)
    return brief(value, 160)


def _form(
    fields: list[dict[str, Any]], buttons: list[list[Any]] | None = None, *, single: bool = False
) -> dict[str, Any]:
    return {"fields": fields, "buttons": buttons or [["Send", None, "main"]], "single": single}


def _fields(schema: Schema, root: Schema, given: Mapping[str, Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    needed = set(schema.get("required", ()))
    for name, part in schema["properties"].items():
        own = part if isinstance(part, Mapping) else {}
        part = _resolve(own, root)
        default = given.get(name, part.get("default", NOTHING))
        field = _field(str(name), part, default, root, required=name in needed, depth=depth)
        # a title that comes with a class is the name of the class, and not of what is asked for
        yield field | {"label": str(own.get("title") or name.replace("_", " "))}


def _field(name: str, schema: Schema, default: Any, root: Schema, *, required: bool, depth: int = 0) -> dict[str, Any]:
    kind = _kind(schema, root, depth)
    low, high = _bounds(schema, kind)
    value = None if default is NOTHING else default
    if kind in ("json", "list") and has_secret(schema):
        value, default = None, NOTHING
    nullable = _nullable(schema)
    options = [list(option) for option in _options(schema) or _choices(schema) or ()]
    if kind == "boolean" and nullable:  # a box to tick has no third state
        kind, options = "choice", [["yes", True], ["no", False]]
    made = {
        "name": name,
        "kind": kind,
        "label": str(schema.get("title") or name.replace("_", " ")),
        "help": str(schema.get("description") or ""),
        "value": _shown(value, kind, default is NOTHING),
        "required": required and not nullable,
        "nullable": nullable,
        "options": options,
        "min": low,
        "max": high,
        "length": schema.get("maxLength"),
        "pattern": _pattern(schema) if kind == "text" else None,
    }
    if kind == "group":
        given = value if isinstance(value, Mapping) else {}
        made |= {"fields": list(_fields(schema, root, given, depth + 1)), "value": None}
    elif kind == "list":
        item = _resolve(schema["items"], root)
        made |= {
            "item": _field(name, item, NOTHING, root, required=True, depth=depth + 1),
            "least": schema.get("minItems") or 0,
            "most": schema.get("maxItems"),
            "value": list(value) if isinstance(value, (list, tuple)) else [],
        }
    elif kind == "file":
        made |= {"accept": str(schema.get("contentMediaType") or ""), "url": schema.get("format") == "data-url"}
    return made


def _table(payload: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The field of a table to edit: its columns with what may stand in them, and the rows as they are."""
    editable = set(payload.get("editable") or ())
    kinds = schema[MARK]
    columns = [{"name": name, "editable": name in editable, "options": [], **kind} for name, kind in kinds.items()]
    table = payload.get("table")
    names = list(kinds)
    rows = rows_of(table, list(table.columns) if hasattr(table, "columns") else names) if table is not None else []
    made = _field("answer", {"title": ""}, NOTHING, {}, required=True)
    adds = payload.get("rows") == "add"
    return made | {"kind": "table", "label": "", "columns": columns, "rows": rows, "adds": adds}


def _free(name: str, default: Any) -> dict[str, Any]:
    """The field of a prompt without a schema: JSON where the text is JSON, else the text itself."""
    field = _field(name, {"title": "Answer", "description": "text or JSON"}, NOTHING, {}, required=False)
    text = "" if default is NOTHING else default if isinstance(default, str) else _shown(default, "json", False)
    return field | {"kind": "free", "value": text}


def _shown(value: Any, kind: str, missing: bool) -> Any:
    if kind in ("password", "file"):
        return None
    return (
        ("" if missing else json.dumps(value, ensure_ascii=False, indent=1, default=str)) if kind == "json" else value
    )


def _kind(schema: Schema, root: Schema, depth: int) -> str:
    if _options(schema) is not None:
        return "choice"
    if _choices(schema) is not None:
        return "choices"
    kind, form = _type(schema), str(schema.get("format", ""))
    if kind == "object" and schema.get("properties") and isinstance(schema["properties"], Mapping) and depth < _DEPTH:
        return "group"
    if kind == "array" and isinstance(schema.get("items"), Mapping) and schema["items"] and depth < _DEPTH:
        item = _kind(_resolve(schema["items"], root), root, depth + 1)
        return "json" if item in ("json", "choices") else "list"
    if kind != "string":
        return kind if kind in ("boolean", "integer", "number") else "json"
    if schema.get("writeOnly") is True:
        return "password"
    if schema.get("contentEncoding") == "base64" or form in ("binary", "byte", "data-url"):
        return "file"
    if form in _INPUTS:
        return _INPUTS[form]
    return "area" if form in ("textarea", "markdown") or schema.get("maxLength", 0) > _LONG_TEXT else "text"


def _pattern(schema: Schema) -> str | None:
    pattern = schema.get("pattern")
    return pattern if isinstance(pattern, str) and _SIMPLE_PATTERN.fullmatch(pattern) else None


def _bounds(schema: Schema, kind: str) -> tuple[Any, Any]:
    if kind not in ("integer", "number"):
        return None, None
    step = 1 if kind == "integer" else 0
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is None and isinstance(above, int | float):
        low = above + step
    if high is None and isinstance(below, int | float):
        high = below - step
    return low, high


def _type(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "")
    return str(kind or ("object" if "properties" in schema else ""))


def _nullable(schema: Schema) -> bool:
    kind = schema.get("type")
    return bool(schema.get("nullable")) or (isinstance(kind, list) and "null" in kind)


def _options(schema: Schema) -> list[tuple[str, Any]] | None:
    """The choices of a schema as (label, value), or None where it is not a list of choices."""
    if isinstance(schema.get("enum"), list):
        return [(_label(value), value) for value in schema["enum"]]
    each = schema.get("oneOf")
    if isinstance(each, list) and each and all(isinstance(part, Mapping) and "const" in part for part in each):
        return [(str(part.get("title") or _label(part["const"])), part["const"]) for part in each]
    return None


def _choices(schema: Schema) -> list[tuple[str, Any]] | None:
    """The same for a list of choices of which several may be taken."""
    items = schema.get("items")
    return _options(items) if _type(schema) == "array" and isinstance(items, Mapping) else None


def _label(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else brief(value, 60)


def _resolve(schema: Schema, root: Schema) -> Schema:
    """The schema with references followed and an optional "or null" folded into ``nullable``."""
    for _ in range(_HOPS):
        reference = schema.get("$ref")
        parts = schema.get("anyOf") or schema.get("allOf")
        if isinstance(reference, str) and reference.startswith("#/"):
            found: Any = root
            for part in reference[2:].split("/"):
                found = found.get(part, {}) if isinstance(found, Mapping) else {}
            schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
        elif isinstance(parts, list) and all(isinstance(part, Mapping) for part in parts):
            real = [part for part in parts if part.get("type") != "null"]
            if len(real) != 1:
                return schema
            rest = {key: value for key, value in schema.items() if key not in ("anyOf", "allOf")}
            schema = {**real[0], **rest, **({"nullable": True} if len(real) < len(parts) else {})}
        else:
            return schema
    return schema


def _parts(schema: Any) -> Iterator[Schema]:
    stack = [schema]
    while stack:
        part = stack.pop()
        if isinstance(part, Mapping):
            yield part
            stack += part.values()
        elif isinstance(part, list):
            stack += part
