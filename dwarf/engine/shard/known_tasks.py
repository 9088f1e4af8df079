"""Which tasks this engine and the other engines of a shard know, and messages about tasks that no engine knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from dwarf.core.plan import Plan, any_has_labels, labels_told, need_of, parts_of
from dwarf.engine.service import Service
from dwarf.engine.shard.context import EngineContext
from dwarf.engine.telemetry.health import Health
from dwarf.errors import DwarfError, TaskNotFound
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.known_tasks import (
    UnderWay,
    due_steps_of,
    forget_tasks,
    renew_tasks,
    tasks_of_due_steps,
    tasks_of_others,
    tell_tasks,
    under_way,
)
from dwarf.storage.operations.unit_of_work import WriterIdentity
from dwarf.storage.operations.unknown_tasks import bring_back, is_mark, set_aside, tasks_set_aside
from dwarf.workflow.status import Status
from dwarf.workflow.suggest import common_name, did_you_mean, moved_task, near_task

LOOK_S = 2.0  # between looks at what the host knows
RENEW_S = 20.0
LOG_AGAIN_S = 60.0
_ANY = "*"  # stands for every executor: the host cannot list its own
_LACKS = "="  # before the executor that a task asks for by itself, and that its host does not have


class KnownTasks(Service):
    """Publishes the tasks of this engine to the others, and finds the tasks of a flow that no engine knows."""

    name = "dwarf-known-tasks"

    def __init__(
        self,
        context: EngineContext,
        writer: WriterIdentity,
        database: Database,
        health: Health,
        look_for_work: Callable[[], None],
    ) -> None:
        super().__init__()
        self._host = context.host
        self._admission = context.admission
        self._workers = context.settings.workers
        self._label_sets = context.settings.label_sets
        self._log = context.telemetry.log
        self._writer = writer
        self._database = database
        self._health = health
        self._look_for_work = look_for_work
        self._told: frozenset[str] | None = None
        self._told_at = 0.0
        self._logged: dict[str, float] = {}
        self._setting_aside: asyncio.Task[None] | None = None
        self._aside_due = 0.0
        self._left = False

    async def enter(self) -> None:
        """Publish the tasks before any work starts. An engine without workers publishes nothing."""
        if self._workers:
            await self._tell()

    def first_pause(self) -> float:
        """``enter`` has published already."""
        return LOOK_S

    def start(self) -> None:
        """Start to compare the host's tasks with the published ones."""
        if self._workers:
            super().start()

    async def aclose(self) -> None:
        """Withdraw what was published."""
        self._left = True
        if self._setting_aside is not None:
            self._setting_aside.cancel()
            await asyncio.wait({self._setting_aside})
        await super().aclose()
        if self._task is None:
            return
        with suppress(DwarfError, TimeoutError):
            async with asyncio.timeout(2 * LOOK_S):
                await self._database.write(lambda: forget_tasks(self._writer.engine_id))

    async def turn(self) -> float:
        """Publish the tasks again if they have changed, and occasionally if not."""
        if self._known() != self._told:
            await self._tell()
        elif time.monotonic() - self._told_at > RENEW_S:
            self._told_at = time.monotonic()
            if self._database.registers:
                await self._database.write(lambda: renew_tasks(self._writer.engine_id))
            await self._bring_back()  # another engine may have learnt of this task too late
        return LOOK_S

    def failed(self, error: Exception) -> float:
        """Note the failure for health checks. The next turn publishes again."""
        self._health.failed(error)
        return LOOK_S

    def _known(self) -> frozenset[str] | None:
        """The needs that this engine can meet; None if the host cannot tell."""
        host = self._host
        urls = host.task_urls()
        if urls is None:
            return None
        places = {url: host.executors_for(url) for url in urls}
        lacking = {url: parts_of(need)[1] for url in urls if (need := self._admission.lacks(url))}
        return (urls - lacking.keys()).union(
            (need_of(url, _LACKS + name) for url, name in lacking.items()),  # it is known, and does not run here
            (need_of(url, name) for url, names in places.items() for name in ((_ANY,) if names is None else names)),
            map(labels_told, self._label_sets[-1:]),  # the last set contains all labels
        )

    async def _tell(self) -> None:
        known = self._known()
        await self._database.write(lambda: tell_tasks(self._writer.engine_id, known))
        self._told, self._told_at = known, time.monotonic()
        await self._bring_back()

    async def _bring_back(self) -> None:
        """Restore the steps that were set aside and whose needs an engine can meet by now."""
        database, admission = self._database, self._admission
        for mark, need in await database.read(tasks_set_aside):
            if admission.has(need) or admission.by_name(need):
                while await database.write(partial(bring_back, mark)):
                    pass
                self._look_for_work()

    async def _set_aside(self, needs: Sequence[str]) -> None:
        """Set aside the steps whose needs no living engine can meet, if there are many."""
        with suppress(DwarfError):  # the steps are found again at the next search
            for need in await self._missing(needs):
                began = time.monotonic()
                while await self._database.write(partial(set_aside, need)):
                    await asyncio.sleep(time.monotonic() - began)  # a pause as long as the write, for other writers
                    began = time.monotonic()

    async def unknown(self, needs: Iterable[str]) -> list[str]:
        """What neither this host nor another living engine has of what steps need: tasks, or tasks with executors."""
        return list(dict.fromkeys((await self._missing(needs)).values()))

    async def _missing(self, needs: Iterable[str]) -> dict[str, str]:
        """The needs of steps that no living engine can meet, and what each lacks.

        A step whose node names no executor needs its task; its function may ask for an executor by itself.
        """
        admission = self._admission
        runs = self._workers  # an engine without workers may have the executor but does not use it
        lacking = {
            need: admission.lacks(need) if runs or not parts_of(need)[1] else need
            for need in needs
            if not admission.by_name(need)
        }
        lacking = {need: lack for need, lack in lacking.items() if lack}
        others = await self._told_by_others() if lacking else None
        if others is None:
            return {}
        known = {parts_of(told)[0] for told in others}

        def met(need: str, lack: str) -> bool:
            url, executor = parts_of(lack)
            if not executor:
                return url in known
            return need in others or not others.isdisjoint((lack, need_of(url, _ANY)))

        return {need: lack for need, lack in lacking.items() if not met(need, lack)}

    async def _told_by_others(self) -> set[str] | None:
        renewed = self._database.registers
        return await self._database.read(lambda: tasks_of_others(self._writer.engine_id, renewed=renewed))

    async def require(self, plan: Plan) -> None:
        """TaskNotFound if a flow of this graph would wait for a task that no engine knows."""
        if not self._workers:
            return
        asked = {node.url: node.name for node in plan.graph.nodes if not _is_elsewhere(node)}
        for url in await self.unknown(url for url in asked if not self._admission.knows(url)):
            others = [node.name for node in plan.graph.nodes if node.name != asked[url]] if asked[url] == url else []
            hint = did_you_mean(url, others).replace("you mean", "you mean the node")  # a slip in the graph's wiring
            hint = hint or near_task(url, self._host.task_urls() or ())
            raise TaskNotFound(
                f"graph {plan.name!r}: node {asked[url]!r} needs the task {url!r}, which neither this host nor another "
                f"living engine knows{hint or '.'} Register it first, or create the flow with "
                "check_tasks=False, to have it wait for a process that knows the task"
            )

    async def waiting(self) -> dict[str, str]:
        """The tasks that due steps of this shard wait for and no engine can run, each with a sentence about it."""
        due = await self._database.read(tasks_of_due_steps)
        due += [stray.url for stray in await self._database.read(tasks_set_aside)]
        known = self._host.task_urls() or ()
        return {parts_of(need)[0]: waits_for(need, known) for need in await self.unknown(due)}

    async def of_flow(self, flow_id: int) -> str:
        """The end of a sentence about a flow: what it waits for and no process has, otherwise where it is; or ""."""
        stuck = await self.stuck(flow_id)
        if not stuck:
            return whereabouts(await self._database.read(lambda: under_way(flow_id)))
        return "".join(f"; its step {node!r} {waits}" for node, waits in stuck)

    async def stuck(self, flow_id: int) -> list[tuple[str, str]]:
        """The nodes of due steps that no living engine can run, with the reason; one node for each reason."""
        due = await self._database.read(lambda: due_steps_of(flow_id))
        known = self._host.task_urls() or ()
        lacks = self._admission.lacks
        nodes = {
            need or one.task_url: one.node for one in reversed(due) for need in (one.task_url, lacks(one.task_url))
        }
        unknown = await self.unknown(one.task_url for one in due)
        found = [(nodes[need], waits_for(need, known)) for need in unknown]
        asked: dict[str, str] = {}
        for one in due:
            if one.labels and not is_mark(one.labels):
                asked.setdefault(one.labels, one.node)
        own = self._label_sets if self._workers else ()
        if not asked.keys() <= set(own) and (others := await self._told_by_others()) is not None:
            lacking = [wanted for wanted in asked if wanted not in own and not any_has_labels(others, wanted)]
            found += [(asked[wanted], waits_for_labels(wanted.split(","))) for wanted in lacking]
        return found

    async def note(self, needs: Iterable[str]) -> None:
        """Log, once a minute for each need, that steps wait for something no engine has. Set them aside if many."""
        needs, now = list(needs), time.monotonic()
        idle = self._setting_aside is None or self._setting_aside.done()
        if idle and not self._left and now >= self._aside_due:  # a few that stay due are found at every search
            self._aside_due = now + LOOK_S
            self._setting_aside = asyncio.create_task(self._set_aside(needs), name="dwarf-unknown-tasks")
        fresh = [need for need in needs if now - self._logged.get(need, -LOG_AGAIN_S) >= LOG_AGAIN_S]
        self._logged.update(dict.fromkeys(fresh, now))
        for need in await self.unknown(fresh):
            known = self._host.task_urls() or ()
            self._log.warning("shard %s: a step %s", self._writer.shard, waits_for(need, known))


