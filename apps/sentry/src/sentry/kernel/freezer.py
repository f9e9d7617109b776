"""Pausing the whole kernel: no guest code runs and no call is served until it is unpaused.

A pause is not a signal and is invisible inside (rule R5): running threads are interrupted, calls just made stay
unanswered, waits stay parked, and everything continues where it was. Pauses nest.

`freeze` and `thaw` (of the loop) run on the kernel thread. Between them every guest thread has stopped; what the guests
had just done lies in `KernelState.frozen_events`, a saved field, and what comes from outside (descriptors of the host,
calls from other threads) is served, so that "resume" can come through a socket.

`ext_mu` guards the count of pauses and whether the loop serves.
"""

from threading import Condition, get_ident
from typing import TYPE_CHECKING, Final

from sentry.kernel.state import FrozenEvent, KernelBug
from sentry_platform import EVENT, EventKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import KernelState

WAKE: Final = int(EventKind.WAKE)


class Freezer:
    """The pauses of one kernel."""

    __slots__ = ("_count", "_frozen", "_kernel", "_serve_outside", "_thread", "ext_mu")

    def __init__(self, kernel: "KernelState", serve_outside: "Callable[[int, tuple[int, ...]], bool]") -> None:
        """Pause kernel; events that no guest causes go to serve_outside, which returns whether it took one."""
        self.ext_mu: Final = Condition()
        self._kernel = kernel
        self._serve_outside = serve_outside
        self._count = 0
        self._frozen = False
        self._thread = 0
        """The kernel thread while it serves, 0 before and after."""

    @property
    def paused(self) -> bool:
        """Whether the kernel is to be frozen."""
        return self._count > 0

    def begin(self) -> None:
        """Begin to serve, on this thread."""
        with self.ext_mu:
            self._thread = get_ident()

    def end(self) -> None:
        """Serve no more: pauses that wait return."""
        with self.ext_mu:
            self._thread = 0
            self._frozen = False
            self.ext_mu.notify_all()

    def pause(self) -> None:
        """Add one pause; return when no guest code runs. From any thread.

        On the kernel thread it freezes at once, and the loop waits after the event under way.
        """
        with self.ext_mu:
            self._count += 1
            if not self._thread:
                return
            if self._thread == get_ident():
                self.freeze()
                self._kernel.platform.wake(1)  # after the freeze, which takes the wakes that come before its end
                return
            self._kernel.platform.wake(1)
            while self._thread and not self._frozen:
                self.ext_mu.wait()

    def unpause(self) -> None:
        """Remove one pause; the last one resumes the kernel. From any thread.

        Raises: RuntimeError without a pause.
        """
        with self.ext_mu:
            if not self._count:
                message = "unpause without pause"
                raise RuntimeError(message)
            self._count -= 1
            if not self._count and self._thread:
                self._frozen = False
                self._kernel.platform.wake(1)

    def freeze(self) -> None:
        """Interrupt all guest threads and wait until they have stopped, keeping their events.

        Events that the platform had already taken come before the wake, so that none is left in it.
        """
        contexts = self._kernel.contexts
        for task in contexts.values():
            if task.context.running():
                task.context.interrupt()
        self._kernel.platform.wake(1)
        drained = False
        while not drained or any(task.context.running() for task in contexts.values()):
            drained |= self._next_event() == WAKE

    def wait_thawed(self) -> None:
        """Wait, frozen, for the end of the last pause."""
        while True:
            with self.ext_mu:
                if not self._count:
                    self._frozen = False
                    return
                if not self._frozen:
                    self._frozen = True
                    self.ext_mu.notify_all()
            self._next_event()

    def _next_event(self) -> int:
        """Serve or keep one event; return its kind."""
        platform = self._kernel.platform
        kind = platform.next_event(-1, 0, -1)
        fields = EVENT.unpack_from(platform.event)
        if kind < 0:
            message = f"the platform failed with host errno {-kind}"
            raise KernelBug(message)
        if not self._serve_outside(kind, fields):
            self._kernel.frozen_events.append(FrozenEvent(kind, fields))
        return kind


def forget_events(kernel: "KernelState", index: int) -> None:
    """Drop the events that a context made before a freeze: its task ends, and another may get its number."""
    events = kernel.frozen_events
    kept = [event for event in events if event.fields[0] != index]
    if len(kept) != len(events):
        events.clear()
        events.extend(kept)
