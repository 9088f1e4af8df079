"""Holding a value against a JSON schema (draft 2020-12), in time that the sizes of the two bound.

Answers come from outside, and one that takes for ever to check would stop everybody. So each part of the schema is held
against each part of the value once at most, and the result remembered: schemas that refer to themselves twice cost no
more than their product. Patterns are RE2's, and equal items are found by hashing. What is left is counted, and given up
beyond ``MOST_WORK``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeAlias

from dwarf.workflow.conditions.patterns import compile_pattern
from dwarf.workflow.schemas.aliases import ALIASES, CONVERTED
from dwarf.workflow.schemas.rules import resolve

JSON: TypeAlias = Any
Path: TypeAlias = tuple[str | int, ...]

MOST_WORK = 1_000_000  # parts of a schema held against parts of a value, and other steps of a microsecond or two
MOST_WORK_ON_LOOP = 100_000  # where an event loop waits for it: some 0.15 s
MOST_FAULTS = 100  # of one part; more are of no help


class TooMuchWork(Exception):
    """Checking the value would take too long."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not fit. ``path`` leads from the value that was checked to the part that is wrong."""

    keyword: str
    wanted: JSON
    instance: JSON
    schema: Mapping[str, JSON]
    path: Path = ()
    branches: tuple[tuple[Fault, ...], ...] = ()  # of anyOf and oneOf: the faults of each alternative

    def below(self, *path: str | int) -> Fault:
        """The same as seen from further up."""
        return Fault(self.keyword, self.wanted, self.instance, self.schema, (*path, *self.path), self.branches)


@dataclass(slots=True)
class Result:
    """The faults of a value, and which of its members and items some part of the schema has looked at."""

    faults: list[Fault] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    items: set[int] = field(default_factory=set)

    def add(self, faults: Iterable[Fault]) -> None:
        """Keep faults, as many as help."""
        for fault in faults:
            if len(self.faults) >= MOST_FAULTS:
                return
            self.faults.append(fault)


class Evaluation:
    """One check of one value. ``formats`` tell, by the name of a format, whether a text has it."""

    def __init__(
        self, root: Mapping[str, JSON], formats: Mapping[str, Callable[[str], bool]], most_work: int = MOST_WORK
    ) -> None:
        self._root = root
        self._formats = formats
        self._work_left = most_work
        self._known: dict[tuple[int, int], Result | None] = {}
        self._kept: list[JSON] = []  # alive, so that no other value gets the id of one that is known
        self._targets: dict[str, JSON] = {}
        self._choices: dict[int, frozenset[Any]] = {}
        self._patterns: dict[str, Callable[[str], bool]] = {}

    def spend(self, work: int = 1) -> None:
        """Count some work. TooMuchWork beyond the bound."""
        self._work_left -= work
        if self._work_left < 0:
            raise TooMuchWork

    def matcher(self, pattern: str) -> Callable[[str], bool]:
        """The function of a pattern, made once: making it may take as long as very many matches."""
        known = self._patterns.get(pattern)
        if known is None:
            known = self._patterns[pattern] = compile_pattern(pattern)
        return known

    def of(self, schema: JSON, value: JSON) -> Result:
        """The result for a part of the schema and a part of the value. RecursionError if it depends on itself."""
        if schema is True:
            return Result()
        if schema is False:
            return Result([Fault("false", False, value, {})])
        if schema.get(CONVERTED) is True:  # the model tells, when the task reads the answer
            return Result()
        key = (id(schema), id(value))
        if key in self._known:
            known = self._known[key]
            if known is None:
                raise RecursionError("a schema refers to itself for the same value")
            return known
        self._known[key] = None
        self._kept.append(value)
        self.spend()
        result = Result()
        for name in schema:
            check = _KEYWORDS.get(name)
            if check is not None:
                self.spend()
                result.add(check(self, schema[name], value, schema, result))
        for name, check in _LATE.items():  # unevaluated parts are known only after all other keywords
            if name in schema:
                result.add(check(self, schema[name], value, schema, result))
        self._known[key] = result
        return result

    def identities(self, choices: list[JSON]) -> frozenset[Any]:
        """The choices of a schema, to look a value up in."""
        known = self._choices.get(id(choices))
        if known is None:
            known = self._choices[id(choices)] = frozenset(_identity(self, choice) for choice in choices)
        return known

    def target(self, reference: str) -> JSON:
        """What a reference leads to."""
        if reference not in self._targets:
            self._targets[reference] = resolve(reference, self._root)
        return self._targets[reference]

    def has_format(self, name: str, text: str) -> bool:
        """Whether a text has a format; a format that is not known says nothing."""
        known = self._formats.get(name)
        return known is None or known(text)


