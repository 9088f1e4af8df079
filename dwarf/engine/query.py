"""Lists of flows: checking filters, paging, and merging the results of several shards."""

from __future__ import annotations

import asyncio
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from dwarf.core.keys import Key, parse_key
from dwarf.engine.config import MAX_INT32, Settings
from dwarf.engine.requests import read_tag_changes
from dwarf.errors import DwarfError, InvalidRequest, ThreadNotFound
from dwarf.storage.migrations import read_identity
from dwarf.storage.queries.filters import MOST_TAGS, Filters
from dwarf.storage.queries.listing import Before, Listed, read_page, read_thread
from dwarf.storage.queries.search import SearchSource
from dwarf.workflow.durations import to_ms
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.results import FlowSummary
from dwarf.workflow.status import Status
from dwarf.workflow.suggest import did_you_mean

if TYPE_CHECKING:
    from dwarf.engine.lifecycle import EngineBase
    from dwarf.engine.shard.runtime import ShardRuntime

_VERSION = 1
_FORM = struct.Struct(">B8s8sQQQQ")
_SUM = struct.Struct(">I")

T = TypeVar("T")
LARGEST_PAGE = 10_000
FIRST_BATCH, LATER_BATCH = 100, 1000  # flows per query of a plain iteration


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last flow of a page, in the order of lists, and the number of flows listed so far."""

    created_at: int
    flow_id: int
    shard: int
    listed: int

    def text(self, database: str, query: str) -> str:
        """The cursor in its public form."""
        body = _FORM.pack(
            _VERSION, _digest(database), _digest(query), self.created_at, self.flow_id, self.shard, self.listed
        )
        return urlsafe_b64encode(body + _SUM.pack(crc32(body))).decode().rstrip("=")


def read_cursor(text: object, database: str, query: str) -> Cursor:
    """Parse a cursor. InvalidRequest says whether it is malformed, or belongs to another database or query."""
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


@dataclass(frozen=True, slots=True)
class Query:
    """A checked query. ``thread`` is not resolved yet; ``shard`` 0 means all shards."""

    filters: Filters
    thread: Key | None
    shard: int
    limit: int | None

    @property
    def narrow(self) -> bool:
        """Whether a filter is about the flows themselves, not only about the shard or the limit."""
        return self.filters.narrow or self.thread is not None

    def text(self) -> str:
        """A text that is equal for equal queries."""
        known = self.filters
        values = [getattr(known, name) for name in Filters.__dataclass_fields__ if name != "tags"]
        values += known.tags  # empty without tags: cursors of earlier releases stay valid
        return dumps([*values, str(self.thread or ""), self.shard, self.limit])


class FlowQuery(AsyncIterator[FlowSummary]):
    """Flows, newest first. Returned by ``Engine.flows``; nothing is read before the iteration.

    ``async for summary in query`` iterates over all of them, ``pages`` page by page. Each ``async for`` starts again.
    Flows that are created meanwhile are not included, and no flow appears twice.

    Example::

        query = engine.flows(status="failed", newer_than=timedelta(days=1))
        keys = [summary.flow_key async for summary in query]
        async for page, cursor in query.pages(size=50):
            print(len(page), cursor)
    """

    def __init__(self, engine: EngineBase, query: Query) -> None:
        self._engine = engine
        self._query = query
        self._filters: Filters | None = None  # with the thread resolved
        self._identity = ""
        self._iterator: AsyncIterator[FlowSummary] | None = None

    def __repr__(self) -> str:
        query = self._query
        told = {name: getattr(query.filters, name) for name in Filters.__dataclass_fields__}
        told |= {"thread": query.thread and f"{query.thread.shard}-{query.thread.id}"}
        told |= {"shard": query.shard, "limit": query.limit}
        shown = ", ".join(f"{name}={value}" for name, value in told.items() if value)
        return f"<FlowQuery: {shown or 'all flows'}>"

    def __aiter__(self) -> AsyncIterator[FlowSummary]:  # noqa: PYI034 - each loop begins anew
        return self._walk()

    async def __anext__(self) -> FlowSummary:
        if self._iterator is None:
            self._iterator = self._walk()
        return await anext(self._iterator)

    async def _walk(self) -> AsyncIterator[FlowSummary]:
        last: Cursor | None = None
        size = FIRST_BATCH
        while True:
            found, last = await self._page(last, size)
            for flow in found:
                yield flow.summary
            if last is None:
                return
            size = LATER_BATCH

    def pages(self, size: int = 100, cursor: str = "") -> AsyncIterator[tuple[list[FlowSummary], str]]:
        """Pages of at most ``size`` flows, each with the cursor after it; the cursor of the last page is empty.

        A cursor, given to ``pages`` of a query with the same filters, continues after its page, in any process and at
        any time. There is always a first page, which may be empty. InvalidRequest for a wrong size, and for a cursor
        that is malformed or belongs to another query or database.
        """
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST_PAGE:
            raise InvalidRequest(f"the size of a page is a whole number from 1 to {LARGEST_PAGE}, not {size!r}")
        return self._pages(size, cursor)

    async def _pages(self, size: int, cursor: str) -> AsyncIterator[tuple[list[FlowSummary], str]]:
        identity = await self._database_identity()
        text = self._query.text()
        last = read_cursor(cursor, identity, text) if cursor != "" else None
        while True:
            found, last = await self._page(last, size)
            yield [flow.summary for flow in found], "" if last is None else last.text(identity, text)
            if last is None:
                return

    async def _page(self, last: Cursor | None, size: int) -> tuple[list[Listed], Cursor | None]:
        """The flows after a position, over all shards, and the position after them; None if there are no more."""
        listed = 0 if last is None else last.listed
        limit = self._query.limit
        if limit is not None:
            size = min(size, limit - listed)
        filters = await self._resolved()
        runtimes = self._runtimes()
        parts = await _each(runtimes, lambda runtime: _read(runtime, filters, last, size + 1))
        found = sorted((flow for part in parts for flow in part), key=lambda flow: flow[:3], reverse=True)
        page, more = found[:size], len(found) > size
        if not more or not page or listed + len(page) == limit:
            return page, None
        end = page[-1]
        cursor = Cursor(created_at=end.created_at, flow_id=end.flow_id, shard=end.shard, listed=listed + len(page))
        return page, cursor

    def _runtimes(self) -> list[ShardRuntime]:
        """The queried shards, by index. EngineClosed, or StorageError for a shard that cannot be reached."""
        shard = self._query.shard if self._query.thread is None else self._query.thread.shard
        if not shard:
            return self._engine._every()
        runtime = self._engine._known(shard)
        return [] if runtime is None else [runtime]

    async def _resolved(self) -> Filters:
        """The filters, with the thread looked up. ThreadNotFound."""
        if self._filters is None:
            self._filters = await self._resolve()
        return self._filters

    async def _resolve(self) -> Filters:
        key = self._query.thread
        if key is None:
            return self._query.filters
        runtime = self._engine._known(key.shard)
        if runtime is None:
            raise ThreadNotFound("thread not found: the engine has no such shard")
        thread_id = await runtime.database.read(lambda: read_thread(key))
        return replace(self._query.filters, thread_id=thread_id)

    async def _database_identity(self) -> str:
        """The id of the first shard's database, which all replicas share."""
        self._engine._check_running()
        if not self._identity:
            first = self._engine._runtime(self._engine._settings.shards[0].index)
            self._identity = await first.database.read(read_identity)
        return self._identity


