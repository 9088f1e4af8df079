"""Makes static/messages.d.ts from dwarf/notebook/messages.py: python -m tests.notebook.write_messages"""

from __future__ import annotations

import inspect
import types
import typing
from pathlib import Path
from typing import Any, Literal, NotRequired, get_args, get_origin, get_type_hints

from dwarf.notebook import messages

TARGET = Path(messages.__file__).parent / "static" / "messages.d.ts"
PLAIN = {int: "number", float: "number", str: "string", bool: "boolean", Any: "any", type(None): "null"}


def kinds() -> dict[str, Any]:
    """Every message by its name, in the order of the file."""
    return {name: value for name, value in vars(messages).items() if typing.is_typeddict(value)}


def script_type(hint: Any) -> str:
    """How TypeScript writes a type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is NotRequired:
        return script_type(args[0])
    if origin is Literal:
        return " | ".join(f'"{each}"' for each in args)
    if origin is list:
        return f"{script_type(args[0])}[]"
    if origin is dict:
        return f"Record<string, {script_type(args[1])}>"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(script_type, args))
    return PLAIN.get(hint) or hint.__name__


def text() -> str:
    """The whole file."""
    parts = ["// Made from messages.py by tests/notebook/write_messages.py: change it there.\n"]
    for name, kind in kinds().items():
        about = inspect.getdoc(kind) or ""
        fields = [
            f"  {field}{'?' if get_origin(hint) is NotRequired or field in kind.__optional_keys__ else ''}: {script_type(hint)};"
            for field, hint in get_type_hints(kind, include_extras=True).items()
        ]
        parts.append("\n".join([f"/** {about} */", f"export interface {name} {{", *fields, "}\n"]))
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
