"""Allocator of netlink port ids, per protocol. Floor 3; thread-safe, one lock, which calls nothing but `random`."""

from sentry_netlink_port._manager import HIGHEST, LOWEST, MAX_PORTS, Manager, PortError

__all__ = ["HIGHEST", "LOWEST", "MAX_PORTS", "Manager", "PortError"]
