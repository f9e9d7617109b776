"""Pausing the whole kernel: no guest code runs and no call is served until it is let go.

A pause is not a signal and nobody sees it (rule R5): running threads are stopped, what had just been called stays
unanswered, what waits stays parked, and all goes on where it stood. Pauses nest.
"""

from threading import Event, get_ident
from typing import TYPE_CHECKING, Final

from sentry_platform import EVENT, EventKind

if TYPE_CHECKING:
    from sentry.kernel.kernel import Kernel

INTERRUPTED: Final = int(EventKind.INTERRUPTED)
WAKE: Final = int(EventKind.WAKE)


class Freezer:
    """Pauses of one kernel."""

    __slots__ = ("_count", "_standing", "kernel")

    def __init__(self, kernel: "Kernel") -> None:
        """Serve one kernel, which runs."""
        self.kernel = kernel
        self._count = 0
        self._standing = Event()

    @property
    def paused(self) -> bool:
        """Whether the kernel is to stand still."""
        return self._count > 0

    def pause(self) -> None:
        """Count one pause more; return when no guest code runs.

        From any thread but the kernel's, or before the loop runs.
        """
        loop = self.kernel.loop
        self._count += 1
        if not loop.running:
            return
        if loop.thread == get_ident():
            message = "the kernel thread cannot wait for itself to pause"
            raise RuntimeError(message)
        self.kernel.platform.wake(1)
        self._standing.wait()

    def unpause(self) -> None:
        """Count one pause less; the last one lets the kernel go on.

        Raises: RuntimeError without a pause.
        """
        if not self._count:
            message = "unpause without pause"
            raise RuntimeError(message)
        self._count -= 1
        if not self._count and self.kernel.loop.running:
            self._standing.clear()
            self.kernel.platform.wake(1)

    def stand(self) -> list[tuple[int, tuple[int, ...]]]:
        """Stand still on the kernel thread until the last pause is over; return the events that came meanwhile."""
        kernel = self.kernel
        platform = kernel.platform
        events: list[tuple[int, tuple[int, ...]]] = []
        for task in kernel.loop.tasks.values():
            if task.context.running():
                task.context.interrupt()
        while self._count:
            if not self._standing.is_set() and not any(t.context.running() for t in kernel.loop.tasks.values()):
                self._standing.set()
                if not self._count:
                    break
            kind = platform.next_event(-1, 0, -1)
            fields = EVENT.unpack_from(platform.event)
            if kind == WAKE and not fields[2]:
                kernel.loop.run_calls()
            else:
                events.append((kind, fields))
        self._standing.clear()
        return events
