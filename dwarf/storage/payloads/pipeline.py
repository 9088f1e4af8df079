"""The processing of payloads between scripts and a database, in every dialect.

Scripts see whole texts as they were written. On the way out, large values are cut out and stored as blobs, and a codec
encodes the rest; on the way in, both steps are undone. A statement that is ``raw`` is the exception: for copies of
rows, it reads and writes the names of blobs in place of their values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hmac import digest
from secrets import token_hex
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import bindparam, insert, select, update

from dwarf.errors import ConfigError, StorageError
from dwarf.storage.payloads.blobs import FLOWS_OF_STEPS, Holder, forget_overwritten, keep_blobs, read_blobs
from dwarf.storage.payloads.coding import SIGN, Codec, Coder
from dwarf.storage.payloads.layouts import PayloadLayout, layout_of
from dwarf.storage.payloads.offload import Gaps, cut, may_hold_blobs
from dwarf.storage.sql.rows import LARGE
from dwarf.storage.sql.script import (
    Execute,
    Fetch,
    Guarded,
    InsertMany,
    Params,
    Part,
    Row,
    Script,
    Statement,
    UpdateEach,
    WriteSet,
    one_by_one,
)
from dwarf.storage.sql.tables import secrets
from dwarf.workflow.jsontext import loads

T = TypeVar("T")

SECRET = Statement("secret", select(secrets.c.value).where(secrets.c.name == bindparam("of_name")))
KEEP_SECRET = Statement("keep_secret", insert(secrets).values(name=bindparam("name"), value=bindparam("value")))
CHANGE_SECRET = Statement(
    "change_secret",
    update(secrets).where(secrets.c.name == bindparam("of_name")).values(value=bindparam("new_value")),
)

_BLOBS = "blobs"
_KEY = re.compile("key:([0-9a-f]{64})")


class _OffloadedRow(NamedTuple):
    """The blobs of one written row. Blobs without a text exist already."""

    row: Params
    bodies: Mapping[str, str]


class Payloads:
    """The processing of one database's payloads. ``codec``: None stores them unencoded."""

    def __init__(self, codec: Codec | None = None) -> None:
        self._coder = None if codec is None else Coder(codec)
        self._key = b""
        self._ways: dict[type, Callable[[Any], Script[Any]]] = {
            Fetch: self._fetch,
            Execute: self._execute,
            InsertMany: self._insert_many,
            UpdateEach: self._update_each,
            Guarded: self._guarded,
            WriteSet: self._write_set,
        }

    def prepare(self) -> Script[None]:
        """Create or read the key of this database's hashes. Run once, before any other script and not by way of
        ``through``.

        ConfigError if the payloads were stored with another codec, or without one.
        """
        rows: list[Row] = yield Fetch(SECRET, {"of_name": _BLOBS})
        if rows:
            ((kept,),) = rows
            text = self._opened(kept)
        else:
            text = f"key:{token_hex(32)}"
            stored = text if self._coder is None else self._coder.encoded(text, "value", SECRET.name)
            yield InsertMany(KEEP_SECRET, [{"name": _BLOBS, "value": stored}])
        found = _KEY.fullmatch(text)
        if found is None:
            raise ConfigError("the payloads of this database are stored with another codec, or with another key")
        if rows and self._coder is not None:  # encoded with the codec's latest key, so that older keys can be retired
            yield Execute(
                CHANGE_SECRET, {"of_name": _BLOBS, "new_value": self._coder.encoded(text, "value", SECRET.name)}
            )
        self._key = bytes.fromhex(found[1])

    @property
    def coded(self) -> bool:
        """Whether a codec is set. Statements cannot look into payloads then."""
        return self._coder is not None

    def hashed(self, text: str) -> str:
        """A keyed hash of a text, from which a reader without this database's key learns nothing."""
        return digest(self._key, text.encode(), "sha256").hex()

    def through(self, script: Callable[[], Script[T]]) -> Callable[[], Script[T]]:
        """The script for a session to run: this one, with its payloads processed."""
        return partial(self._drive, script)

    # ------------------------------------------------------------------ requests

    def _drive(self, script: Callable[[], Script[T]]) -> Script[T]:
        inner = script()
        ways = self._ways
        answer: Any = None
        try:
            while True:
                request: Any = inner.send(answer)
                way = ways.get(type(request))
                answer = (yield request) if way is None else (yield from way(request))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            inner.close()

    def _fetch(self, request: Fetch) -> Script[list[Row]]:
        statement, asked = request.statement, request
        layout: PayloadLayout = statement.layout or layout_of(statement)
        if layout.params and self._coder is not None:
            request = Fetch(
                statement, self._coder.encoded_row(statement.name, layout, request.params), request.autocommit
            )
        rows: list[Row] = yield request
        if not rows or not layout.columns:
            return rows
        if self._coder is not None:
            rows = self._coder.decoded_rows(statement.name, layout, rows)
        if layout.gaps and not statement.raw:
            # between two snapshots the last reference to a blob may be freed: row and blobs are read in one transaction
            if asked.autocommit and _hold_blobs(layout, rows):  # read by a separate request
                return (yield from self._fetch(Fetch(statement, asked.params)))
            rows = yield from self._filled(statement, layout, rows)
        return rows

    def _execute(self, request: Execute) -> Script[int]:
        layout: PayloadLayout = request.statement.layout or layout_of(request.statement)
        if not layout.params:
            matched: int = yield request
            return matched
        rows, cuts = self._outgoing(request.statement, layout, [request.params])
        matched = yield Execute(request.statement, rows[0])
        # a row that was fenced out holds nothing, and blobs without a holder would never be freed
        if cuts and matched:
            yield from self._keep(layout, list(cuts.values()))
        return matched

    def _insert_many(self, request: InsertMany) -> Script[None]:
        layout: PayloadLayout = request.statement.layout or layout_of(request.statement)
        if not layout.params:
            yield request
            return
        rows, cuts = self._outgoing(request.statement, layout, request.rows)
        yield request if rows is request.rows else InsertMany(request.statement, rows)
        if cuts:
            yield from self._keep(layout, list(cuts.values()))

    def _update_each(self, request: UpdateEach) -> Script[list[bool]]:
        layout: PayloadLayout = request.statement.layout or layout_of(request.statement)
        if not layout.params:
            flags: list[bool] = yield request
            return flags
        rows, cuts = self._outgoing(request.statement, layout, request.rows)
        flags = yield request if rows is request.rows else UpdateEach(request.statement, rows)
        landed = [found for position, found in cuts.items() if flags[position]]
        if landed:
            yield from self._keep(layout, landed)
        return flags

    def _guarded(self, request: Guarded) -> Script[Any]:
        answer = yield Guarded(self.through(request.script))
        return answer

    def _write_set(self, request: WriteSet) -> Script[list[list[Any]]]:
        parts: list[Part] = []
        for part in (*request.own, *(part for part, _ in request.rest)):
            layout: PayloadLayout = part.statement.layout or layout_of(part.statement)
            rows, cuts = self._outgoing(part.statement, layout, part.rows)
            if cuts:  # blobs are stored as their row is written
                answer: list[list[Any]] = yield from self._drive(partial(one_by_one, request))
                return answer
            parts.append(part if rows is part.rows else type(part)(part.statement, rows))
        own, rest = parts[: len(request.own)], parts[len(request.own) :]
        needs = [needs for _, needs in request.rest]
        answer = yield WriteSet(cast(list[UpdateEach], own), list(zip(rest, needs, strict=True)), request.last)
        return answer

    # ------------------------------------------------------------------ out

    def _outgoing(
        self, statement: Statement, layout: PayloadLayout, rows: Sequence[Params]
    ) -> tuple[Sequence[Params], dict[int, _OffloadedRow]]:
        """The rows to send, and the values cut out of them, by position."""
        cuts: dict[int, _OffloadedRow] = {}
        for name, parts in layout.cut:
            for position, row in enumerate(rows):
                text = row[name]
                if len(text) > LARGE or may_hold_blobs(text):
                    known = cuts.get(position) or _OffloadedRow(dict(row), {})
                    short, bodies = cut(text, parts, LARGE, self.hashed, raw=statement.raw)
                    cuts[position] = _OffloadedRow({**known.row, name: short}, {**known.bodies, **bodies})
        if cuts:
            rows = [cuts[position].row if position in cuts else row for position, row in enumerate(rows)]
            cuts = {position: found for position, found in cuts.items() if found.bodies}
        if self._coder is not None:
            encoded_row = self._coder.encoded_row
            rows = [encoded_row(statement.name, layout, row) for row in rows]
        return rows, cuts

    def _keep(self, layout: PayloadLayout, cuts: Sequence[_OffloadedRow]) -> Script[None]:
        """Store the values cut out of rows that are being written, and so are locked."""
        bodies: dict[str, str] = {}
        wanted: set[tuple[Holder, str]] = set()
        owners = [found.row[layout.owner] for found in cuts]
        flow_of: dict[int, int] = {}
        if layout.owner_is_step:
            flow_of = dict((yield Fetch(FLOWS_OF_STEPS, {"ids": sorted(set(owners))})))
        for owner, found in zip(owners, cuts, strict=True):
            row_id = owner if layout.owner_is_step else found.row.get("display_id") or found.row.get("step_id", 0)
            holder = Holder(flow_of.get(owner, owner), row_id)
            wanted.update((holder, name) for name in found.bodies)
            bodies.update((name, body) for name, body in found.bodies.items() if body)
        yield from self._drive(partial(keep_blobs, bodies, wanted))
        if layout.owner_is_step:
            kept = {step_id: found.bodies.keys() for step_id, found in zip(owners, cuts, strict=True)}
            yield from self._drive(partial(forget_overwritten, kept))

    # ------------------------------------------------------------------ in

    def _filled(self, statement: Statement, layout: PayloadLayout, rows: list[Row]) -> Script[list[Row]]:
        """The rows with the blobs in their places, which one statement reads."""
        looked_at = (
            (number, position, Gaps(loads(row[position]), parts))
            for number, row in enumerate(rows)
            for position, parts in layout.gaps
            if row[position] and may_hold_blobs(row[position])
        )
        gaps = [found for found in looked_at if found[2].names]
        names = {name for *_, found in gaps for name in found.names}
        if not names:
            return rows
        bodies = yield from self._drive(partial(read_blobs, names))
        if len(bodies) < len(names):
            raise StorageError(f"a large value is missing ({statement.name})")
        whole = [list(row) for row in rows]
        for number, position, found in gaps:
            whole[number][position] = found.filled(bodies)
        return [tuple(row) for row in whole]

    def _opened(self, stored: str) -> str:
        if self._coder is None:
            if stored.startswith(SIGN):
                raise ConfigError("the payloads of this database are stored with a codec: give it to the engine")
            return stored
        if not stored.startswith(SIGN):
            raise ConfigError(
                "the payloads of this database are stored without a codec; to encode them, export the flows and import "
                "them into a new database"
            )
        try:
            return self._coder.decoded(stored, "value", SECRET.name)
        except StorageError:
            return ""


def _hold_blobs(layout: PayloadLayout, rows: Sequence[Row]) -> bool:
    return any(row[position] and may_hold_blobs(row[position]) for row in rows for position, _ in layout.gaps)
