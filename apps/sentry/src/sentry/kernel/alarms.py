"""Timers that send signals: interval timers and POSIX timers.

Both arm the kernel's timer queue with the next expiration; how many have passed is computed from the period, not
counted by firing (facts appendix C 2). A POSIX timer has at most one signal queued; expirations meanwhile are its
overrun.

Sources: setitimer(2), timer_create(2), timer_settime(2), timer_getoverrun(2); Linux
kernel/time/{itimer,posix-timers}.c.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.siginfo import SigInfo
from sentry_abi.errors import EAGAIN, EINVAL
from sentry_abi.signal import SI_KERNEL, SI_TIMER, SIGALRM
from sentry_abi.time import CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID
from sentry_ktime import due

if TYPE_CHECKING:
    from sentry.kernel.group import ThreadGroup
    from sentry.kernel.kernel import Kernel

CPU_CLOCKS: Final = frozenset((CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID))
OVERRUN_MAX: Final = 0x7FFF_FFFF
TIMERS_PER_GROUP: Final = 4096

SIGEV_SIGNAL: Final = 0
SIGEV_NONE: Final = 1
SIGEV_THREAD: Final = 2
SIGEV_THREAD_ID: Final = 4


class TimerSpec(NamedTuple):
    """Nanoseconds until the next expiration (0: disarmed) and between expirations (0: one shot)."""

    value_ns: int
    interval_ns: int


DISARMED: Final = TimerSpec(0, 0)


class IntervalTimer:
    """ITIMER_REAL of a group."""

    __slots__ = ("group", "interval_ns", "next_ns", "timer_seq")

    def __init__(self, group: "ThreadGroup") -> None:
        """Make a disarmed timer."""
        self.group = group
        self.next_ns = 0
        self.interval_ns = 0
        self.timer_seq = 0

    def get(self) -> TimerSpec:
        """Return what is left; an armed timer never shows zero."""
        if not self.next_ns:
            return TimerSpec(0, self.interval_ns)
        return TimerSpec(max(self.next_ns - self.group.kernel.clock.monotonic_ns(), 1000), self.interval_ns)

    def set(self, spec: TimerSpec) -> TimerSpec:
        """Arm or disarm; return what was left."""
        old = self.get()
        kernel = self.group.kernel
        self.interval_ns = spec.interval_ns
        if spec.value_ns:
            self.next_ns = kernel.clock.monotonic_ns() + spec.value_ns
            kernel.timers.arm(self, self.next_ns)
        else:
            self.next_ns = 0
            kernel.timers.disarm(self)
        return old

    def expired(self, now_ns: int) -> None:
        """Send SIGALRM, once however many periods have passed."""
        kernel = self.group.kernel
        _, self.next_ns = due(self.next_ns, self.interval_ns, now_ns)
        if self.next_ns:
            kernel.timers.arm(self, self.next_ns)
        kernel.signals.send_group(self.group, SigInfo(SIGALRM, SI_KERNEL))


class PosixTimer:
    """One timer_create(2) timer."""

    __slots__ = (
        "clock",
        "group",
        "interval_ns",
        "next_ns",
        "notify",
        "number",
        "overrun",
        "overrun_last",
        "owner",
        "signo",
        "tid",
        "timer_seq",
        "value",
    )

    def __init__(
        self, group: "ThreadGroup", number: int, clock: int, notify: int, signo: int, value: int, tid: int
    ) -> None:
        """Make a disarmed timer."""
        self.group = group
        self.number = number
        self.clock = clock
        self.notify = notify
        self.signo = signo
        self.value = value
        self.tid = tid
        self.owner = 0
        """The thread whose CPU time counts, for CLOCK_THREAD_CPUTIME_ID."""
        self.next_ns = 0
        self.interval_ns = 0
        self.overrun = 0
        self.overrun_last = 0
        self.timer_seq = 0

    def get(self) -> TimerSpec:
        """Return what is left; an armed timer never shows zero."""
        if not self.next_ns:
            return DISARMED
        return TimerSpec(max(self.next_ns - self._now(), 1), self.interval_ns)

    def _now(self) -> int:
        """Return the time that `next_ns` is compared with: CPU time used, or the kernel's monotonic clock."""
        if self.clock == CLOCK_PROCESS_CPUTIME_ID:
            return self.group.cpu_time_ns()
        if self.clock == CLOCK_THREAD_CPUTIME_ID:
            task = self.group.kernel.pids.tasks.get(self.owner)
            return task.cpu_time_ns() if task is not None else 0
        return self.group.kernel.clock.monotonic_ns()

    def tick(self) -> bool:
        """Look at a timer on a CPU clock; return whether there is still something to wait for."""
        if self.clock not in CPU_CLOCKS or not self.next_ns:
            return False
        now = self._now()
        if now >= self.next_ns:
            self.expired(now)
        return self.next_ns > 0

    def set(self, spec: TimerSpec, *, absolute: bool) -> TimerSpec:
        """Arm or disarm; return what was left.

        An absolute value is a time of the timer's clock. Overruns are forgotten.
        """
        old = self.get()
        kernel = self.group.kernel
        self.overrun = self.overrun_last = 0
        self.interval_ns = spec.interval_ns
        if not spec.value_ns:
            self.next_ns = 0
            kernel.timers.disarm(self)
            return old
        clock = kernel.clock
        if not absolute:
            self.next_ns = self._now() + spec.value_ns
        elif self.clock in (CLOCK_REALTIME, CLOCK_TAI):
            self.next_ns = max(clock.to_monotonic(spec.value_ns), 1)
        else:
            self.next_ns = spec.value_ns
        self._arm()
        return old

    def _arm(self) -> None:
        kernel = self.group.kernel
        if self.clock in CPU_CLOCKS:
            kernel.ticker.watch(self.group)
        else:
            kernel.timers.arm(self, self.next_ns)

    def expired(self, now_ns: int) -> None:
        """Queue the signal, or count an overrun while it is still queued."""
        group = self.group
        kernel = group.kernel
        count, self.next_ns = due(self.next_ns, self.interval_ns, now_ns)
        if self.next_ns and self.clock not in CPU_CLOCKS:
            kernel.timers.arm(self, self.next_ns)
        if self.notify == SIGEV_NONE:
            return
        info = SigInfo(self.signo, SI_TIMER, value=self.value, timer=self.number)
        task = kernel.pids.tasks.get(self.tid) if self.notify == SIGEV_THREAD_ID else None
        queue = task.pending if task is not None else group.pending
        if queue.replace(self.signo, self.number, info):
            self.overrun = min(self.overrun + count, OVERRUN_MAX)
            return
        self.overrun = min(self.overrun + count - 1, OVERRUN_MAX)
        try:
            if task is not None:
                kernel.signals.send_task(task, info)
            else:
                kernel.signals.send_group(group, info)
        except EAGAIN:
            self.overrun = min(self.overrun + 1, OVERRUN_MAX)