def waits_for(need: str, known: Collection[str]) -> str:
    """What a step with an unknown task or executor does, and the fix if the task was renamed."""
    url, executor = parts_of(need)
    if executor and url in known:
        return (
            f"waits for a process that has the executor {executor!r}: its task {url!r} asks for it, "
            f"as LocalHost(executors={{{executor!r}: 4}}) makes one of four processes"
        )
    waits = f"waits for a process that knows {url!r}"
    renamed = f"@task(aliases=[{url!r}])"
    here = moved_task(url, known)
    if here is None:
        return f"{waits}{near_task(url, known)}; if the task was renamed: {renamed}"
    scope = url.removesuffix(common_name(url, here)).removesuffix(".")
    return (
        f"{waits}, and here is {here!r}: if its notebook or module was renamed, write __dwarf_scope__ = {scope!r} "
        f"at its top, and run it anew; if the function has moved, mark it with {renamed}"
    )


def waits_for_labels(labels: Sequence[str]) -> str:
    """What a step does whose labels no living engine has together."""
    words = " and ".join(map(repr, labels))
    many = "label" if len(labels) == 1 else "labels"
    return f"waits for a worker with the {many} {words}: Engine(labels={list(labels)})"


def whereabouts(steps: Sequence[UnderWay]) -> str:
    """The end of a sentence about a flow's progress: ``: 'Fit' is running, 3 steps of 'Score' are due``."""
    told = []
    for step in steps:
        many = step.steps > 1
        if step.status == Status.INTERRUPTED:
            doing = "wait for answers" if many else "waits for an answer"
        elif step.status == Status.RUNNING:
            doing = "wait for their child flows" if many else "waits for its child flow"
            if not step.parked:
                doing = "are running" if many else "is running"
        elif step.later:
            doing = "sleep, or wait for their next attempts" if many else "sleeps, or waits for its next attempt"
        else:
            doing = "are due" if many else "is due"
            if step.labels:
                doing += f" for an engine with the labels {step.labels}"
        told.append(f"{step.steps:,} steps of {step.node!r} {doing}" if many else f"{step.node!r} {doing}")
    return f": {', '.join(told)}" if told else ""


def _is_elsewhere(node: Any) -> bool:
    """Whether a node is meant for replicas of a kind that may not be running yet."""
    return bool(getattr(node, "labels", ()) or getattr(node, "executor", ""))
