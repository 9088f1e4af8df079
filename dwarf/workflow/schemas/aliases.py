"""What pydantic models accept beside what their schemas show: other names of fields, and other forms of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

JSON: TypeAlias = Any

ALIASES: Final = "x-aliases"
"""A keyword for other names of members, ``{"Amount": ["amount"]}``: a required member may be given under any."""

CONVERTED: Final = "x-converted"
"""A keyword: the model's own validators take more forms than the schema shows, and only the model can tell which."""


def entered_names(model: Any) -> dict[str, list[str]]:
    """The names that each field of a model is read from. The first is the one in its schema."""
    by_name = any(model.model_config.get(name) for name in ("populate_by_name", "validate_by_name"))
    found: dict[str, list[str]] = {}
    for field, choices in _choices(model):
        # of a path through an object only the way in is a name of the model's
        texts = [each if isinstance(each, str) else each.path[0] for each in choices if each is not None]
        shown = next((each for each in choices if isinstance(each, str)), field)
        names = [shown, *(str(each) for each in texts), *([field] if by_name or not texts else [])]
        found[field] = list(dict.fromkeys(names))
    return found


def as_entered(model: Any, members: Mapping[str, JSON]) -> JSON:
    """The members of an instance, given by field names, under the names in its schema. None: an unknown model."""
    if model is None:
        return dict(members)
    if model.__pydantic_root_model__:
        return members.get("root")
    names = entered_names(model)
    return {names[name][0] if name in names else name: item for name, item in members.items()}


def has_paths(model: Any) -> bool:
    """Whether a field of the model is only found by a path, and so is shown by its own name."""
    return any(
        choices != [None] and not any(isinstance(each, str) for each in choices) for _, choices in _choices(model)
    )


def _choices(model: Any) -> Iterator[tuple[str, list[Any]]]:
    """The aliases of each field: texts, paths, or None."""
    for field, info in model.model_fields.items():
        alias = info.validation_alias if info.validation_alias is not None else info.alias
        yield field, list(getattr(alias, "choices", [alias]))
