"""Sizes that Linux sets by default (sysctl vm.*), and what mm asks of a thread group's resource limits."""

from typing import Final, Protocol

from sentry_abi.resource import RLIM_INFINITY

MMAP_MIN_ADDR: Final = 65536
"""Lowest address that can be mapped (vm.mmap_min_addr)."""
MAX_MAP_COUNT: Final = 65530
"""VMAs of one address space (vm.max_map_count)."""
STACK_GUARD_GAP: Final = 256 << 12
"""Bytes that stay free below a stack."""
EAGER_STACK: Final = 8 << 20
"""How much of a stack is mapped at once."""


class Limits(Protocol):
    """Resource limits of a thread group."""

    def soft(self, resource: int, /) -> int:
        """Return the soft limit; 2^64 - 1 for none."""
        ...


class NoLimits:
    """Limits that never bite."""

    __slots__ = ()

    def soft(self, resource: int, /) -> int:
        """Return no limit."""
        del resource
        return RLIM_INFINITY
