"""Flow and step keys: ``{shard}-{id}-{token}``. The token makes a key a secret that grants access."""

from __future__ import annotations

from typing import NamedTuple

from dwarf.errors import InvalidRequest

MAX_ID = 2**63 - 1

# a key is a secret, so no message repeats it
NO_FLOW = "flow not found: it was deleted, or its key is mistyped or of another database"
NO_STEP = "step not found: its flow was deleted, or its key is mistyped or of another database"


class Key(NamedTuple):
    """A parsed key."""

    shard: int
    id: int
    token: str

    def __str__(self) -> str:
        return f"{self.shard}-{self.id}-{self.token}"


def format_key(shard: int, row_id: int, token: str) -> str:
    """The key of a row."""
    return f"{shard}-{row_id}-{token}"


def parse_key(text: object, what: str = "flow key") -> Key:
    """Read a key. InvalidRequest when it is not of the form; a well-formed key may still name nothing."""
    if not isinstance(text, str):
        raise InvalidRequest(f"a {what} is a string such as '1-42-0123456789abcdef', not {type(text).__name__}")
    parts = text.split("-", 2)
    if len(parts) != 3 or not _is_number(parts[0]) or not _is_number(parts[1]):
        raise InvalidRequest(f"malformed {what}: it reads like '1-42-0123456789abcdef', with three parts")
    shard, row_id = int(parts[0]), int(parts[1])
    if shard < 1 or shard > MAX_ID or row_id > MAX_ID:
        raise InvalidRequest(f"malformed {what}: its shard or id is out of range")
    return Key(shard, row_id, parts[2])


def correlation_id(shard: int, flow_id: int) -> str:
    """A flow's name for logs and telemetry: a key without its secret part. No operation accepts it."""
    return f"{shard}-{flow_id}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19
