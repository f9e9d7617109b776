"""Events of the kernel for whoever watches: calls that do not exist here, signals that nobody caught.

Best effort: a watcher that is slow or gone costs events, never time. Unimplemented calls are limited to 100 a second,
1000 at once.
"""

from typing import TYPE_CHECKING, Final

from sentry_abi.errors import ESRCH
from sentry_eventchannel import Amd64Registers, MultiEmitter, RateLimitedEmitter, UncaughtSignal, UnimplementedSyscall

if TYPE_CHECKING:
    from sentry.kernel.siginfo import SigInfo
    from sentry.kernel.task import Task
    from sentry_eventchannel import Emitter

RATE: Final = 100
BURST: Final = 1000
NAMES: Final = {"rflags": "eflags"}


class Events:
    """Where a kernel's events go."""

    __slots__ = ("_all", "_unimplemented")

    def __init__(self, emitter: "Emitter") -> None:
        """Send to emitter, which is closed with this."""
        self._all = MultiEmitter()
        self._all.add(emitter)
        self._unimplemented = RateLimitedEmitter(self._all, RATE, BURST)

    @staticmethod
    def _registers(task: "Task") -> Amd64Registers | None:
        try:
            regs = task.hold()
        except ESRCH:
            return None
        return Amd64Registers(*[getattr(regs, NAMES.get(name, name)) for name in Amd64Registers._fields])

    def unimplemented(self, task: "Task") -> None:
        """Tell of a call that does not exist here (gVisor: EmitUnimplementedEvent)."""
        if self._all:
            self._unimplemented.emit(UnimplementedSyscall(task.tid, self._registers(task)))

    def uncaught(self, task: "Task", info: "SigInfo", *, held: bool) -> None:
        """Tell of a signal that ends a group; registers only of a thread that is held or in a call."""
        if self._all:
            registers = self._registers(task) if held else None
            self._all.emit(UncaughtSignal(task.tid, task.group.tgid, registers, info.signo, info.addr))

    def close(self) -> None:
        """Close what it sends to."""
        self._all.close()
