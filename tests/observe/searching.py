"""Looking for secrets in what was reported: keys' tokens, and texts of states, payloads and errors."""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from dwarf.engine import Engine
from dwarf.observe.memory import Recorder
from tests.observe.tools import Lines
from tests.support.invariants import query

LONG = 12  # characters from which a text is worth looking for
_TOKEN = re.compile("(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_TOKENS = ("SELECT token FROM dwarf_flows", "SELECT thread_token FROM dwarf_flows", "SELECT token FROM dwarf_steps")
_TEXTS = (
    "SELECT error, cancel_reason, fairness_key, idempotency_key FROM dwarf_flows",
    "SELECT error FROM dwarf_steps",
)
_PAYLOADS = (
    "SELECT final_state, baggage FROM dwarf_flows",
    "SELECT state, changes, answers, interrupt FROM dwarf_steps",
)
_TRACES = "SELECT trace_parent FROM dwarf_flows"
_NAMES = ("SELECT workflow_url, workflow_name FROM dwarf_flows", "SELECT node, task_url FROM dwarf_steps")


def reported(recorder: Recorder, lines: Lines) -> str:
    """Everything that left the engine, as one text."""
    return "\n".join([*map(repr, recorder.spans()), *map(repr, recorder.metrics()), lines.everything()])


async def secrets_of(engine: Engine) -> tuple[set[str], set[str]]:
    """What must not be reported: the tokens in an engine's databases, and the texts of all its payloads."""
    tokens = {token for words in _TOKENS for (token,) in await query(engine, words) if token}
    names = {name for words in _NAMES for row in await query(engine, words) for name in row}
    texts = {text for words in _TEXTS for row in await query(engine, words) for text in row if text}
    for words in _PAYLOADS:
        for row in await query(engine, words):
            for text in filter(None, row):
                with suppress(ValueError):  # what a codec has encoded cannot be read, nor given away
                    texts.update(_strings(json.loads(text)))
    traces = {part for (parent,) in await query(engine, _TRACES) if parent for part in parent.split("-")}
    texts -= traces  # spans have their ids, and an error handler is told that of its flow
    names |= vars(builtins).keys()  # an error without a text is stored with the name of its class
    return tokens, {text for text in texts if len(text) >= LONG and not any(text in name for name in names)}


def found(tokens: set[str], texts: set[str], report: str) -> list[str]:
    """The secrets that are in a report, with what stands around them."""
    hits = tokens.intersection(_TOKEN.findall(report)) | {text for text in texts if text in report}
    return [
        f"{hit!r} in ...{report[max(0, report.find(hit) - 100) : report.find(hit) + 100]}..." for hit in sorted(hits)
    ]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
