"""Interval timers: ITIMER_REAL here, ITIMER_VIRTUAL and ITIMER_PROF as marks on CPU time that `cputimers` looks at.

How many periods have passed is computed from the period, not counted by firing.
Source: setitimer(2); Linux kernel/time/itimer.c.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel import cputimers
from sentry.kernel.send import send_group
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.state import CpuTimer, RealTimer
from sentry_abi.signal import SI_KERNEL, SIGALRM
from sentry_abi.time import ITIMER_REAL
from sentry_ktime import due

if TYPE_CHECKING:
    from sentry.kernel.state import ThreadGroup

LEAST_NS: Final = 1000
"""What an armed timer shows at least."""


class TimerSpec(NamedTuple):
    """Nanoseconds until the next expiration (0: disarmed) and between expirations (0: one shot)."""

    value_ns: int
    interval_ns: int


DISARMED: Final = TimerSpec(0, 0)


class Alarm(RealTimer):
    """ITIMER_REAL that sends SIGALRM."""

    __slots__ = ()

    def expired(self, now_ns: int) -> None:
        """Timer callback: send SIGALRM, once however many periods have passed."""
        kernel = self.group.kernel
        _, self.next_ns = due(self.next_ns, self.interval_ns, now_ns)
        if self.next_ns:
            kernel.timers.arm(self, self.next_ns)
        send_group(self.group, SigInfo(SIGALRM, SI_KERNEL))


def getitimer(group: "ThreadGroup", which: int) -> TimerSpec:
    """Return what is left of a group's interval timer; an armed one never shows zero."""
    if which == ITIMER_REAL:
        timer: RealTimer | CpuTimer | None = group.interval_timer
        now = group.kernel.clock.monotonic_ns()
    else:
        timer = group.cpu_timers.get(which)
        now = group.cpu_time_ns()
    if timer is None:
        return DISARMED
    if not timer.next_ns:
        return TimerSpec(0, timer.interval_ns)
    return TimerSpec(max(timer.next_ns - now, LEAST_NS), timer.interval_ns)


def setitimer(group: "ThreadGroup", which: int, spec: TimerSpec) -> TimerSpec:
    """Arm or disarm a group's interval timer; return what was left."""
    old = getitimer(group, which)
    if which == ITIMER_REAL:
        _set_real(group, spec)
        return old
    mark = group.cpu_timers.get(which)
    if mark is None:
        mark = group.cpu_timers[which] = CpuTimer()
    mark.interval_ns = spec.interval_ns
    mark.next_ns = group.cpu_time_ns() + spec.value_ns if spec.value_ns else 0
    cputimers.watch(group)
    return old


def _set_real(group: "ThreadGroup", spec: TimerSpec) -> None:
    kernel = group.kernel
    timer = group.interval_timer
    if timer is None:
        timer = group.interval_timer = Alarm(group)
    timer.interval_ns = spec.interval_ns
    if spec.value_ns:
        timer.next_ns = kernel.clock.monotonic_ns() + spec.value_ns
        kernel.timers.arm(timer, timer.next_ns)
    else:
        timer.next_ns = 0
        kernel.timers.disarm(timer)
