"""The name and the tags of a flow: changed at any time, and searchable by rows in a separate table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, update

from dwarf.core.keys import NO_FLOW, Key
from dwarf.errors import FlowNotFound, InvalidRequest
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.sql.expressions import in_names
from dwarf.storage.sql.rows import INSERT_TAG, LOCK_FLOW, columns, object_text, read_object, tag_rows
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Lock, Script, Statement
from dwarf.storage.sql.tables import flows, tags

MOST_TAGS = 32  # of one flow


class TaggedRow(NamedTuple):
    """A flow whose name and tags are changed."""

    token: str
    parent_flow_id: int
    created_at: int
    name: str
    tags: str | None


TAGGED = Statement("tagged_flow", select(*columns(TaggedRow, flows)).where(flows.c.flow_id == bindparam("id")))
ANNOTATE = Statement(
    "annotate_flow",
    update(flows)
    .where(flows.c.flow_id == bindparam("id"))
    .values(name=bindparam("new_name"), tags=bindparam("new_tags")),
)
TAGS_OF = Statement("tag_rows_of_flow", select(tags.c.name, tags.c.value).where(tags.c.flow_id == bindparam("id")))
FORGET_TAGS = Statement(
    "forget_tags", delete(tags).where(tags.c.flow_id == bindparam("id"), in_names(tags.c.name, "names"))
)


def annotate(key: Key, name: str | None, changes: Mapping[str, str | None], work: UnitOfWork) -> Script[None]:
    """Rename a root flow, if a name is given, and change its tags; None removes one.

    FlowNotFound; InvalidRequest for a child flow, and for too many tags.
    """
    yield Lock(LOCK_FLOW, {"id": key.id})
    rows = yield Fetch(TAGGED, {"id": key.id})
    flow = TaggedRow._make(rows[0]) if rows else None
    if flow is None or flow.token != key.token:
        raise FlowNotFound(NO_FLOW)
    if flow.parent_flow_id:
        raise InvalidRequest("a child flow has the tags of its root flow: use the root flow's key")
    before = read_object(flow.tags)
    after = {tag: value for tag, value in {**before, **changes}.items() if value is not None}
    if len(after) > MOST_TAGS:
        raise InvalidRequest(f"a flow has at most {MOST_TAGS} tags, not {len(after)}")
    fresh = flow.name if name is None else name
    if (fresh, after) == (flow.name, before):
        return
    yield Execute(ANNOTATE, {"id": key.id, "new_name": fresh, "new_tags": object_text(after)})
    old = {row["name"]: row for row in tag_rows(key.id, flow.name, before, flow.created_at)}
    new = {row["name"]: row for row in tag_rows(key.id, fresh, after, flow.created_at)}
    gone = sorted(tag for tag, row in old.items() if new.get(tag) != row)
    come = [row for tag, row in new.items() if old.get(tag) != row]
    if gone:
        yield Execute(FORGET_TAGS, {"id": key.id, "names": gone})
    if come:
        yield InsertMany(INSERT_TAG, come)
    work.moved.add(key.id)


def copy_tags(origin_id: int, flow_id: int, created_at: int) -> Script[None]:
    """Give a copy of a flow the searchable rows of the flow."""
    rows = yield Fetch(TAGS_OF, {"id": origin_id})
    if rows:
        told = [{"flow_id": flow_id, "name": tag, "value": value, "created_at": created_at} for tag, value in rows]
        yield InsertMany(INSERT_TAG, told)
