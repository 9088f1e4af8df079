"""Random graphs end in the state that a sequential model computes, whatever the number of workers and the timing."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwarf import END, Flow, Graph, Status
from dwarf.hosts import LocalHost
from dwarf.testing import engine_for_test
from tests.support.invariants import check_invariants

State: TypeAlias = dict[str, Any]

REDUCERS = {"total": "add", "high": "max", "tags": "append", "seen": "union"}
PLAIN = ["p", "q"]
CHILD_STATE = {"total": 1, "tags": [7]}
NUMBERS = itertools.count()

# ---------------------------------------------------------------- what is drawn


@dataclass
class Script:
    """What one task does: so many retries, so many questions, a child flow perhaps; then it writes, or raises."""

    writes: list[tuple[str, str, Any]]
    retries: int = 0
    threaded: bool = False
    questions: int = 0
    calls: Chain | None = None
    rescue: Script | None = None  # the task raises, and this one handles it


@dataclass
class Chain:
    """Tasks and fan-outs one after the other."""

    parts: list[Script | Fan]


@dataclass
class Fan:
    """A source, branches (for each item the one branch, or each of several), and a fan-in."""

    split: Script
    branches: list[Chain]
    items: list[Any] | None  # None: a static fan-out
    join: Script
    label: str = field(default_factory=lambda: f"x{next(NUMBERS)}")


WRITES = st.one_of(
    st.tuples(st.just("put"), st.just("total"), st.integers(-5, 5)),
    st.tuples(st.just("put"), st.just("high"), st.integers(-5, 5)),
    st.tuples(st.just("put"), st.sampled_from(["tags", "seen"]), st.lists(st.integers(0, 3), max_size=2)),
    st.tuples(st.just("put"), st.sampled_from(PLAIN), st.integers() | st.text(max_size=3) | st.lists(st.booleans())),
    st.tuples(st.just("bump"), st.sampled_from(["total", "high"]), st.integers(1, 3)),
    st.tuples(st.just("copy"), st.sampled_from(PLAIN), st.sampled_from([*REDUCERS, *PLAIN, "items"])),
    st.tuples(st.just("note"), st.sampled_from(["tags", "seen"]), st.none()),
    st.tuples(st.just("delete"), st.sampled_from([*REDUCERS, *PLAIN]), st.none()),
)
CALM = st.builds(Script, st.lists(WRITES, max_size=3))
SOURCES = st.builds(
    Script,
    st.lists(WRITES, max_size=3),
    retries=st.sampled_from([0, 0, 0, 1, 2]),
    threaded=st.sampled_from([False, False, False, True]),
    questions=st.sampled_from([0, 0, 0, 0, 1, 2]),
)


def chains(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Chain]:
    return st.builds(Chain, st.lists(parts, min_size=1, max_size=3))


def fans(branches: st.SearchStrategy[Chain]) -> st.SearchStrategy[Fan]:
    static = st.builds(Fan, SOURCES, st.lists(branches, min_size=2, max_size=3), st.none(), SOURCES)
    items = st.lists(st.integers(0, 9) | st.text(max_size=2) | st.none() | st.lists(st.integers()), max_size=3)
    dynamic = st.builds(Fan, SOURCES, st.lists(branches, min_size=1, max_size=1), items, SOURCES)
    return static | dynamic


def rescued(script: Script, rescue: Script) -> Script:
    return replace(script, rescue=rescue)


def calling(script: Script, child: Chain) -> Script:
    return replace(script, calls=child)


CHILDREN = chains(SOURCES | fans(chains(SOURCES)))
TASKS = st.one_of(SOURCES, SOURCES, st.builds(rescued, SOURCES, CALM), st.builds(calling, SOURCES, CHILDREN))
CHAINS = st.recursive(chains(TASKS), lambda inner: chains(TASKS | fans(inner)), max_leaves=6)
INITIAL = st.fixed_dictionaries(
    {},
    optional={"total": st.integers(0, 9), "high": st.integers(), "tags": st.lists(st.integers(0, 3)), "p": st.text()},
)

# ---------------------------------------------------------------- the model


def task_changes(script: Script, view: Mapping[str, Any]) -> State:
    """What a task writes, given the state it reads."""
    if script.rescue is not None:
        return {"onErr": {"error": "drawn", "statusCode": 500}}
    state, changes = dict(view), {}
    if script.calls is not None:
        changes["q"] = expected(script.calls, CHILD_STATE).get("total")
        state = settled({**state, **changes})
    for kind, name, value in script.writes:
        if kind == "put":
            written = value
        elif kind == "bump":
            written = state.get(name, 0) + value
        elif kind == "copy":
            written = state.get(value)
        elif kind == "note":
            written = [sorted(state)]
        else:
            written = None
        changes[name] = written
        state = settled({**state, name: written})
    return changes


def settled(state: Mapping[str, Any]) -> State:
    return {name: value for name, value in state.items() if value is not None}


def after(state: State, changes: State) -> State:
    """An ordinary edge: replaced."""
    return settled({**state, **changes})


def folded(state: State, deltas: Iterable[State]) -> State:
    """A fan-in, or the end: reduced."""
    result = dict(state)
    for delta in deltas:
        for name, value in delta.items():
            result[name] = combined(REDUCERS.get(name, ""), result.get(name), value)
    return settled(result)


def combined(reducer: str, base: Any, value: Any) -> Any:
    if not reducer:
        return value
    if value is None or (base is None and reducer in ("add", "max")):
        return base if value is None else value
    if reducer == "add":
        return base + value
    if reducer == "max":
        return max(base, value)
    result = list(base or [])
    for element in value:
        if reducer == "append" or not any(same(element, known) for known in result):
            result.append(element)
    return result


def same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def walk(chain: Chain, state: State) -> list[tuple[State, State]]:
    """Run a chain: state and changes of each step that counts for the cohort around it."""
    steps: list[tuple[State, State]] = []
    for part in chain.parts:
        if isinstance(part, Script):
            steps.append((state, task_changes(part, state)))
            if part.rescue is not None:
                state = after(*steps[-1])
                steps.append((state, task_changes(part.rescue, state)))
        else:
            steps += walk_fan(part, state)
        state = after(*steps[-1])
    return steps


def walk_fan(fan: Fan, state: State) -> list[tuple[State, State]]:
    changes = task_changes(fan.split, state)
    item = fan.label
    if fan.items is not None:
        changes["items"] = fan.items
        injected = [
            {item: element, f"{item}Index": index, f"{item}Count": len(fan.items)}
            for index, element in enumerate(fan.items)
        ]
        branches = [(fan.branches[0], extra) for extra in injected]
    else:
        branches = [(branch, {}) for branch in fan.branches]
    inside = after(state, changes)
    members = [made for branch, extra in branches for _, made in walk(branch, settled({**inside, **extra}))]
    joined = folded(state, [changes, *members])
    if members and fan.items is not None:
        for name in (item, f"{item}Index", f"{item}Count"):
            joined.pop(name, None)
    return [(state, changes), (joined, task_changes(fan.join, joined))]


def expected(chain: Chain, initial: State) -> State:
    last_state, last_changes = walk(chain, initial)[-1]
    return folded(last_state, [last_changes])


# ---------------------------------------------------------------- the same as a graph with tasks


class Builder:
    """A graph, and a host with its tasks, from a chain. ``luck`` draws how often each task lets others run."""

    def __init__(self, chain: Chain, luck: random.Random, host: LocalHost) -> None:
        self.host = host
        self.graph = Graph("random", reducers=REDUCERS)
        self._luck = luck
        _, last = self._chain(chain)
        self._connect(last, END)

    def _connect(self, sources: list[str], target: str) -> None:
        for source in sources:
            self.graph.add_transition(source, target)

    def _chain(self, chain: Chain) -> tuple[str, list[str]]:
        """Its first node, and those it may end with."""
        first, last = "", list[str]()
        for part in chain.parts:
            head, tails = self._task(part) if isinstance(part, Script) else self._fan(part)
            self._connect(last, head)
            first, last = first or head, tails
        return first, last

    def _fan(self, fan: Fan) -> tuple[str, list[str]]:
        split, join = self._node(fan.split, fan.items), ""
        for branch in fan.branches:
            head, tails = self._chain(branch)
            if fan.items is None:
                self.graph.add_transition(split, head)
            else:
                self.graph.add_for_each(split, head, items="items", item=fan.label)
            join = join or self._node(fan.join)
            self._connect(tails, join)
        self.graph.set_fan_in(join)
        return split, [join]

    def _task(self, script: Script) -> tuple[str, list[str]]:
        name = self._node(script)
        if script.rescue is None:
            return name, [name]
        handler = self._node(script.rescue)
        self.graph.add_error_handler(name, handler)
        return name, [name, handler]

    def _node(self, script: Script, items: list[Any] | None = None) -> str:
        name = f"n{next(NUMBERS)}"
        child = None if script.calls is None else Builder(script.calls, self._luck, self.host).graph
        child_total = None if script.calls is None else expected(script.calls, CHILD_STATE).get("total")

        def work(flow: Flow) -> None:
            changes = task_changes(script, flow.snapshot())
            if items is not None:
                changes["items"] = items
            if flow.attempt < script.retries:
                flow.retry()
            for number in range(script.questions):
                assert flow.interrupt({"number": number}) == number
            if child is not None:
                assert flow.subgraph(child, CHILD_STATE).get("total") == child_total
            if script.rescue is not None:
                raise ValueError("drawn")
            flow.update(changes)

        async def work_in_loop(flow: Flow) -> None:
            for _ in range(self._luck.randrange(4)):
                await asyncio.sleep(0)
            work(flow)

        self.host.add_task(name, work if script.threaded else work_in_loop)
        self.graph.add_node(name)
        return name


async def outcome_of(chain: Chain, initial: State, workers: int, luck: random.Random) -> State:
    """Run it, and answer its questions as they come, in any order."""
    host = LocalHost(max_threads=4)
    graph = Builder(chain, luck, host).graph
    async with engine_for_test(f"random-{next(NUMBERS)}", host, workers=workers) as engine:
        flow = await engine.create(graph, initial)
        outcome = await flow.outcome(timeout=60)
        while outcome.status is Status.INTERRUPTED:
            asked = await flow.interrupts()
            step = luck.choice(asked)
            assert step.interrupt_payload is not None
            await flow.resume(step.interrupt_payload["number"], step=step)
            outcome = await flow.outcome(timeout=60)
        await check_invariants(engine)
    host.close()
    assert outcome.status is Status.COMPLETED, outcome.error
    return dict(outcome.state)


@settings(max_examples=40)
@given(CHAINS, INITIAL, st.integers(0, 2**32))
def test_the_final_state_is_the_models(chain: Chain, initial: State, seed: int) -> None:
    model = expected(chain, initial)
    for workers in (1, 2, 32):
        assert asyncio.run(outcome_of(chain, initial, workers, random.Random(seed + workers))) == model


@pytest.mark.soak
@pytest.mark.timeout(900)
@settings(max_examples=300)
@given(CHAINS, INITIAL, st.integers(0, 2**32), st.sampled_from([1, 3, 32]))
def test_many_more_of_them(chain: Chain, initial: State, seed: int, workers: int) -> None:
    assert asyncio.run(outcome_of(chain, initial, workers, random.Random(seed))) == expected(chain, initial)
