"""The hosts of this package pass the check for hosts of users, and the check finds what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from dwarf import Flow, Graph
from dwarf.errors import TaskNotFound
from dwarf.hosts import BaseHost, HttpHost, LocalHost, RoutingHost
from dwarf.hosts.asgi import task_app
from dwarf.testing import HostFaults, check_host, host_tasks
from tests.support.web import website

TASKS = ["results", "control calls", "errors", "cancellation"]


def test_hosts_of_this_process_pass() -> None:
    executors = LocalHost(executors={"away": 2})
    for host in (LocalHost(), RoutingHost({"": LocalHost(), "far/": BaseHost()}), executors):
        assert check_host(host).tried == ("unknown names", "capabilities", *TASKS, "registering", "room")
    executors.close()


def test_a_host_of_tasks_elsewhere_passes() -> None:
    far = LocalHost()
    for url, function in host_tasks().items():
        far.add_task(url, function)
    with website(task_app(far, token="a-secret")) as site:
        host = HttpHost(site.url, token="a-secret")
        check = check_host(RoutingHost({"": host}))
    assert check.tried[-4:] == tuple(TASKS)
    assert check.left_out == {"registering, room": "it takes no functions"}


async def test_a_host_with_nothing_passes_where_a_loop_runs() -> None:
    check = await check_host(BaseHost())
    assert "tasks" in check.left_out


class Careless:
    """Runs functions as it likes."""

    def __init__(self) -> None:
        self._functions: dict[str, Any] = {}

    def add_task(self, url: str, function: Any) -> None:
        self._functions[url] = function

    def task_urls(self) -> frozenset[str]:
        return frozenset(self._functions)

    def knows(self, url: str) -> bool:
        return url in self._functions

    async def load_graph(self, url: str, baggage: Mapping[str, Any]) -> Graph:
        raise KeyError(url)

    async def execute_task(self, url: str, flow: Flow) -> None:
        if url not in self._functions:
            raise TaskNotFound(url)
        try:
            result = self._functions[url](flow)
            if inspect.isawaitable(result):
                await result
        except Exception:
            flow["failed"] = True


def test_faults_are_found() -> None:
    with pytest.raises(HostFaults, match="Careless is not what an engine expects") as caught:
        check_host(Careless())
    faults = "\n".join(caught.value.faults)
    for part in (
        "load_graph of an unknown URL must raise GraphNotFound",
        "what a function returns",
        "what a task raises",
    ):
        assert part in faults
    with pytest.raises(HostFaults, match="execute_task must be an `async def`"):
        check_host(type("Blocking", (BaseHost,), {"execute_task": lambda self, url, flow: None})())
