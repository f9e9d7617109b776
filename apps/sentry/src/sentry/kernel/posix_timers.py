"""POSIX timers: timer_create(2) and its relatives.

A timer has at most one signal queued; expirations meanwhile are its overrun, computed from the period.
Sources: timer_create(2), timer_settime(2), timer_getoverrun(2); Linux kernel/time/posix-timers.c.
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel import cputimers
from sentry.kernel.cputimers import CPU_CLOCKS, timer_now
from sentry.kernel.itimer import DISARMED, TimerSpec
from sentry.kernel.send import send_group, send_task
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.state import PosixTimer
from sentry_abi.errors import EAGAIN, EINVAL
from sentry_abi.signal import SI_TIMER, SIGEV_NONE, SIGEV_THREAD_ID
from sentry_abi.time import CLOCK_REALTIME, CLOCK_TAI
from sentry_ktime import due

if TYPE_CHECKING:
    from sentry.kernel.state import ThreadGroup

OVERRUN_MAX: Final = 0x7FFF_FFFF
TIMERS_PER_GROUP: Final = 4096


class SignalTimer(PosixTimer):
    """A POSIX timer that sends its signal."""

    __slots__ = ()

    def expired(self, now_ns: int) -> None:
        """Timer callback: queue the signal, or count an overrun while it is still queued."""
        group = self.group
        count, self.next_ns = due(self.next_ns, self.interval_ns, now_ns)
        if self.next_ns and self.clock not in CPU_CLOCKS:
            group.kernel.timers.arm(self, self.next_ns)
        if self.notify == SIGEV_NONE:
            return
        info = SigInfo(self.signo, SI_TIMER, value=self.value, timer=self.number)
        task = group.pids.tasks.get(self.tid) if self.notify == SIGEV_THREAD_ID else None
        queue = task.pending if task is not None else group.pending
        if queue.replace(self.signo, self.number, info):
            self.overrun = min(self.overrun + count, OVERRUN_MAX)
            return
        self.overrun = min(self.overrun + count - 1, OVERRUN_MAX)
        try:
            if task is not None:
                send_task(task, info)
            else:
                send_group(group, info)
        except EAGAIN:
            self.overrun = min(self.overrun + 1, OVERRUN_MAX)


def timer_create(group: "ThreadGroup", clock: int, notify: int, signo: int, value: int | None, tid: int) -> PosixTimer:
    """Make a timer with the lowest free number; a `value` of None is the number itself.

    Raises: EAGAIN at the limit.
    """
    number = 0
    while number in group.posix_timers:
        number += 1
    if number >= TIMERS_PER_GROUP:
        raise EAGAIN
    timer = SignalTimer(group, number, clock, notify, signo, number if value is None else value, tid)
    group.posix_timers[number] = timer
    return timer


def find(group: "ThreadGroup", number: int) -> PosixTimer:
    """Return a timer by number. Raises: EINVAL."""
    timer = group.posix_timers.get(number)
    if timer is None:
        raise EINVAL
    return timer


def timer_gettime(timer: PosixTimer) -> TimerSpec:
    """Return what is left; an armed timer never shows zero."""
    if not timer.next_ns:
        return DISARMED
    return TimerSpec(max(timer.next_ns - timer_now(timer), 1), timer.interval_ns)


def timer_settime(timer: PosixTimer, spec: TimerSpec, *, absolute: bool) -> TimerSpec:
    """Arm or disarm; return what was left.

    An absolute value is a time of the timer's clock. Overruns are forgotten.
    """
    old = timer_gettime(timer)
    kernel = timer.group.kernel
    timer.overrun = timer.overrun_last = 0
    timer.interval_ns = spec.interval_ns
    if not spec.value_ns:
        timer.next_ns = 0
        kernel.timers.disarm(timer)
        return old
    if not absolute:
        timer.next_ns = timer_now(timer) + spec.value_ns
    elif timer.clock in (CLOCK_REALTIME, CLOCK_TAI):
        timer.next_ns = max(kernel.clock.to_monotonic(spec.value_ns), 1)
    else:
        timer.next_ns = spec.value_ns
    if timer.clock in CPU_CLOCKS:
        cputimers.watch(timer.group)
    else:
        kernel.timers.arm(timer, timer.next_ns)
    return old


def timer_delete(timer: PosixTimer) -> None:
    """Disarm and delete a timer."""
    timer.group.kernel.timers.disarm(timer)
    del timer.group.posix_timers[timer.number]


def exit_itimers(group: "ThreadGroup") -> None:
    """Disarm and delete a group's POSIX timers (execve, exit)."""
    for timer in group.posix_timers.values():
        group.kernel.timers.disarm(timer)
    group.posix_timers.clear()
