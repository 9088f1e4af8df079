"""Worker slots and promised starts: whatever happens to them, each is given back once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dwarf.engine.shard.admission import Admission
from dwarf.engine.shard.reservations import Reservation, Slots
from dwarf.workflow.host import BaseHost

SLOTS, THREADS = 5, 3
NEEDS = st.sampled_from(["sync one", "sync two", "async"])
ANY: Any = None  # a flow, which nothing here looks at


class Host(BaseHost):
    """Has three threads, of which none is busy."""

    async def load_graph(self, workflow: str, baggage: Any) -> Any:
        raise AssertionError(workflow)

    async def execute_task(self, url: str, flow: Any) -> None:
        raise AssertionError(url)

    def pool_of(self, url: str) -> Hashable | None:
        return "threads" if url.startswith("sync") else None

    def free_in(self, pool: Hashable) -> int:
        return THREADS


class Model:
    """What a reservation should hold."""

    def __init__(self, real: Reservation, held: int, promised: list[str]) -> None:
        self.real = real
        self.held = held
        self.promised = promised


class Reservations(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(Host(), lambda: None)
        self.slots = Slots(SLOTS, self.admission, self.on_free)
        self.models: list[Model] = []
        self.starved = False

    def on_free(self) -> None:
        self.starved = False

    @property
    def free(self) -> int:
        return SLOTS - sum(model.held for model in self.models)

    def has_thread(self, need: str) -> bool:
        promised = [one for model in self.models for one in model.promised if one.startswith("sync")]
        return not need.startswith("sync") or len(promised) < THREADS

    def chosen(self, data: st.DataObject) -> Model:
        return data.draw(st.sampled_from([model for model in self.models if model.held]))

    @rule(count=st.integers(1, SLOTS + 1))
    def reserve(self, count: int) -> None:
        expected = min(count, self.free)
        real = self.slots.reserve(count)
        assert (0 if real is None else real.held) == expected
        if real is None:
            self.starved = True
        else:
            self.models.append(Model(real, expected, []))

    @precondition(lambda self: any(model.held for model in self.models))
    @rule(data=st.data(), need=NEEDS)
    def promise(self, data: st.DataObject, need: str) -> None:
        model = self.chosen(data)
        beyond = len(model.promised) >= model.held
        expected = (not beyond or self.free > 0) and self.has_thread(need)
        assert model.real.promise(need) is expected
        if expected:
            model.promised.append(need)
            model.held += beyond

    @precondition(lambda self: any(model.held for model in self.models))
    @rule(data=st.data(), need=NEEDS, may=st.booleans())
    def wake(self, data: st.DataObject, need: str, may: bool) -> None:
        model = self.chosen(data)
        model.real.gate = lambda flow: may
        if model.promised != [need]:
            model.promised = []
        expected = may and (model.promised == [need] or self.has_thread(need))
        assert model.real.suits(ANY, need) is expected
        if expected:
            model.promised = [need]

    @precondition(lambda self: any(model.held for model in self.models))
    @rule(data=st.data(), need=NEEDS)
    def hand_on(self, data: st.DataObject, need: str) -> None:
        model = self.chosen(data)
        if need in model.promised:
            model.promised.remove(need)
        elif len(model.promised) == model.held or not self.has_thread(need):
            return  # what was not promised is claimed: only for a slot that is free, and where a thread is
        model.held -= 1
        self.models.append(Model(model.real.hand_on(need), 1, [need]))
        if not model.held and not model.promised:
            self.models.remove(model)

    @precondition(lambda self: any(model.held for model in self.models))
    @rule(data=st.data(), need=NEEDS)
    def begin(self, data: st.DataObject, need: str) -> None:
        model = self.chosen(data)
        model.real.begin(need)
        if need in model.promised:
            model.promised.remove(need)

    @precondition(lambda self: any(model.held for model in self.models))
    @rule(data=st.data(), need=NEEDS | st.just(""))
    def keep(self, data: st.DataObject, need: str) -> None:
        model = self.chosen(data)
        model.real.keep(need)
        model.held = 1
        model.promised = [need] if need in model.promised else []

    @precondition(lambda self: any(model.held for model in self.models))
    @rule(data=st.data(), again=st.booleans())
    def release(self, data: st.DataObject, again: bool) -> None:
        model = self.chosen(data)
        self.models.remove(model)
        with model.real:
            if again:
                model.real.release()

    @invariant()
    def every_slot_and_start_is_held_once(self) -> None:
        assert self.slots.free == self.free
        assert [model.real.held for model in self.models] == [model.held for model in self.models]
        promised = [need for model in self.models for need in model.promised if need.startswith("sync")]
        assert self.admission._totals.total() == len(promised)

    @invariant()
    def a_free_slot_is_told(self) -> None:
        assert not (self.starved and self.slots.free)

    def teardown(self) -> None:
        for model in self.models:
            model.real.release()
        assert self.slots.free == SLOTS
        assert self.admission._totals.total() == 0


Reservations.TestCase.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
test_reservations = Reservations.TestCase
