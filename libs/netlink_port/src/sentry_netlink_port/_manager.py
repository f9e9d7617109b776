"""Netlink port ids: which are in use, for each protocol.

A socket asks for its process id and gets it while it is free. Further sockets of a process get negative ids, searched
from a random number downwards: Linux does the same (net/netlink/af_netlink.c netlink_autobind, 6.1), so that ids of
processes stay free for them.
"""

from _thread import allocate_lock
from collections.abc import Callable
from typing import Final

MAX_PORTS: Final = 10_000
"""Ids of one protocol at most, the kernel's own 0 among them."""

LOWEST: Final = -(1 << 31)
"""The last id of a search, after which it continues at HIGHEST."""

HIGHEST: Final = -4097
"""The first id of a search; -4096 to -1 are never given out, since C code takes them for errors."""


class PortError(Exception):
    """Wrong use: a number that is no port id, or a release of one that is not in use."""


class Manager:
    """Port ids in use. Thread-safe.

    Linux: netlink(7), nl_pid.
    """

    __slots__ = ("_lock", "_ports", "random_bytes")

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """Begin with no id in use but the kernel's; random_bytes returns that many random bytes."""
        self._lock = allocate_lock()
        self._ports: dict[int, set[int]] = {}  # guarded by _lock
        self.random_bytes = random_bytes
        """Gives the number where a search begins; to be set after a load."""

    def allocate(self, protocol: int, hint: int) -> int | None:
        """Take a port id of protocol and return it: hint when free, else a negative one; None when all are taken.

        hint is any signed integer of 32 bits, usually a process id. At the limit not even a free hint is given.

        Raises: PortError for a hint of more than 32 bits.
        """
        if not LOWEST <= hint < 1 << 31:
            message = f"port id {hint} is no signed integer of 32 bits"
            raise PortError(message)
        with self._lock:
            ports = self._ports.get(protocol)
            if ports is None:
                ports = self._ports[protocol] = {0}
            if len(ports) >= MAX_PORTS:
                return None
            port = hint if hint not in ports else self._search_locked(ports)
            ports.add(port)
            return port

    def release(self, protocol: int, port: int) -> None:
        """Give a port id back. Raises: PortError when it is not in use, or is the kernel's 0."""
        with self._lock:
            ports = self._ports.get(protocol)
            if ports is None or port not in ports or port == 0:
                message = f"port id {port} of netlink protocol {protocol} is not in use"
                if port == 0:
                    message = "port id 0 is the kernel's and is never released"
                raise PortError(message)
            ports.remove(port)

    def in_use(self, protocol: int) -> frozenset[int]:
        """Return the ids of protocol that are taken, 0 among them."""
        with self._lock:
            return frozenset(self._ports.get(protocol, (0,)))

    def after_load(self) -> None:
        """Refuse what no manager can hold. Raises: PortError."""
        for protocol, ports in self._ports.items():
            sound = isinstance(ports, set) and 0 in ports and len(ports) <= MAX_PORTS
            if not sound or not all(isinstance(port, int) and LOWEST <= port < 1 << 31 for port in ports):
                message = f"the port ids of netlink protocol {protocol!r} make no sense"
                raise PortError(message)

    def _search_locked(self, ports: set[int]) -> int:
        """Return a free negative id. Requires: fewer than MAX_PORTS in use, so that there is one."""
        # 2**31 - 4096 ids of 2**32 numbers: the bias does not matter.
        port = LOWEST + int.from_bytes(self.random_bytes(4), "little") % (HIGHEST - LOWEST + 1)
        while port in ports:
            port = port - 1 if port > LOWEST else HIGHEST
        return port
