"""Which flows came of a flow? The flows of its thread as a tree, told apart by what was changed and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dwarf.errors import DwarfError, InvalidRequest
from dwarf.notebook.analysis.reading import all_steps
from dwarf.notebook.analysis.tree import draw_branches, tree_text
from dwarf.workflow.results import NO_TIME, FlowSummary, Outcome, Step
from dwarf.workflow.values import state_to_json
from dwarf.workflow.values.meaning import same

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.engine import Engine
    from dwarf.notebook.pictures.svg import Svg
    from dwarf.notebook.run import Run

__all__ = ["Branch", "Branches", "plant", "read_branches"]

MOST = 200  # flows of a thread, the newest


@dataclass(frozen=True, slots=True)
class Branch:
    """A flow of a thread.

    ``label`` is its place in the tree, such as "1.2" for the second flow that was made from the first; ``kind`` is
    started, continued or forked, and ``at`` the node of a fork. ``changed`` are the fields of the state that were
    changed there, ``differs`` the fields of its final state that are not as in its parent's.

    Example::

        branch = run.branches["1.2"]
        print(branch.kind, branch.at, branch.changed)
    """

    label: str
    parent: str
    kind: str
    at: str
    summary: FlowSummary
    outcome: Outcome
    duration: timedelta | None = None
    changed: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    differs: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """How far it stands from the root."""
        return self.label.count(".")


class Branches:
    """The flows of a thread. Shown, a tree with a table beside it; ``frame`` is the table as a DataFrame.

    ``branches["1.2"]`` is the Run of a branch; ``own`` is the label of the run that was asked.

    Example::

        tree = run.branches
        tree.frame.sort_values("result.score")
    """

    def __init__(self, open_run: Callable[[str], Run], found: Sequence[Branch], own: str) -> None:
        self._open_run = open_run
        self._found = tuple(found)
        self.own = own

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Branch]:
        return iter(self._found)

    def __getitem__(self, label: str) -> Run:
        for each in self._found:
            if each.label == label:
                return self._open_run(each.summary.flow_key)
        raise InvalidRequest(
            f"there is no branch {label!r}; these are: {', '.join(each.label for each in self._found)}"
        )

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each branch; the fields that differ anywhere stand in columns named ``result.<field>``."""
        from dwarf.notebook.analysis.frames import branches_frame

        return branches_frame(self._found)

    def picture(self) -> Svg:
        """The tree with the table beside it."""
        return draw_branches(self._found, self.own)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return dict(self.picture()._repr_mimebundle_())
        except Exception:  # noqa: BLE001  a display that fails would fail the cell
            return {"text/plain": repr(self)}

    def __repr__(self) -> str:
        return tree_text(self._found, self.own)


async def read_branches(engine: Engine, flow_key: str) -> tuple[list[Branch], str]:
    """The flows of a flow's thread as a tree, each after its parent, and the label of the flow itself."""
    summaries = [each async for each in engine.flows(thread=flow_key, limit=MOST)]
    histories: dict[str, Sequence[Step]] = {}
    outcomes: dict[str, Outcome] = {}
    for each in list(summaries):
        try:
            handle = engine.flow(each.flow_key)
            histories[each.flow_key] = list(all_steps(await handle.history()))
            outcomes[each.flow_key] = await handle.snapshot()
        except DwarfError:  # deleted meanwhile
            summaries.remove(each)
    found = plant(summaries, histories, outcomes)
    told = []
    for branch in found:
        parent = next((each for each in found if each.label == branch.parent), None)
        told.append(branch if parent is None else await _compared(engine, branch, parent, histories))
    own = next((each.label for each in told if each.summary.flow_key == flow_key), "")
    return told, own


def plant(
    summaries: Sequence[FlowSummary], histories: Mapping[str, Sequence[Step]], outcomes: Mapping[str, Outcome]
) -> list[Branch]:
    """The tree of the flows of a thread.

    A fork stands under the flow whose step it was forked from, a further turn under the turn before it.
    """
    ordered = sorted(summaries, key=lambda each: (each.created_at, each.forked_from))
    owner = {step.id: (each.flow_key, step.node) for each in ordered for step in histories[each.flow_key]}
    children: dict[str, list[tuple[FlowSummary, str, str]]] = {}
    last = ""
    for each in ordered:
        if each.forked_from:
            parent, node = owner.get(each.forked_from, ("", ""))
            children.setdefault(parent, []).append((each, "forked", node))
        else:
            children.setdefault(last, []).append((each, "continued" if last else "started", ""))
            last = each.flow_key
    made: list[Branch] = []

    def grow(key: str, label: str) -> None:
        for number, (each, kind, node) in enumerate(children.get(key, ()), 1):
            own = f"{label}.{number}" if label else str(number)
            outcome, steps = outcomes[each.flow_key], histories[each.flow_key]
            took = _duration(each, outcome, steps)
            made.append(Branch(own, label, kind, at=node, summary=each, outcome=outcome, duration=took))
            grow(each.flow_key, own)

    grow("", "")
    return made


def _duration(summary: FlowSummary, outcome: Outcome, steps: Sequence[Step]) -> timedelta | None:
    """From the creation to the last change of a step; what a fork took over is older than itself."""
    if not outcome.status.terminal or summary.created_at <= NO_TIME:
        return None
    end: datetime = max((step.updated_at for step in steps), default=summary.updated_at)
    return max(end - summary.created_at, timedelta())


async def _compared(engine: Engine, branch: Branch, parent: Branch, histories: Mapping[str, Sequence[Step]]) -> Branch:
    changed: Mapping[str, tuple[Any, Any]] = {}
    if branch.kind == "forked":
        before = next(
            (step for step in histories[parent.summary.flow_key] if step.id == branch.summary.forked_from), None
        )
        after = None if before is None else _same_place(before, histories[branch.summary.flow_key])
        if before is not None and after is not None:
            old, new = await engine.step(before.key), await engine.step(after.key)
            changed = _difference(old.state or {}, new.state or {})
            if not changed and after.started_at == before.started_at:  # it was not run again: its result was changed
                changed = _difference(old.changes or {}, new.changes or {})
    differs = {}
    if branch.outcome.status.terminal and parent.outcome.status.terminal:
        differs = _difference(parent.outcome.state, branch.outcome.state)
    return replace(branch, changed=changed, differs=differs)


def _same_place(step: Step, others: Sequence[Step]) -> Step | None:
    """The copy of a step: of the same node, depth and branch."""
    place = (step.node, step.depth, step.ordinal)
    return next((each for each in others if (each.node, each.depth, each.ordinal) == place), None)


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields that are not the same, each with its two values, None for one that is not there."""
    first, second = state_to_json(old), state_to_json(new)
    return {
        name: (old.get(name), new.get(name))
        for name in dict.fromkeys([*first, *second])
        if not same(first.get(name), second.get(name))
    }
