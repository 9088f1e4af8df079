"""Moving flows between databases, as lines of text."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from dwarf.core.keys import parse_key
from dwarf.core.plan import Plan
from dwarf.engine.shard.ids import new_token
from dwarf.engine.shard.plans import SCOPED, PlanCache
from dwarf.engine.shard.runtime import ShardRuntime
from dwarf.errors import InvalidRequest
from dwarf.storage.transfer.exporting import graph_line, read_blob_line, read_export
from dwarf.storage.transfer.format import header_line
from dwarf.storage.transfer.importing import Reader
from dwarf.storage.transfer.writing import TransferWriter, write_arrived
from dwarf.workflow.graph import Graph


async def exported(flow_keys: Sequence[str], replica_of: Callable[[int], ShardRuntime]) -> AsyncIterator[str]:
    """The lines of flows, each tree as it was at one moment."""
    keys = list(dict.fromkeys(parse_key(key) for key in flow_keys))
    if not keys:
        raise InvalidRequest("give the key of at least one flow to export")
    yield header_line()
    seen: set[str] = set()
    for key in keys:
        database = replica_of(key.shard).database
        found = await database.read(partial(read_export, key))
        for graph_hash, body in found.graphs.items():
            if graph_hash not in seen:
                seen.add(graph_hash)
                yield graph_line(graph_hash, body)
        for name in found.blobs:
            if name not in seen:
                seen.add(name)
                yield await database.read(partial(read_blob_line, name))
        for line in found.lines:
            yield line


async def imported(
    lines: Iterable[str] | AsyncIterable[str], plans: PlanCache, place: Callable[[], ShardRuntime]
) -> list[str]:
    """The keys of the imported flows. Nothing is written before every line has been checked."""
    reader = Reader(partial(_freeze, plans))
    if isinstance(lines, (str, bytes)) or not isinstance(lines, (Iterable, AsyncIterable)):
        raise InvalidRequest("give the lines one by one: an open file, or a list of them")
    if isinstance(lines, AsyncIterable):
        async for line in lines:
            reader.take(line)
    else:
        for line in lines:
            reader.take(line)
    keys: list[str] = []
    placers: dict[int, TransferWriter] = {}
    for tree in reader.finish():
        runtime = place()
        hashed = runtime.database.payloads.hashed
        placer = placers.get(runtime.shard) or TransferWriter(
            runtime.shard, runtime.engine_id, new_token, reader.blobs, hashed
        )
        placers[runtime.shard] = placer
        flow_ids = await runtime.ids.take(runtime.ids.flows, len(tree.flows))
        step_ids = await runtime.ids.take(runtime.ids.steps, len(tree.steps) + len(tree.shown))
        arrived = placer.place(tree, flow_ids, step_ids)
        span = runtime.telemetry.new_copy(arrived.flows, arrived.root_id)
        await runtime.committer.call(partial(write_arrived, arrived))
        runtime.telemetry.copied(arrived.flows, span)
        keys.append(arrived.key)
    return keys


def _freeze(plans: PlanCache, graph: Graph, form: Mapping[str, Any]) -> tuple[str, str, Plan]:
    frozen = plans.freeze(graph, scoped=form.get(SCOPED) is True)
    return frozen.graph_hash, frozen.body, frozen.plan
