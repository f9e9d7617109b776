"""Timers on CPU time: ITIMER_VIRTUAL, ITIMER_PROF, POSIX timers on CPU clocks, RLIMIT_CPU.

The host counts the CPU time of guest threads; nobody tells us when it passes a mark. A ticker looks every 10 ms, as
long as a group has something to look for. All time counts as user time, because the work that the kernel does for a
guest is the sentry's; so the two interval timers run alike.

Sources: setitimer(2), getrlimit(2) RLIMIT_CPU; Linux kernel/time/posix-cpu-timers.c; facts section 8.11.
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel.siginfo import SigInfo
from sentry_abi.resource import RLIM_INFINITY, RLIMIT_CPU
from sentry_abi.signal import SI_KERNEL, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU
from sentry_abi.time import ITIMER_PROF, ITIMER_VIRTUAL
from sentry_ktime import due

if TYPE_CHECKING:
    from sentry.kernel.group import ThreadGroup
    from sentry.kernel.kernel import Kernel

TICK_NS: Final = 10_000_000
SECOND: Final = 1_000_000_000
SIGNALS: Final = {ITIMER_VIRTUAL: SIGVTALRM, ITIMER_PROF: SIGPROF}


class CpuMark:
    """Something that is due when a group (or one of its threads) has used so much CPU time."""

    __slots__ = ("interval_ns", "next_ns")

    def __init__(self) -> None:
        """Make a disarmed mark."""
        self.next_ns = 0
        self.interval_ns = 0

    def take(self, used_ns: int) -> int:
        """Return how many times it was due by now, and move on."""
        if not self.next_ns or used_ns < self.next_ns:
            return 0
        count, self.next_ns = due(self.next_ns, self.interval_ns, used_ns)
        return count


class Ticker:
    """Looks at CPU times while anybody has a mark."""

    __slots__ = ("_watched", "kernel", "timer_seq")

    def __init__(self, kernel: "Kernel") -> None:
        """Watch nobody."""
        self.kernel = kernel
        self.timer_seq = 0
        self._watched: dict[ThreadGroup, None] = {}

    def watch(self, group: "ThreadGroup") -> None:
        """Look at a group from now on; it is forgotten once it has no mark."""
        self._watched[group] = None
        if not self.timer_seq:
            self._arm()

    def _arm(self) -> None:
        self.kernel.timers.arm(self, self.kernel.clock.monotonic_ns() + TICK_NS)

    def expired(self, now_ns: int) -> None:
        """Look at every watched group."""
        del now_ns
        for group in list(self._watched):
            if not self._look(group):
                del self._watched[group]
        if self._watched:
            self._arm()

    def _look(self, group: "ThreadGroup") -> bool:
        """Send what is due; return whether there is still something to wait for."""
        if group.exiting or not group.tasks:
            return False
        used = group.cpu_time_ns()
        signals = self.kernel.signals
        for which, mark in group.cpu_marks.items():
            if mark.take(used):
                signals.send_group(group, SigInfo(SIGNALS[which], SI_KERNEL))
        waiting = any(mark.next_ns for mark in group.cpu_marks.values())
        for timer in list(group.posix_timers.values()):
            waiting |= timer.tick()
        return waiting | self._limit(group, used)

    def _limit(self, group: "ThreadGroup", used: int) -> bool:
        """Hold a group to RLIMIT_CPU: SIGXCPU each second over the soft limit, SIGKILL at the hard one."""
        soft, hard = group.limits.get(RLIMIT_CPU)
        if soft == hard == RLIM_INFINITY:
            return False
        seconds = used // SECOND
        if hard != RLIM_INFINITY and seconds >= hard:
            self.kernel.exits.begin_group_exit(group, SIGKILL)
        elif soft != RLIM_INFINITY and seconds >= max(soft, group.cpu_warned + 1):
            group.cpu_warned = seconds
            self.kernel.signals.send_group(group, SigInfo(SIGXCPU, SI_KERNEL))
        return True


def mark_of(group: "ThreadGroup", which: int) -> CpuMark:
    """Return a group's ITIMER_VIRTUAL or ITIMER_PROF."""
    mark = group.cpu_marks.get(which)
    if mark is None:
        mark = group.cpu_marks[which] = CpuMark()
    return mark