async def _each(runtimes: Iterable[ShardRuntime], call: Callable[[ShardRuntime], Coroutine[Any, Any, T]]) -> list[T]:
    """Query all shards concurrently. Raises the error of the first failed shard, with a note that names it."""
    asked = list(runtimes)
    answers = await asyncio.gather(*map(call, asked), return_exceptions=True)
    for runtime, answer in zip(asked, answers, strict=True):
        if isinstance(answer, DwarfError):
            answer.add_note(f"on shard {runtime.shard}")
        if isinstance(answer, BaseException):
            raise answer
    return answers  # type: ignore[return-value]


async def _read(runtime: ShardRuntime, filters: Filters, last: Cursor | None, limit: int) -> Sequence[Listed]:
    before = None
    if last is not None:
        # flows of one moment and one id on several shards are ordered by shard, descending
        before = Before(last.created_at, last.flow_id + (runtime.shard < last.shard))
    return await runtime.database.read(partial(read_page, filters, source_of(runtime), before, limit))


def source_of(runtime: ShardRuntime) -> SearchSource:
    """A shard, for queries."""
    return SearchSource(runtime.shard, runtime.plans.plan_of, runtime.database.payloads.coded)


def read_query(settings: Settings, given: dict[str, Any]) -> Query:
    """Check the arguments of ``flows``. InvalidRequest names a wrong one."""
    for name in given.keys() - _READERS.keys():
        raise InvalidRequest(f"there is no filter {name!r}{did_you_mean(name, _READERS)}")
    values = {name: _READERS[name](name, value) for name, value in given.items()}
    thread, shard, limit = (values.pop(name, None) for name in ("thread", "shard", "limit"))
    if shard and shard not in {known.index for known in settings.shards}:
        raise InvalidRequest(f"the engine has no shard {shard}")
    named = values.pop("name", "")
    tags = (*((("", named),) if named else ()), *values.pop("tags", ()))
    if len(tags) > MOST_TAGS:
        raise InvalidRequest(f"a list is narrowed by at most {MOST_TAGS} tags and names, not {len(tags)}")
    ages = {f"{name}_ms": values.pop(f"{name}_than", 0) for name in ("older", "newer")}
    return Query(Filters(**values, **ages, tags=tags), thread=thread, shard=shard or 0, limit=limit)