def create(group: "ThreadGroup", clock: int, notify: int, signo: int, value: int | None, tid: int) -> PosixTimer:
    """Make a timer with the lowest free number; `value` None stands for the number itself.

    Raises: EAGAIN at the limit.
    """
    number = 0
    while number in group.posix_timers:
        number += 1
    if number >= TIMERS_PER_GROUP:
        raise EAGAIN
    timer = PosixTimer(group, number, clock, notify, signo, number if value is None else value, tid)
    group.posix_timers[number] = timer
    return timer


def find(group: "ThreadGroup", number: int) -> PosixTimer:
    """Return a timer by number. Raises: EINVAL."""
    timer: PosixTimer | None = group.posix_timers.get(number)
    if timer is None:
        raise EINVAL
    return timer


def signal_taken(group: "ThreadGroup", info: SigInfo) -> SigInfo:
    """Note that a timer's signal leaves the queue: its overrun is final; return the siginfo to show."""
    timer = group.posix_timers.get(info.timer)
    if timer is None:
        return info
    timer.overrun_last, timer.overrun = timer.overrun, 0
    return info._replace(overrun=timer.overrun_last)


def itimer(group: "ThreadGroup") -> IntervalTimer:
    """Return the group's ITIMER_REAL, made on first use."""
    timer: IntervalTimer | None = group.interval_timer
    if timer is None:
        timer = group.interval_timer = IntervalTimer(group)
    return timer


def disarm_all(kernel: "Kernel", group: "ThreadGroup") -> None:
    """Disarm and forget a group's POSIX timers (execve, exit)."""
    for timer in group.posix_timers.values():
        kernel.timers.disarm(timer)
    group.posix_timers.clear()
