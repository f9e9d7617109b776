"""Kernel events on a channel: unimplemented calls, signals without a handler that end a process.

Best effort: a reader that is slow or gone costs events, never time. Unimplemented calls are limited to 100 a second,
1000 at once.
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel.instrument import Instrument
from sentry_abi.errors import ESRCH
from sentry_eventchannel import Amd64Registers, MultiEmitter, RateLimitedEmitter, UncaughtSignal, UnimplementedSyscall

if TYPE_CHECKING:
    from sentry.kernel.siginfo import SigInfo
    from sentry.kernel.state import Task
    from sentry_eventchannel import Emitter
    from sentry_host import Host

RATE: Final = 100
BURST: Final = 1000
NAMES: Final = {"rflags": "eflags"}


class Events(Instrument["Task"]):
    """Sends what happens to an emitter."""

    __slots__ = ("_all", "_unimplemented")

    def __init__(self, emitter: "Emitter", host: "Host") -> None:
        """Send to emitter, which is closed with this; host has the clock of the limit."""
        self._all = MultiEmitter()
        self._all.add(emitter)
        self._unimplemented = RateLimitedEmitter(self._all, RATE, BURST, host.monotonic_ns)

    @staticmethod
    def _registers(task: "Task") -> Amd64Registers | None:
        try:
            regs = task.hold()
        except ESRCH:
            return None
        return Amd64Registers(*[getattr(regs, NAMES.get(name, name)) for name in Amd64Registers._fields])

    def unimplemented(self, task: "Task", nr: int) -> None:
        """Send UnimplementedSyscall (gVisor: EmitUnimplementedEvent)."""
        if self._all:
            self._unimplemented.emit(UnimplementedSyscall(task.tid, self._registers(task)))

    def signal(self, task: "Task", info: "SigInfo", *, stopped: bool) -> None:
        """Send UncaughtSignal, with registers if the task's can be read."""
        if self._all:
            registers = self._registers(task) if stopped else None
            self._all.emit(UncaughtSignal(task.tid, task.group.tgid, registers, info.signo, info.addr))

    def close(self) -> None:
        """Close the emitter."""
        self._all.close()
