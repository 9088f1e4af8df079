"""Cursors: where a page of a list ends, as a text that is bound to a database and to a query."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from hashlib import sha256
from zlib import crc32

from dwarf.errors import InvalidRequest

_VERSION = 1
_FORM = struct.Struct(">B8s8sQQQQ")
_SUM = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The flow that a page ended with, by the order of lists, and how many flows were listed up to it."""

    created_at: int
    flow_id: int
    shard: int
    listed: int

    def text(self, database: str, query: str) -> str:
        """The cursor as a user holds it."""
        body = _FORM.pack(
            _VERSION, _digest(database), _digest(query), self.created_at, self.flow_id, self.shard, self.listed
        )
        return urlsafe_b64encode(body + _SUM.pack(crc32(body))).decode().rstrip("=")


def read_cursor(text: object, database: str, query: str) -> Cursor:
    """Read a cursor. InvalidRequest says whether it is none, or belongs to another database or another query."""
    if not isinstance(text, str):
        raise InvalidRequest(f"a cursor is the text that came with a page, not {type(text).__name__}")
    try:
        whole = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        body, (total,) = whole[: _FORM.size], _SUM.unpack(whole[_FORM.size :])
        version, of_database, of_query, created_at, flow_id, shard, listed = _FORM.unpack(body)
    except (UnicodeEncodeError, NotBase64, struct.error):
        raise InvalidRequest("this is not a cursor: pass the text that came with a page, unchanged") from None
    if total != crc32(body) or version != _VERSION:
        raise InvalidRequest("this is not a cursor: pass the text that came with a page, unchanged")
    if of_database != _digest(database):
        raise InvalidRequest("the cursor belongs to another database")
    if of_query != _digest(query):
        raise InvalidRequest("the cursor belongs to another query: go on with the filters it was made with")
    return Cursor(created_at=created_at, flow_id=flow_id, shard=shard, listed=listed)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]
