"""Readiness of the host's descriptors for wait queues."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentry_platform import Platform
    from sentry_waiter import Queue


class Watcher:
    """Readiness of host files (`sentry_vfs.FdWatcher`), over the platform's one watching thread."""

    __slots__ = ("_platform", "_queues")

    def __init__(self, platform: "Platform") -> None:
        """Begin without descriptors."""
        self._platform = platform
        self._queues: dict[int, Queue] = {}

    def watch(self, fd: int, mask: int, queue: "Queue") -> None:
        """Notify queue once when fd is ready for any bit of mask; at once if the host says that it always is."""
        self._queues[fd] = queue
        if not self._platform.watch(fd, mask):
            self.ready(fd, mask)

    def unwatch(self, fd: int) -> None:
        """Remove fd, before it is closed."""
        if self._queues.pop(fd, None) is not None:
            self._platform.unwatch(fd)

    def ready(self, fd: int, mask: int) -> None:
        """Take an FD event of the platform."""
        queue = self._queues.get(fd)
        if queue is not None:
            queue.notify(mask)
