"""Timers on CPU time: ITIMER_VIRTUAL, ITIMER_PROF, POSIX timers on CPU clocks, RLIMIT_CPU.

The host counts the CPU time of guest threads and raises no event when it passes a mark. A ticker looks every 10 ms
while a group has a timer or a limit. All time counts as user time, because the work that the kernel does for a
guest is the sentry's; so the two interval timers run alike.

Sources: setitimer(2), getrlimit(2) RLIMIT_CPU; Linux kernel/time/posix-cpu-timers.c.
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel.send import send_group
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.signal import start_group_exit
from sentry_abi.resource import RLIM_INFINITY, RLIMIT_CPU
from sentry_abi.signal import SI_KERNEL, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU
from sentry_abi.time import CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, ITIMER_PROF, ITIMER_VIRTUAL
from sentry_ktime import due

if TYPE_CHECKING:
    from sentry.kernel.state import CpuTimer, KernelState, PosixTimer, ThreadGroup

TICK_NS: Final = 10_000_000
SECOND: Final = 1_000_000_000
SIGNALS: Final = {ITIMER_VIRTUAL: SIGVTALRM, ITIMER_PROF: SIGPROF}
CPU_CLOCKS: Final = frozenset((CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID))


class CpuTicker:
    """Looks at CPU times every 10 ms while a group is watched."""

    __slots__ = ("kernel", "timer_seq")

    def __init__(self, kernel: "KernelState") -> None:
        """Make the disarmed ticker of a kernel."""
        self.kernel = kernel
        self.timer_seq = 0

    def expired(self, now_ns: int) -> None:
        """Timer callback: look at every watched group."""
        kernel = self.kernel
        for group in list(kernel.cpu_watched):
            if not _look(group):
                del kernel.cpu_watched[group]
        if kernel.cpu_watched:
            kernel.timers.arm(self, kernel.clock.monotonic_ns() + TICK_NS)


def watch(group: "ThreadGroup") -> None:
    """Look at a group from now on, until it has neither a timer nor a limit on CPU time."""
    kernel = group.kernel
    kernel.cpu_watched[group] = None
    ticker = kernel.cpu_ticker
    if ticker is not None and not ticker.timer_seq:
        kernel.timers.arm(ticker, kernel.clock.monotonic_ns() + TICK_NS)


def _look(group: "ThreadGroup") -> bool:
    """Send what is due; return whether a timer or a limit is left."""
    if group.exiting or not group.tasks:
        return False
    used = group.cpu_time_ns()
    waiting = False
    for which, mark in group.cpu_timers.items():
        if _take(mark, used):
            send_group(group, SigInfo(SIGNALS[which], SI_KERNEL))
        waiting |= mark.next_ns > 0
    for timer in list(group.posix_timers.values()):
        waiting |= _tick(timer)
    return waiting | _check_limit(group, used)


def _take(timer: "CpuTimer", used_ns: int) -> bool:
    """Return whether a timer is due, and move it on."""
    if not timer.next_ns or used_ns < timer.next_ns:
        return False
    _, timer.next_ns = due(timer.next_ns, timer.interval_ns, used_ns)
    return True


def timer_now(timer: "PosixTimer") -> int:
    """Return the time that a POSIX timer's `next_ns` is compared with: CPU time used, or the monotonic clock."""
    group = timer.group
    if timer.clock == CLOCK_PROCESS_CPUTIME_ID:
        return group.cpu_time_ns()
    if timer.clock == CLOCK_THREAD_CPUTIME_ID:
        task = group.pids.tasks.get(timer.owner)
        return task.cpu_time_ns() if task is not None else 0
    return group.kernel.clock.monotonic_ns()


def _tick(timer: "PosixTimer") -> bool:
    """Look at a POSIX timer on a CPU clock; return whether it is still armed."""
    if timer.clock not in CPU_CLOCKS or not timer.next_ns:
        return False
    now = timer_now(timer)
    if now >= timer.next_ns:
        timer.expired(now)
    return timer.next_ns > 0


def _check_limit(group: "ThreadGroup", used: int) -> bool:
    """Apply RLIMIT_CPU: SIGXCPU each second over the soft limit, SIGKILL at the hard one."""
    soft, hard = group.limits.get(RLIMIT_CPU)
    if soft == hard == RLIM_INFINITY:
        return False
    seconds = used // SECOND
    if hard != RLIM_INFINITY and seconds >= hard:
        start_group_exit(group, SIGKILL)
    elif soft != RLIM_INFINITY and seconds >= max(soft, group.cpu_warned + 1):
        group.cpu_warned = seconds
        send_group(group, SigInfo(SIGXCPU, SI_KERNEL))
    return True
