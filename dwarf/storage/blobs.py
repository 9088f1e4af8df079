"""Large values: each is stored once, under a keyed hash of its text, for as long as a flow refers to it.

Whoever refers to a blob, or frees one, locks its row first. So a blob that loses its last reference cannot get a new
one at the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from sqlalchemy import bindparam, delete, exists, insert, select

from dwarf.errors import StateConflict
from dwarf.storage.expressions import in_ids, in_names
from dwarf.storage.script import Execute, Fetch, InsertMany, Lock, Row, Script, Statement
from dwarf.storage.tables import blob_refs, blobs, steps

AT_ONCE = 4 * 2**20  # characters of blobs in one statement

_NAMED = in_names(blobs.c.blob_hash, "hashes")
_KNOWN = select(blobs.c.blob_hash).where(_NAMED).order_by(blobs.c.blob_hash)

READ = Statement("read_blobs", select(blobs.c.blob_hash, blobs.c.body).where(_NAMED))
KNOWN = Statement("known_blobs", _KNOWN)
LOCK = Statement("lock_blobs", _KNOWN.with_for_update())
INSERT = Statement("insert_blob", insert(blobs).values(blob_hash=bindparam("blob_hash"), body=bindparam("body")))
REFERRED = Statement(
    "referred_blobs",
    select(blob_refs.c.flow_id, blob_refs.c.blob_hash).where(
        in_ids(blob_refs.c.flow_id, "ids"), in_names(blob_refs.c.blob_hash, "hashes")
    ),
)
REFER = Statement(
    "refer_to_blob", insert(blob_refs).values(flow_id=bindparam("flow_id"), blob_hash=bindparam("blob_hash"))
)
HELD = Statement("blobs_of_flows", select(blob_refs.c.blob_hash).where(in_ids(blob_refs.c.flow_id, "ids")).distinct())
FORGET = Statement("forget_blobs", delete(blob_refs).where(in_ids(blob_refs.c.flow_id, "ids")))
FREE = Statement("free_blobs", delete(blobs).where(_NAMED, ~exists().where(blob_refs.c.blob_hash == blobs.c.blob_hash)))
FLOWS_OF_STEPS = Statement(
    "flows_of_steps", select(steps.c.step_id, steps.c.flow_id).where(in_ids(steps.c.step_id, "ids"))
)


def read_blobs(names: Iterable[str]) -> Script[dict[str, str]]:
    """The texts of blobs by their names. Those that are gone are left out."""
    rows: list[Row] = yield Fetch(READ, {"hashes": sorted(set(names))})
    return dict(rows)


def keep_blobs(bodies: Mapping[str, str], wanted: Collection[tuple[int, str]]) -> Script[None]:
    """Refer to blobs from flows: (flow id, name) each. A body is stored where there is none of its name yet.

    StateConflict where a blob without a body is gone.
    """
    names = sorted({name for _, name in wanted})
    locked: list[Row] | None = yield Lock(LOCK, {"hashes": names})
    if locked is None:
        locked = yield Fetch(KNOWN, {"hashes": names})
    known = {row[0] for row in locked}
    missing = [name for name in names if name not in known]
    if not all(bodies.get(name) for name in missing):
        raise StateConflict("a large value of the flow is gone: the flow is being deleted")
    for rows in _by_size([{"blob_hash": name, "body": bodies[name]} for name in missing]):
        yield InsertMany(INSERT, rows)
    there = set((yield Fetch(REFERRED, {"ids": sorted({flow for flow, _ in wanted}), "hashes": names})))
    added = [{"flow_id": flow, "blob_hash": name} for flow, name in sorted(set(wanted) - there)]
    if added:
        yield InsertMany(REFER, added)


def release_blobs(flow_ids: Collection[int]) -> Script[None]:
    """Forget what flows refer to, and free the blobs to which nothing refers any more."""
    names = sorted(row[0] for row in (yield Fetch(HELD, {"ids": flow_ids})))
    if names:
        yield Execute(FORGET, {"ids": flow_ids})
        yield Lock(LOCK, {"hashes": names})
        yield Execute(FREE, {"hashes": names})


def _by_size(rows: list[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """The rows in groups, each of which a server takes as one message."""
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
