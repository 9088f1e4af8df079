"""Lists of flows and the counts of shards: scenarios 102 to 106. Scenario 103 is superseded: see tests/README.md."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from dwarf import END, Flow, FlowSummary, Graph, Status
from dwarf.engine import Engine, FlowHandle, FlowQuery
from dwarf.errors import EngineClosed, InvalidRequest, StorageError, ThreadNotFound
from dwarf.hosts import LocalHost
from tests.conformance.engine.tools import Gate, doctor, nothing


async def listed(query: FlowQuery) -> list[FlowSummary]:
    """Everything a query finds."""
    return [summary async for summary in query]


async def keys(query: FlowQuery) -> set[str]:
    """The keys of everything a query finds."""
    return {summary.flow_key for summary in await listed(query)}


async def walk(engine: Engine, size: int, **filters: Any) -> list[list[FlowSummary]]:
    """The pages of a query, each asked for by the cursor of the one before it, as a user interface does."""
    pages, cursor = [], ""
    while True:
        page, cursor = await anext(engine.flows(**filters).pages(size, cursor))
        pages.append(page)
        if not cursor:
            return pages


def one_step(name: str, task: Any = nothing, node: str = "A") -> Graph:
    """A graph of one node."""
    return Graph(name).add_node(node, task).add_transition(node, END)


async def run(engine: Engine, graph: Graph | str, state: Mapping[str, Any] | None = None, **options: Any) -> FlowHandle:
    """A flow that has stopped."""
    handle = await engine.create(graph, state, **options)
    await handle
    return handle


async def fail(flow: Flow) -> None:
    """Fail with the text of a field."""
    raise ValueError(flow["text"])


# ---------------------------------------------------------------- pages


async def test_e102_pages_over_three_shards_hold_each_flow_once(running: Any) -> None:
    async with running(shards=3, workers=0) as engine:
        handles = await engine.create_many(one_step("g"), [{}] * 25)
        assert len({handle.key.split("-")[0] for handle in handles}) == 3
        pages = await walk(engine, 4)
        assert [len(page) for page in pages] == [4] * 6 + [1]
        found = [summary.flow_key for page in pages for summary in page]
        assert sorted(found) == sorted(handle.key for handle in handles)
        in_one_go = [[s.flow_key for s in page] async for page, _ in engine.flows().pages(4)]
        assert in_one_go == [[summary.flow_key for summary in page] for page in pages]
        assert [summary.flow_key for summary in await listed(engine.flows())] == found

        on_second = {handle.key for handle in handles if handle.key.startswith("2-")}
        assert await keys(engine.flows(shard=2)) == on_second
        assert {summary.flow_key for page in await walk(engine, 2, shard=2) for summary in page} == on_second
        for shard in (4, -1, "2", True):
            with pytest.raises(InvalidRequest, match="shard"):
                engine.flows(shard=shard)


async def test_e102_cursors_belong_to_a_query_and_a_database(
    running: Any, host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dwarf.testing import engine_for_test

    async with running(workers=0) as engine, running(workers=0) as runtime:
        await engine.create_many(one_step("g"), [{}] * 5)
        first, cursor = await anext(engine.flows(status="running").pages(2))
        second, _ = await anext(runtime.flows(status=Status.RUNNING).pages(3, cursor))
        assert [summary.flow_key for summary in [*first, *second]] == [s.flow_key for s in await listed(engine.flows())]

        async def refused(query: FlowQuery, text: Any, words: str) -> None:
            with pytest.raises(InvalidRequest, match=words):
                await anext(query.pages(2, text))

        await refused(engine.flows(), cursor, "another query")
        await refused(engine.flows(status="running", limit=4), cursor, "another query")
        changed = ("A" if cursor[9] != "A" else "B").join((cursor[:9], cursor[10:]))
        for garbage in ("x", "1=7", "shard=1", "?!", " ", "ü", cursor[:-3], cursor + "AAAA", cursor[1:], changed):
            await refused(engine.flows(status="running"), garbage, "not a cursor")
        await refused(engine.flows(status="running"), 7, "int")
        monkeypatch.delenv("DWARF_TEST_URL", raising=False)
        async with engine_for_test("the-other-one", host, workers=0) as other:
            await refused(other.flows(status="running"), cursor, "another database")
        for size in (0, -1, 10_001, "7", True, None):
            with pytest.raises(InvalidRequest, match="size of a page"):
                engine.flows().pages(size)


async def test_e102_a_query_that_finds_nothing_has_one_empty_page(running: Any) -> None:
    async with running(workers=0, shards=2) as engine:
        assert await walk(engine, 4) == [[]]
        assert await listed(engine.flows()) == []
        await engine.create_many(one_step("g"), [{}] * 4)
        assert [len(page) for page in await walk(engine, 4)] == [4]  # and none behind a full one
        _, cursor = await anext(engine.flows().pages(3))
        await doctor(engine, "DELETE FROM dwarf_flows")
        await doctor(engine, "DELETE FROM dwarf_steps")
        rest, last = await anext(engine.flows().pages(3, cursor))
        assert len(rest) <= 1
        assert last == ""


async def test_e102_limit_bounds_pages_and_iteration(running: Any) -> None:
    async with running(workers=0, shards=2) as engine:
        await engine.create_many(one_step("g"), [{}] * 9)
        assert [len(page) for page in await walk(engine, 3, limit=7)] == [3, 3, 1]
        assert len(await listed(engine.flows(limit=7))) == 7
        assert len(await listed(engine.flows(limit=1))) == 1
        assert len(await listed(engine.flows(limit=99))) == 9
        for limit in (0, -1, 1.5, "3", True):
            with pytest.raises(InvalidRequest, match="limit"):
                engine.flows(limit=limit)


async def test_e103_newest_first_over_all_shards(running: Any) -> None:
    async with running(shards=3, workers=0) as engine:
        for _ in range(6):
            await engine.create_many(one_step("g"), [{}] * 5)
        summaries = await listed(engine.flows())
        moments = [summary.created_at for summary in summaries]
        assert moments == sorted(moments, reverse=True)
        assert len({summary.flow_key.split("-")[0] for summary in summaries[:15]}) > 1
        ids = [tuple(map(int, summary.flow_key.split("-")[:2])) for summary in summaries]
        same = [(a, b) for a, b, x, y in zip(ids, ids[1:], moments, moments[1:], strict=False) if x == y]
        assert same
        assert all((a[1], a[0]) > (b[1], b[0]) for a, b in same)
        assert [s.flow_key for page in await walk(engine, 7) for s in page] == [s.flow_key for s in summaries]


async def test_a_list_needs_a_running_engine(running: Any, host: LocalHost) -> None:
    with pytest.raises(EngineClosed):
        Engine(host).flows()
    for operation in (Engine(host).purge(status="failed"), Engine(host).shards()):
        with pytest.raises(EngineClosed):
            await operation
    async with running(workers=0) as engine:
        query = engine.flows()
        pages = query.pages(3)
    for reading in (anext(query), anext(pages), anext(query.pages(3, "x"))):
        with pytest.raises(EngineClosed):
            await reading


async def test_a_query_can_be_read_again_and_step_by_step(running: Any) -> None:
    async with running(workers=0) as engine:
        await engine.create_many(one_step("g"), [{}] * 3)
        query = engine.flows()
        first = await listed(query)
        await engine.create(one_step("g"))
        assert len(await listed(query)) == 4
        assert await anext(query) == (await listed(query))[0]
        assert await anext(query) == first[0]


# ---------------------------------------------------------------- filters


async def test_e104_filters(running: Any, host: LocalHost) -> None:
    async with running(shards=2) as engine:
        good, bad = one_step("Good"), one_step("Bad", fail)
        handles = {
            (tenant, priority): await run(engine, good, fairness_key=tenant, priority=priority)
            for tenant in ("a", "b")
            for priority in (1, 2)
        }
        failed = await run(engine, bad, {"text": "no"})
        every = {failed.key, *(handle.key for handle in handles.values())}
        assert await keys(engine.flows()) == every
        assert (
            await keys(engine.flows(status="failed")) == await keys(engine.flows(status=Status.FAILED)) == {failed.key}
        )
        assert await keys(engine.flows(status="running")) == await keys(engine.flows(status="pending")) == set()
        assert (
            await keys(engine.flows(workflow_name="Bad"))
            == await keys(engine.flows(workflow_url="Bad"))
            == {failed.key}
        )
        assert await keys(engine.flows(workflow_name="bad")) == await keys(engine.flows(workflow_name="Ba")) == set()
        assert await keys(engine.flows(fairness_key="a")) == {handles["a", 1].key, handles["a", 2].key}
        assert await keys(engine.flows(fairness_key="a", priority=2)) == {handles["a", 2].key}
        assert await keys(engine.flows(priority=2, status="completed", workflow_url="Good")) == {
            handles["a", 2].key,
            handles["b", 2].key,
        }
        assert await keys(engine.flows(status="failed", workflow_url="Bad", workflow_name="Bad")) == {failed.key}
        assert await keys(engine.flows(status="failed", workflow_name="Good")) == set()
        assert await keys(engine.flows(status=None, fairness_key="", priority=0, older_than=None, search="")) == every


async def test_e104_wrong_filters_are_refused_at_the_door(engine: Engine) -> None:
    wrong: dict[str, tuple[Any, ...]] = {
        "status": ("nope", "' OR 1=1 --", "FAILED", 7, b"failed", []),
        "workflow_url": (7, None, b"x", "\0", "\ud800"),
        "search": (7, None, "a\0b", "\udfff"),
        "fairness_key": (7, None),
        "node": (7, None),
        "thread": ("x", "1-2", 7),
        "priority": (-1, 1.5, "1", 2**31, True),
        "older_than": (-1, "1h", float("nan"), float("inf"), True),
        "newer_than": (-0.5, [], float("-inf")),
    }
    for name, values in wrong.items():
        for value in values:
            with pytest.raises(InvalidRequest, match=name.partition("_")[0]):
                engine.flows(**{name: value})
    with pytest.raises(TypeError):
        engine.flows(stats="failed")  # type: ignore[call-arg]


async def test_e104_threads(running: Any, host: LocalHost) -> None:
    host.add_graph(one_step("inner"))

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        flow.subgraph("inner")

    async with running(shards=2) as engine:
        first = await run(engine, Graph("g").add_chain("Call", END))
        second = await run(engine, one_step("h"), thread=first.key)
        third = await run(engine, one_step("h"), thread=second.key)
        await run(engine, one_step("h"))
        turns = {first.key, second.key, third.key}
        for key in turns:
            assert await keys(engine.flows(thread=key)) == turns
        summaries = await listed(engine.flows(thread=second.key, shard=1 if first.key[0] == "2" else 2))
        assert {summary.thread_key for summary in summaries} == {first.key}
        assert await keys(engine.flows(thread=first.key, workflow_url="h")) == {second.key, third.key}
        assert await keys(engine.flows(thread=first.key, search="H")) == {second.key, third.key}
        child = (await first.history())[0].sub_flows[0].flow_key
        assert await keys(engine.flows(thread=child)) == set()
        assert await keys(engine.flows(thread=child, include_subgraphs=True)) == {child}
        assert await keys(engine.flows(thread=first.key, include_subgraphs=True)) == turns
        for unknown in ("1-99999-0123456789abcdef", "9-1-0123456789abcdef", first.key[:-1] + "x"):
            with pytest.raises(ThreadNotFound):
                await listed(engine.flows(thread=unknown))


async def test_e104_ages_are_those_of_the_last_change(running: Any, host: LocalHost, clock: Any) -> None:
    gate = Gate()

    @host.task(url="Wait")
    async def Wait(flow: Flow) -> None:
        await gate.pass_()

    async with running() as engine:
        slow = await engine.create(Graph("slow").add_chain("Wait", END))
        await gate.reached()
        old = await run(engine, one_step("old"))
        clock.advance(100)
        new = await run(engine, one_step("new"))
        assert await keys(engine.flows(older_than=50)) == {slow.key, old.key}
        assert await keys(engine.flows(newer_than=50)) == {new.key}
        gate.open()
        await slow
        assert await keys(engine.flows(older_than=50)) == {old.key}
        assert await keys(engine.flows(newer_than=50, status="completed")) == {new.key, slow.key}
        clock.advance(20)
        assert await keys(engine.flows(older_than=10, newer_than=50)) == {new.key, slow.key}
        assert await keys(engine.flows(older_than=110)) == {old.key}
        assert await keys(engine.flows(older_than=10_000_000)) == set()
        assert await keys(engine.flows(older_than=0)) == {slow.key, old.key, new.key}


async def test_e104_the_node_a_flow_is_at(running: Any, host: LocalHost) -> None:
    gates = {name: Gate() for name in ("Wait", "Branch")}

    @host.task(url="Wait")
    async def Wait(flow: Flow) -> None:
        await gates["Wait"].pass_()

    @host.task(url="Branch")
    async def Branch(flow: Flow, item: int) -> None:
        await gates["Branch"].pass_()

    @host.task(url="Ask")
    async def Ask(flow: Flow) -> None:
        flow.interrupt("well?")

    for name in ("First", "Split", "Join", "Last"):
        host.add_task(name, nothing)
    fan = (
        Graph("fan").add_for_each("Split", "Branch", items="items").add_chain("Branch", "Join", END).set_fan_in("Join")
    )
    async with running(workers=8) as engine:
        done = await run(engine, Graph("chain").add_chain("First", "Last", END))
        asking = await run(engine, Graph("asking").add_chain("First", "Ask", END))
        waiting = await engine.create(Graph("waiting").add_chain("First", "Wait", END))
        await gates["Wait"].reached()
        broken = await run(
            engine, Graph("broken").add_chain("First", "Fail", END).add_node("Fail", fail), {"text": "x"}
        )
        fanned = await engine.create(fan, {"items": [1, 2]})
        await gates["Branch"].reached(2)

        at = {summary.flow_key: summary.node for summary in await listed(engine.flows())}
        assert at == {done.key: "Last", asking.key: "Ask", waiting.key: "Wait", broken.key: "Fail", fanned.key: ""}
        for handle, node in ((done, "Last"), (asking, "Ask"), (waiting, "Wait"), (broken, "Fail")):
            assert await keys(engine.flows(node=node)) == {handle.key}
            assert await keys(engine.flows(node=node, workflow_name="other")) == set()
        for node in ("First", "Split", "Branch", "Join", "last", "Nowhere"):
            assert await keys(engine.flows(node=node)) == set()
        assert await keys(engine.flows(node="Wait", status="running")) == {waiting.key}
        for gate in gates.values():
            gate.open()
        await fanned
        await waiting
        assert await keys(engine.flows(node="Join")) == {fanned.key}


# ---------------------------------------------------------------- what is in a list


async def test_a_summary_tells_all_about_a_flow(running: Any, host: LocalHost) -> None:
    async with running() as engine:
        bad = one_step("Bad", fail)
        failed = await run(engine, bad, {"text": "  no such thing \n"}, priority=7, fairness_key="tenant")
        cancelled = await run(engine, one_step("Ask", lambda flow: flow.interrupt("?"), "Q"))
        await cancelled.cancel("  not needed ")
        second, first = await listed(engine.flows())
        assert first == FlowSummary(
            flow_key=failed.key,
            thread_key=failed.key,
            workflow_url="Bad",
            workflow_name="Bad",
            status=Status.FAILED,
            node="A",
            error="no such thing",
            priority=7,
            fairness_key="tenant",
            trace_id=first.trace_id,
            created_at=first.created_at,
            started_at=first.started_at,
            updated_at=first.updated_at,
        )
        assert first.started_at is not None
        assert first.created_at <= first.started_at <= first.updated_at
        assert first.created_at.tzinfo is not None
        assert len(first.trace_id) in (0, 32)
        assert (second.status, second.cancel_reason, second.node) == (Status.CANCELLED, "not needed", "Q")


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"),
        ("", ""),
        ("00-0af7651916cd43dd8448eb211c80319c", ""),
        ("garbage", ""),
    ],
)
async def test_the_trace_of_a_flow(engine: Engine, stored: str, shown: str) -> None:
    await run(engine, one_step("g"))
    await doctor(engine, "UPDATE dwarf_flows SET trace_parent = :trace", trace=stored)
    assert [summary.trace_id for summary in await listed(engine.flows())] == [shown]


async def test_children_are_listed_where_they_are_asked_for(running: Any, host: LocalHost) -> None:
    host.add_graph(one_step("inner"))

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        flow.subgraph("inner")

    async with running() as engine:
        parent = await run(engine, Graph("outer").add_chain("Call", END))
        assert await keys(engine.flows()) == {parent.key}
        both = {summary.workflow_url: summary for summary in await listed(engine.flows(include_subgraphs=True))}
        assert {url: summary.is_subgraph for url, summary in both.items()} == {"outer": False, "inner": True}
        assert both["inner"].thread_key == both["inner"].flow_key
        assert await keys(engine.flows(workflow_url="inner")) == set()
        assert len(await keys(engine.flows(workflow_url="inner", include_subgraphs=True))) == 1
        assert len(await keys(engine.flows(search="INN", include_subgraphs=True))) == 1
        assert [len(page) for page in await walk(engine, 1, include_subgraphs=True)] == [1, 1]
        await parent.delete()
        assert await listed(engine.flows(include_subgraphs=True)) == []


# ---------------------------------------------------------------- search


async def test_e105_search_is_literal_and_takes_any_case(running: Any, host: LocalHost) -> None:
    async with running() as engine:
        bad = one_step("Bad", fail)
        texts = [
            "50% done",
            "50 pct done",
            "a_b",
            "aXb",
            "tilde ~ here",
            "[x]",
            "x*y",
            "what?",
            "back\\slash",
            "'quoted\"",
        ]
        texts += ["Ärger im BÜRO", "Σ", "", "\U0001f600"]
        handles = {text: (await run(engine, bad, {"text": text})).key for text in texts}

        async def found(search: str) -> set[str]:
            return {text for text, key in handles.items() if key in await keys(engine.flows(search=search))}

        assert await found("50%") == {"50% done"}
        assert await found("a_b") == await found("A_B") == {"a_b"}
        assert await found("_") == {"a_b"}
        assert await found("~") == {"tilde ~ here"}
        assert await found("[x]") == {"[x]"}
        assert await found("*") == {"x*y"}
        assert await found("?") == {"what?"}
        assert await found("\\") == {"back\\slash"}
        assert await found("'") == await found('d"') == {"'quoted\""}
        assert await found("DONE") == {"50% done", "50 pct done"}
        assert await found("ÄRGER IM büro") == await found("ärger") == {"Ärger im BÜRO"}
        assert await found("σ") == {"Σ"}
        assert await found("\U0001f600") == {"\U0001f600"}
        assert await found("bad") == set(texts)
        assert await found("no such text") == set()


async def test_e105_search_looks_everywhere_it_should(running: Any, host: LocalHost) -> None:
    host.add_task("Deliver", nothing)
    async with running(shards=2) as engine:
        failed = await run(engine, one_step("Invoice", fail), {"text": "connection refused"})
        asking = await run(engine, one_step("Order", lambda flow: flow.interrupt("?"), "Approval"))
        shipped = await run(engine, Graph("Parcel").add_chain("Deliver", END))
        host.add_graph(Graph("Shown").add_chain("Deliver", END), url="https://example.com/hidden")
        named = await run(engine, "https://example.com/hidden")
        cancelled = await run(engine, one_step("Other", lambda flow: flow.interrupt("?"), "Q"))
        await cancelled.cancel("the customer WENT away")

        for text, handles in {
            "REFUSED": [failed],
            "invoi": [failed],
            "approval": [asking],
            "order": [asking],
            "deliver": [shipped, named],
            "EXAMPLE.com/": [named],
            "shown": [named],
            "went": [cancelled],
            "e": [failed, asking, shipped, named, cancelled],
            "nowhere": [],
        }.items():
            assert await keys(engine.flows(search=text)) == {handle.key for handle in handles}, text
        assert await keys(engine.flows(search="e", status="failed")) == {failed.key}
        assert await keys(engine.flows(search="refused", status="cancelled")) == set()
        assert await keys(engine.flows(search="deliver", workflow_url="Parcel")) == {shipped.key}
        assert await keys(engine.flows(search="deliver", workflow_name="Shown")) == {named.key}
        assert await keys(engine.flows(search="deliver", node="Deliver")) == {shipped.key, named.key}
        assert await keys(engine.flows(search="order", node="Deliver")) == set()
        assert [len(page) for page in await walk(engine, 2, search="e")] == [2, 2, 1]


async def test_e105_search_finds_keys(running: Any) -> None:
    async with running(shards=2, workers=0) as engine:
        handles = await engine.create_many(one_step("g"), [{}] * 12)
        for handle in handles[:4]:
            shard, number, token = handle.key.split("-")
            for text in (
                handle.key,
                handle.key.upper(),
                handle.key[:-3],
                f"{shard}-{number}-",
                f"{number}-{token[:5]}",
                token,
                token[3:9],
                f"-{token[:8]}",
            ):
                assert handle.key in await keys(engine.flows(search=text)), text
            assert await keys(engine.flows(search=handle.key)) == {handle.key}
            assert await keys(engine.flows(search=token[2:])) == {handle.key}
            assert await keys(engine.flows(search=f"9{handle.key}")) == set()
            assert await keys(engine.flows(search=f"{handle.key}0")) == set()
            assert await keys(engine.flows(search=f"{shard}-0{number}-{token}")) == set()
        assert await keys(engine.flows(search=f"1-{'9' * 19}-")) == set()
        assert await keys(engine.flows(search="1-")) >= {handle.key for handle in handles if handle.key[0] == "1"}


async def test_e105_search_finds_the_same_among_many_workflows(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many workflows to look through, every flow is looked at."""
    from dwarf.storage.queries import search as search_queries

    async with running() as engine:
        for number in range(6):
            await run(
                engine, one_step(f"flow {number}", fail if number % 2 else nothing, f"Node{number}"), {"text": "Oh"}
            )
        searches = ("flow", "flow 3", "node4", "OH", "zzz", "3")
        few = {text: [summary.flow_key for summary in await listed(engine.flows(search=text))] for text in searches}
        assert [len(found) for found in few.values()] == [6, 1, 1, 3, 0, len(few["3"])]
        by_node = await listed(engine.flows(node="Node4"))
        for limit in ("MOST_URLS", "MOST_GRAPHS", "MOST_ARMS"):
            with monkeypatch.context() as patch:
                patch.setattr(search_queries, limit, 2 if limit == "MOST_URLS" else 0)
                for text, found in few.items():
                    assert [s.flow_key for s in await listed(engine.flows(search=text))] == found, (limit, text)
                assert await listed(engine.flows(node="Node4")) == by_node


