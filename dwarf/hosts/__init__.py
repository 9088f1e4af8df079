"""How a task is reached."""

from __future__ import annotations

from dwarf.hosts.http import HttpHost as HttpHost
from dwarf.hosts.local import LocalHost as LocalHost
from dwarf.hosts.protocol import Host as Host
from dwarf.hosts.remote import HostUnavailable as HostUnavailable
from dwarf.hosts.remote import RemoteTaskError as RemoteTaskError
from dwarf.hosts.routing import RoutingHost as RoutingHost

__all__ = ["Host", "HostUnavailable", "HttpHost", "LocalHost", "RemoteTaskError", "RoutingHost"]