def _status(name: str, value: object) -> Status | None:
    if value is None or value == "":
        return None
    try:
        return Status(value)  # type: ignore[arg-type]
    except ValueError:
        known = ", ".join(Status)
        raise InvalidRequest(f"status is one of {known}, not {value!r:.80}") from None


MAX_TEXT = 10_000  # characters of a filter; stored values are shorter


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is a string, not {type(value).__name__}")
    if not value.isprintable() and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        raise InvalidRequest(f"{name} has a character that no text in the database has")
    if len(value) > MAX_TEXT:
        raise InvalidRequest(f"{name} has at most {MAX_TEXT:,} characters")
    return value


def _thread(name: str, value: object) -> Key | None:
    return None if value in ("", None) else parse_key(value, "thread key")


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INT32:
        raise InvalidRequest(f"{name} is a whole number from 1 to {MAX_INT32} (0: no filter), not {value!r}")
    return value


def _tags(name: str, value: object) -> tuple[tuple[str, str | None], ...]:
    """Pairs in a fixed order. The value None stands for any value."""
    if value is not None and not isinstance(value, Mapping):
        raise InvalidRequest(f"tags are a mapping from names to texts (None: any), not {type(value).__name__}")
    return tuple(sorted(read_tag_changes(value).items()))


def _age(name: str, value: Any) -> int:
    return 0 if value is None else to_ms(value, name)


def _flag(name: str, value: object) -> bool:
    return bool(value)


def _limit(name: str, value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidRequest(f"limit is a whole number from 1 up, or None for no limit, not {value!r}")
    return value


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "status": _status,
    "workflow_url": _text,
    "workflow_name": _text,
    "thread": _thread,
    "node": _text,
    "fairness_key": _text,
    "priority": _number,
    "older_than": _age,
    "newer_than": _age,
    "shard": _number,
    "name": _text,
    "tags": _tags,
    "search": _text,
    "include_subgraphs": _flag,
    "limit": _limit,
}
