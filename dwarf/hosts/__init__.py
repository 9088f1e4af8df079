"""Hosts: how the engine finds graphs and runs tasks."""

from __future__ import annotations

from dwarf.hosts.http import HttpHost as HttpHost
from dwarf.hosts.local import LocalHost as LocalHost
from dwarf.hosts.remote import HostUnavailable as HostUnavailable
from dwarf.hosts.remote import RemoteTaskError as RemoteTaskError
from dwarf.hosts.routing import RoutingHost as RoutingHost
from dwarf.workflow.host import BaseHost as BaseHost
from dwarf.workflow.host import Host as Host

__all__ = ["BaseHost", "Host", "HostUnavailable", "HttpHost", "LocalHost", "RemoteTaskError", "RoutingHost"]