class Backwards:
    """A codec that anybody can read, from behind."""

    def encode(self, data: bytes) -> bytes:
        """What is stored."""
        return data[::-1]

    def decode(self, data: bytes) -> bytes:
        """What was stored."""
        return data[::-1]


async def test_e105_search_sees_through_a_codec(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dwarf.storage.queries import listing

    monkeypatch.setattr(listing, "AT_ONCE", 2)
    async with running(codec=Backwards()) as engine:
        texts = ["one refused", "two", "three REFUSED", "four", "five", "six refused", "seven"]
        # a name whose letters do not all occur in keys, in which a search looks, too
        failed = {text: (await run(engine, one_step("Sorry", fail), {"text": text})).key for text in texts}
        asking = await run(engine, one_step("Asking", lambda flow: flow.interrupt("?"), "Q"))
        await asking.cancel("it was Refused by hand")
        refused = [failed["one refused"], failed["three REFUSED"], failed["six refused"], asking.key]
        assert [s.flow_key for s in await listed(engine.flows(search="refused"))] == refused[::-1]
        assert [s.flow_key for page in await walk(engine, 1, search="refused") for s in page] == refused[::-1]
        assert next(s.error for s in await listed(engine.flows(search="refused", status="failed"))) == "six refused"
        assert await keys(engine.flows(search="REFUSED BY")) == {asking.key}
        assert await keys(engine.flows(search="codec")) == await keys(engine.flows(search="desufer")) == set()
        assert await keys(engine.flows(search="sorry")) == set(failed.values())
        assert await engine.purge(search="refused", limit=2) == 2
        assert await keys(engine.flows(search="refused")) == set(refused[2:])


# ---------------------------------------------------------------- shards


async def test_e106_shards(running: Any, host: LocalHost) -> None:
    host.add_graph(one_step("inner"))

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        flow.subgraph("inner")

    outer = Graph("outer").add_chain("Call", END)
    async with running(shards=3) as engine:
        await engine.create_many(outer, [{}] * 30)
        for handle in [engine.flow(summary.flow_key) for summary in await listed(engine.flows())]:
            await handle
        infos = await engine.shards()
        assert [info.index for info in infos] == [1, 2, 3]
        assert all(info.error == "" and info.latency_ms > 0 and not info.cordoned for info in infos)
        assert sum(info.flows[Status.COMPLETED] for info in infos) == 60
        assert sum(sum(info.flows.values()) for info in infos) == 60
        assert sum(info.steps[Status.COMPLETED] for info in infos) == 60
        assert [set(info.steps) for info in infos] == [set(Status)] * 3
        assert [info.replicas for info in infos] == [1, 1, 1]
        async with running(shards=3, workers=0) as runtime:
            async with asyncio.timeout(60):  # they need a moment to hear of each other
                while [info.replicas for info in await runtime.shards()] != [2] * 3:
                    await asyncio.sleep(0.01)


async def test_e106_a_shard_that_fails_does_not_fail_the_others(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(shards=3, workers=0) as engine:
        await engine.create_many(one_step("g"), [{}] * 60)

        async def broken(script: object) -> None:
            raise StorageError("the disk is gone")

        with monkeypatch.context() as patch:
            patch.setattr(engine._runtimes[2].database, "read", broken)
            infos = await engine.shards()
            assert [info.error for info in infos] == ["", "the disk is gone", ""]
            assert infos[1].flows == infos[1].steps == {}
            assert sum(infos[0].flows.values()) > 0
            for call in (listed(engine.flows()), engine.purge(status="completed")):
                with pytest.raises(StorageError, match="the disk is gone"):
                    await call
            assert len(await listed(engine.flows(shard=1))) == infos[0].flows[Status.RUNNING]