Check: TypeAlias = Callable[[Evaluation, Any, JSON, Mapping[str, JSON], Result], Iterable[Fault]]

# ---------------------------------------------------------------------- values


def is_number(value: JSON) -> bool:
    """Whether a JSON value is a number. True and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_IS: Final[dict[str, Callable[[JSON], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "number": is_number,
    "integer": lambda value: is_number(value) and (isinstance(value, int) or value.is_integer()),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _identity(work: Evaluation, value: JSON) -> Any:
    """Something hashable that is equal for equal JSON values: 1 is 1.0, and is not true."""
    work.spend()
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, list):
        return (list, tuple(_identity(work, item) for item in value))
    if isinstance(value, dict):
        return (dict, frozenset((name, _identity(work, item)) for name, item in value.items()))
    return value


def _is_multiple(value: Any, of: Any) -> bool:
    if isinstance(value, int) and isinstance(of, int):
        return value % of == 0
    # by their digits, as a reader counts: 0.3 is a multiple of 0.1
    return (Fraction(Decimal(repr(value))) / Fraction(Decimal(repr(of)))).denominator == 1


# ---------------------------------------------------------------------- keywords


def _simple(name: str, applies: Callable[[JSON], bool], fits: Callable[[Any, Any], bool]) -> Check:
    def check(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> list[Fault]:
        del work, result
        return [] if not applies(value) or fits(value, wanted) else [Fault(name, wanted, value, schema)]

    return check


def _type(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    del work, result
    if not any(_IS[kind](value) for kind in ([wanted] if isinstance(wanted, str) else wanted)):
        yield Fault("type", wanted, value, schema)


def _enum(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    del result
    if _identity(work, value) not in work.identities(wanted):
        yield Fault("enum", wanted, value, schema)


def _const(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    del result
    if _identity(work, wanted) != _identity(work, value):
        yield Fault("const", wanted, value, schema)


def _pattern(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    del result
    if isinstance(value, str):
        # RE2's time is linear in the length of the text, with a small factor
        work.spend(len(value) // 256)
        if not work.matcher(wanted)(value):
            yield Fault("pattern", wanted, value, schema)


def _format(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    del result
    if isinstance(value, str) and not work.has_format(wanted, value):
        yield Fault("format", wanted, value, schema)


def _unique(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    del result
    if wanted and isinstance(value, list) and len({_identity(work, item) for item in value}) < len(value):
        yield Fault("uniqueItems", wanted, value, schema)


def _contains(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    if not isinstance(value, list):
        return
    found = [place for place, item in enumerate(value) if not work.of(wanted, item).faults]
    result.items.update(found)
    least, most = schema.get("minContains", 1), schema.get("maxContains")
    if len(found) < least or (most is not None and len(found) > most):
        yield Fault("contains", wanted, value, schema)


def _prefix_items(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    del schema
    if isinstance(value, list):
        for place, (part, item) in enumerate(zip(wanted, value, strict=False)):
            result.items.add(place)
            yield from (fault.below(place) for fault in work.of(part, item).faults)


def _items(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    if isinstance(value, list):
        for place in range(len(schema.get("prefixItems", ())), len(value)):
            result.items.add(place)
            yield from (fault.below(place) for fault in work.of(wanted, value[place]).faults)


def _properties(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    del schema
    if isinstance(value, dict):
        for name, part in wanted.items():
            if name in value:
                result.names.add(name)
                yield from (fault.below(name) for fault in work.of(part, value[name]).faults)


def _pattern_properties(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    del schema
    if isinstance(value, dict):
        for pattern, part in wanted.items():
            for name in _matching(work, pattern, value):
                result.names.add(name)
                yield from (fault.below(name) for fault in work.of(part, value[name]).faults)


def _matching(work: Evaluation, pattern: str, names: Iterable[str]) -> Iterator[str]:
    matches = work.matcher(pattern)
    for name in names:
        work.spend(8 + len(name) // 256)  # calling RE2 costs more than a comparison
        if matches(name):
            yield name


def _additional(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    if not isinstance(value, dict):
        return
    known = set(schema.get("properties", ()))
    if isinstance(others := schema.get(ALIASES), Mapping):
        known.update(name for names in others.values() for name in _texts(names))
    for pattern in schema.get("patternProperties", ()):
        known.update(_matching(work, pattern, value))
    extra = [name for name in value if name not in known]
    yield from _extra(work, wanted, value, schema, result, extra)


def _extra(
    work: Evaluation,
    wanted: Any,
    value: Mapping[str, JSON],
    schema: Mapping[str, JSON],
    result: Result,
    names: Sequence[str],
) -> Iterator[Fault]:
    """The members that no other keyword has evaluated: one fault for all of them if none is allowed."""
    result.names.update(names)
    if wanted is False and names:
        yield Fault("additionalProperties", names, value, schema)
    elif wanted is not False:
        for name in names:
            yield from (fault.below(name) for fault in work.of(wanted, value[name]).faults)


def _property_names(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    del schema, result
    if isinstance(value, dict):
        for name in value:
            yield from work.of(wanted, name).faults


def _required(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    del result
    work.spend(len(wanted))
    if isinstance(value, dict):
        absent = [name for name in wanted if name not in value]
        others = schema.get(ALIASES) if absent else None
        if isinstance(others, Mapping):
            absent = [name for name in absent if not any(one in value for one in _texts(others.get(name)))]
        yield from (Fault("required", name, value, schema) for name in absent)


def _texts(names: JSON) -> list[str]:
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _dependent_required(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    if isinstance(value, dict):
        for name, names in wanted.items():
            if name in value:
                yield from _required(work, names, value, schema, result)


def _dependent_schemas(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    del schema
    if isinstance(value, dict):
        for name, part in wanted.items():
            if name in value:
                yield from _in_place(work, part, value, result)


def _in_place(work: Evaluation, part: JSON, value: JSON, result: Result) -> list[Fault]:
    """The faults by another schema for the same value; its evaluated parts count if it fits."""
    inner = work.of(part, value)
    if not inner.faults:
        # joining sets is cheaper than checking, and still grows with the value
        work.spend((len(inner.names) + len(inner.items)) // 16)
        result.names |= inner.names
        result.items |= inner.items
    return inner.faults


def _reference(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterable[Fault]:
    del schema
    return _in_place(work, work.target(wanted), value, result)


def _all_of(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    del schema
    for part in wanted:
        yield from _in_place(work, part, value, result)


def _any_of(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    branches = [_in_place(work, part, value, result) for part in wanted]
    if all(branches):
        yield Fault("anyOf", wanted, value, schema, (), tuple(map(tuple, branches)))


def _one_of(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    branches = [_in_place(work, part, value, result) for part in wanted]
    fitting = sum(not faults for faults in branches)
    if fitting != 1:
        yield Fault("oneOf", fitting, value, schema, (), () if fitting else tuple(map(tuple, branches)))


def _not(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterator[Fault]:
    del result
    if not work.of(wanted, value).faults:
        yield Fault("not", wanted, value, schema)


def _if(work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result) -> Iterable[Fault]:
    following = schema.get("else" if _in_place(work, wanted, value, result) else "then", True)
    return _in_place(work, following, value, result)


def _unevaluated_properties(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    if not isinstance(value, dict):
        return
    extra = [name for name in value if name not in result.names]
    yield from _extra(work, wanted, value, schema, result, extra)


def _unevaluated_items(
    work: Evaluation, wanted: Any, value: JSON, schema: Mapping[str, JSON], result: Result
) -> Iterator[Fault]:
    del schema
    if isinstance(value, list):
        rest = [place for place in range(len(value)) if place not in result.items]
        result.items.update(rest)
        for place in rest:
            yield from (fault.below(place) for fault in work.of(wanted, value[place]).faults)


def _is_dict(value: JSON) -> bool:
    return isinstance(value, dict)


_KEYWORDS: Final[dict[str, Check]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "minimum": _simple("minimum", is_number, lambda value, bound: value >= bound),
    "maximum": _simple("maximum", is_number, lambda value, bound: value <= bound),
    "exclusiveMinimum": _simple("exclusiveMinimum", is_number, lambda value, bound: value > bound),
    "exclusiveMaximum": _simple("exclusiveMaximum", is_number, lambda value, bound: value < bound),
    "multipleOf": _simple("multipleOf", is_number, _is_multiple),
    "minLength": _simple("minLength", _IS["string"], lambda value, bound: len(value) >= bound),
    "maxLength": _simple("maxLength", _IS["string"], lambda value, bound: len(value) <= bound),
    "pattern": _pattern,
    "format": _format,
    "minItems": _simple("minItems", _IS["array"], lambda value, bound: len(value) >= bound),
    "maxItems": _simple("maxItems", _IS["array"], lambda value, bound: len(value) <= bound),
    "uniqueItems": _unique,
    "contains": _contains,
    "prefixItems": _prefix_items,
    "items": _items,
    "minProperties": _simple("minProperties", _is_dict, lambda value, bound: len(value) >= bound),
    "maxProperties": _simple("maxProperties", _is_dict, lambda value, bound: len(value) <= bound),
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "required": _required,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "$ref": _reference,
    "$dynamicRef": _reference,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
}
_LATE: Final[dict[str, Check]] = {
    "unevaluatedItems": _unevaluated_items,
    "unevaluatedProperties": _unevaluated_properties,
}
