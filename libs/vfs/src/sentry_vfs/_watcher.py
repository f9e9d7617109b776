"""What files of the host need from above: to be told when a descriptor of the host is ready."""

from typing import Protocol

from sentry_waiter import Queue


class FdWatcher(Protocol):
    """Watches descriptors of the host without a thread of the kernel waiting."""

    def watch(self, fd: int, mask: int, queue: Queue) -> None:
        """Notify queue once, with the bits that became true, when fd is ready for any bit of mask.

        Asking again for the same descriptor replaces the mask.
        """
        ...

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor before it is closed."""
        ...
