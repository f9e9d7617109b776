"""Readiness of host descriptors: what files of the host need from the platform."""

from typing import Protocol

from sentry_waiter import Queue


class FdWatcher(Protocol):
    """Watches descriptors of the host without blocking the kernel thread."""

    def watch(self, fd: int, mask: int, queue: Queue) -> None:
        """Notify queue once, with the bits that became true, when fd is ready for any bit of mask.

        A second call for the same descriptor replaces the mask.
        """
        ...

    def unwatch(self, fd: int) -> None:
        """Remove a descriptor, before it is closed."""
        ...
