"""Signals as data: numbers, sets, what comes with one, and the queues of the pending ones.

A set of signals is an int with bit (signo - 1). Standard signals (1 to 31) are pending at most once per queue,
real-time ones queue up to a limit; the lowest number is dequeued first, FIFO within a number.

Sources: signal(7), sigaction(2), Linux kernel/signal.c, include/uapi/asm-generic/siginfo.h.
"""

from struct import Struct
from typing import Final, NamedTuple

from sentry_abi.signal import (
    SI_TIMER,
    SI_USER,
    SIG_DFL,
    SIG_IGN,
    SIGABRT,
    SIGBUS,
    SIGCHLD,
    SIGCONT,
    SIGFPE,
    SIGILL,
    SIGQUIT,
    SIGRTMAX,
    SIGRTMIN,
    SIGSEGV,
    SIGSTOP,
    SIGSYS,
    SIGTRAP,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGURG,
    SIGWINCH,
    SIGXCPU,
    SIGXFSZ,
    SYNCHRONOUS,
)


def bit(signo: int) -> int:
    """Return the set of one signal."""
    return 1 << (signo - 1)


def bits(*signos: int) -> int:
    """Return the set of these signals."""
    return sum(1 << (signo - 1) for signo in signos)


ALL: Final = (1 << SIGRTMAX) - 1
STOPPING: Final = bits(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)
IGNORED: Final = bits(SIGCHLD, SIGCONT, SIGURG, SIGWINCH)
DUMPING: Final = bits(SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS)
RT_QUEUE_LIMIT: Final = 1024
"""Real-time signals of one number that may wait in one queue. Differs: Linux limits all queued signals of a user by
RLIMIT_SIGPENDING, gVisor to 32 per number."""


class SigAction(NamedTuple):
    """What a group does on a signal."""

    handler: int = SIG_DFL
    flags: int = 0
    restorer: int = 0
    mask: int = 0


DEFAULT_ACTION: Final = SigAction()
SIGACTION: Final = Struct("=QQQQ")
"""struct kernel_sigaction of x86-64: handler, flags, restorer, mask."""


class SigInfo(NamedTuple):
    """siginfo_t, by fields; code and signo select those that the guest sees."""

    signo: int
    code: int = SI_USER
    pid: int = 0
    uid: int = 0
    value: int = 0
    """si_value (64-bit), or si_status for SIGCHLD."""
    addr: int = 0
    utime: int = 0
    stime: int = 0
    timer: int = -1
    overrun: int = 0
    errno: int = 0
    raw: bytes = b""
    """The whole of what rt_sigqueueinfo(2) was given."""

    def pack(self) -> bytes:
        """Return siginfo_t, 128 bytes."""
        if self.raw:
            return self.raw
        head = _HEAD.pack(self.signo, self.errno, self.code)
        if self.code == SI_TIMER:
            body = _TIMER.pack(self.timer, self.overrun, self.value & 0xFFFF_FFFF_FFFF_FFFF)
        elif self.signo == SIGCHLD and self.code > 0:
            body = _CHILD.pack(self.pid, self.uid, self.value, self.utime, self.stime)
        elif self.code > 0 and bit(self.signo) & SYNCHRONOUS:
            body = _FAULT.pack(self.addr)
        else:
            body = _RT.pack(self.pid, self.uid, self.value & 0xFFFF_FFFF_FFFF_FFFF)
        return head + body + bytes(128 - len(head) - len(body))


_HEAD: Final = Struct("=iii4x")
_RT: Final = Struct("=iIQ")
_TIMER: Final = Struct("=iiQ")
_CHILD: Final = Struct("=iIi4xqq")
_FAULT: Final = Struct("=Q")


class SignalQueue:
    """The pending signals of a task or a group."""

    __slots__ = ("_queued", "mask")

    def __init__(self) -> None:
        """Make an empty queue."""
        self.mask = 0
        self._queued: dict[int, list[SigInfo]] = {}

    def push(self, info: SigInfo) -> bool:
        """Queue a signal; False when a real-time queue is full. A standard signal that waits already swallows it."""
        signo = info.signo
        waiting = self._queued.get(signo)
        if waiting is None:
            self._queued[signo] = [info]
            self.mask |= 1 << (signo - 1)
        elif signo >= SIGRTMIN:
            if len(waiting) >= RT_QUEUE_LIMIT:
                return False
            waiting.append(info)
        return True

    def pop(self, allowed: int) -> SigInfo | None:
        """Take the next signal out of the set allowed.

        Faults of the thread itself come first (dequeue_synchronous_signal).
        """
        ready = self.mask & allowed
        if not ready:
            return None
        first = ready & SYNCHRONOUS or ready
        signo = (first & -first).bit_length()
        waiting = self._queued[signo]
        info = waiting.pop(0)
        if not waiting:
            del self._queued[signo]
            self.mask &= ~(1 << (signo - 1))
        return info

    def discard(self, signals: int) -> None:
        """Drop all pending signals of a set."""
        hit = self.mask & signals
        if hit:
            self.mask &= ~hit
            for signo in [s for s in self._queued if hit >> (s - 1) & 1]:
                del self._queued[signo]

    def replace(self, signo: int, timer: int, info: SigInfo) -> bool:
        """Put info in place of the queued signal of the same POSIX timer; False if there is none."""
        for i, waiting in enumerate(self._queued.get(signo, ())):
            if waiting.timer == timer and waiting.code == SI_TIMER:
                self._queued[signo][i] = info
                return True
        return False


class SignalHandlers:
    """The actions of a thread group; shared by CLONE_SIGHAND."""

    __slots__ = ("actions",)

    def __init__(self) -> None:
        """Start with default actions."""
        self.actions: dict[int, SigAction] = {}

    def get(self, signo: int) -> SigAction:
        """Return the action for a signal."""
        return self.actions.get(signo, DEFAULT_ACTION)

    def ignored(self, signo: int) -> bool:
        """Return whether the signal is ignored, by its action or by default."""
        handler = self.actions.get(signo, DEFAULT_ACTION).handler
        return handler == SIG_IGN or (handler == SIG_DFL and IGNORED >> (signo - 1) & 1 == 1)

    def copy(self) -> "SignalHandlers":
        """Return an independent copy (fork)."""
        other = SignalHandlers()
        other.actions = dict(self.actions)
        return other

    def after_exec(self) -> "SignalHandlers":
        """Return what stays at execve: ignored signals; handlers become default."""
        other = SignalHandlers()
        other.actions = {s: SigAction(SIG_IGN) for s, a in self.actions.items() if a.handler == SIG_IGN}
        return other
