"""Large values: each is stored once, under a keyed hash of its text, for as long as a row refers to it.

A transaction that adds or removes a reference to a blob locks the blob's row first. So a blob that loses its last
reference cannot get a new one at the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import bindparam, delete, exists, insert, select

from dwarf.errors import StateConflict
from dwarf.storage.payloads.offload import names_in
from dwarf.storage.sql.expressions import in_ids, in_names, locked
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Lock, Row, Script, Statement, UpdateEach
from dwarf.storage.sql.tables import Payload, blob_refs, blobs, steps

AT_ONCE = 4 * 2**20  # characters of blobs in one statement

_NAMED = in_names(blobs.c.blob_hash, "hashes")
_KNOWN = select(blobs.c.blob_hash).where(_NAMED).order_by(blobs.c.blob_hash)

READ = Statement("read_blobs", select(blobs.c.blob_hash, blobs.c.body).where(_NAMED))
KNOWN = Statement("known_blobs", _KNOWN)
LOCK = Statement("lock_blobs", locked(_KNOWN, blobs))
INSERT = Statement("insert_blob", insert(blobs).values(blob_hash=bindparam("blob_hash"), body=bindparam("body")))
REFER = Statement(
    "refer_to_blob",
    insert(blob_refs).values({column: bindparam(column.name) for column in blob_refs.columns}),
)
HELD_BY_ROWS = Statement(
    "blobs_of_rows", select(blob_refs.c.holder_id, blob_refs.c.blob_hash).where(in_ids(blob_refs.c.holder_id, "ids"))
)
FORGET = Statement("forget_blobs", delete(blob_refs).where(in_ids(blob_refs.c.flow_id, "ids")))
FORGET_ONE = Statement(
    "forget_blob",
    delete(blob_refs).where(blob_refs.c.holder_id == bindparam("id"), blob_refs.c.blob_hash == bindparam("hash")),
)
FORGET_HOLDERS = Statement("forget_holders", delete(blob_refs).where(in_ids(blob_refs.c.holder_id, "ids")))
FREE = Statement("free_blobs", delete(blobs).where(_NAMED, ~exists().where(blob_refs.c.blob_hash == blobs.c.blob_hash)))
FLOWS_OF_STEPS = Statement(
    "flows_of_steps", select(steps.c.step_id, steps.c.flow_id).where(in_ids(steps.c.step_id, "ids"))
)
_LARGE_COLUMNS = [column for column in steps.columns if isinstance(column.type, Payload) and column.type.parts]
STORED = Statement(
    "stored_in_steps", select(steps.c.step_id, *_LARGE_COLUMNS).where(in_ids(steps.c.step_id, "ids")), raw=True
)
_PARTS = [column.type.parts for column in _LARGE_COLUMNS if isinstance(column.type, Payload)]


class Holder(NamedTuple):
    """A row that refers to blobs: a step, a display (by its id), or a flow's own row, with the step id 0."""

    flow_id: int
    step_id: int

    @property
    def holder_id(self) -> int:
        """The identity of the row."""
        return self.step_id or -self.flow_id


def read_blobs(names: Iterable[str]) -> Script[dict[str, str]]:
    """The texts of blobs by their names. Missing ones are left out."""
    rows: list[Row] = yield Fetch(READ, {"hashes": sorted(set(names))})
    return dict(rows)


def keep_blobs(bodies: Mapping[str, str], wanted: Collection[tuple[Holder, str]]) -> Script[None]:
    """Add references to blobs by their names. A body is stored if there is none of its name yet.

    StateConflict if a blob without a body is missing.
    """
    names = sorted({name for _, name in wanted})
    locked: list[Row] | None = yield Lock(LOCK, {"hashes": names})
    if locked is None:
        locked = yield Fetch(KNOWN, {"hashes": names})
    known = {name for (name,) in locked}
    missing = [name for name in names if name not in known]
    if not all(bodies.get(name) for name in missing):
        raise StateConflict("a large value of the flow is gone: the flow is being deleted")
    for rows in _by_size([{"blob_hash": name, "body": bodies[name]} for name in missing]):
        yield InsertMany(INSERT, rows)
    holders = {holder.holder_id: holder for holder, _ in wanted}
    held = yield Fetch(HELD_BY_ROWS, {"ids": sorted(holders)})
    there = {(holders[holder_id], name) for holder_id, name in held}
    added = [
        {"holder_id": holder.holder_id, "blob_hash": name, "flow_id": holder.flow_id}
        for holder, name in sorted(set(wanted) - there)
    ]
    if added:
        yield InsertMany(REFER, added)


def forget_overwritten(kept: Mapping[int, Collection[str]]) -> Script[None]:
    """Remove the references that steps had before this write. ``kept`` are their present references, by step."""
    held: dict[int, set[str]] = {}
    for step_id, name in (yield Fetch(HELD_BY_ROWS, {"ids": sorted(kept)})):
        if name not in kept[step_id]:
            held.setdefault(step_id, set()).add(name)
    if not held:
        return
    for step_id, *texts in (yield Fetch(STORED, {"ids": sorted(held)})):
        for text, parts in zip(texts, _PARTS, strict=True):
            held[step_id].difference_update(names_in(text, parts))
    stale = [(step_id, name) for step_id, names in held.items() for name in sorted(names)]
    if stale:
        yield UpdateEach(FORGET_ONE, [{"id": step_id, "hash": name} for step_id, name in stale])
        yield from _free({name for _, name in stale})


def release_blobs(flow_ids: Collection[int], names: Collection[str]) -> Script[None]:
    """Remove the references of flows to these blobs, and the blobs without further references."""
    if names:
        yield Execute(FORGET, {"ids": flow_ids})
        yield from _free(names)


def free_holders(holder_ids: Collection[int]) -> Script[None]:
    """The same for removed rows."""
    names = {name for _, name in (yield Fetch(HELD_BY_ROWS, {"ids": holder_ids}))}
    if names:
        yield Execute(FORGET_HOLDERS, {"ids": holder_ids})
        yield from _free(names)


def _free(names: Collection[str]) -> Script[None]:
    yield Lock(LOCK, {"hashes": sorted(names)})
    yield Execute(FREE, {"hashes": sorted(names)})


def _by_size(rows: list[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """The rows in groups that fit into one message to a server."""
    group: list[dict[str, str]] = []
    size = 0
    for row in rows:
        if group and size + len(row["body"]) > AT_ONCE:
            yield group
            group, size = [], 0
        group.append(row)
        size += len(row["body"])
    if group:
        yield group
