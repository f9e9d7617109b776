"""What may watch a kernel.

The class is generic in the kernel's tasks, which know their kernel and it its instrument: so it lies below both.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from sentry.kernel.pending import Bound, Control, Outcome, Pending, Result
from sentry.kernel.siginfo import SigInfo
from sentry_abi.errors import LinuxError, RestartError

TaskT = TypeVar("TaskT")


class Instrument(Generic[TaskT]):
    """Watches a kernel: subclass and override; each method does nothing by default.

    Calls are seen by wrapping the table (`wrap`), so that a run without an instrument pays nothing for them. The other
    points cost one attribute test where they happen. A method must not change what the guest sees.
    """

    __slots__ = ()

    def wrap(self, table: Sequence[Bound]) -> Sequence[Bound]:
        """Return the table of calls; with an entry around each if `entered` or `done` does something."""
        cls = type(self)
        if cls.entered is Instrument.entered and cls.done is Instrument.done:
            return table
        return [self._around(nr, entry) for nr, entry in enumerate(table)]

    def _around(self, nr: int, entry: Bound) -> Bound:
        def seen(task: TaskT, *registers: int) -> Result | Control:
            self.entered(task, nr, registers)
            try:
                result = entry(task, *registers)
            except LinuxError as error:
                self.done(task, nr, -error.errno)
                raise
            except RestartError as restart:
                self.done(task, nr, type(restart))
                raise
            self.done(task, nr, result)
            return result

        return seen

    def entered(self, task: TaskT, nr: int, args: Sequence[int]) -> None:
        """See a call before its handler."""

    def done(self, task: TaskT, nr: int, result: Outcome) -> None:
        """See what a handler returned: a value or -errno, how it waits, a `Control` or a restart class."""

    def parked(self, task: TaskT, pending: Pending) -> None:
        """See a task park, also again after a wake."""

    def resumed(self, task: TaskT, result: Outcome) -> None:
        """See the result of a call that had waited."""

    def signal(self, task: TaskT, info: SigInfo, *, stopped: bool) -> None:
        """See a signal without a handler end the thread group; with `stopped` the task's registers can be read."""

    def fault(self, task: TaskT, info: SigInfo) -> None:
        """See a fault of the guest become a signal."""

    def unimplemented(self, task: TaskT, nr: int) -> None:
        """See an unimplemented call; its result is ENOSYS."""

    def close(self) -> None:
        """Release what is open: the kernel has ended."""
