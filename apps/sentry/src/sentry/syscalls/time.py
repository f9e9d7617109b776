"""Clocks, sleeps and timers."""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.cputimers import CPU_CLOCKS
from sentry.kernel.itimer import DISARMED, TimerSpec
from sentry.kernel.itimer import getitimer as get_itimer
from sentry.kernel.itimer import setitimer as set_itimer
from sentry.kernel.pending import Pending, Result, attempt
from sentry.kernel.posix_timers import find
from sentry.kernel.posix_timers import timer_create as new_timer
from sentry.kernel.posix_timers import timer_delete as delete_timer
from sentry.kernel.posix_timers import timer_gettime as get_timer
from sentry.kernel.posix_timers import timer_settime as set_timer
from sentry.syscalls.binder import Calls, Flags, Int, Ptr, UInt
from sentry.syscalls.guest import KTIME_MAX, SECOND, read_sigevent, read_timespec
from sentry_abi.errors import EINVAL, EOPNOTSUPP, EPERM, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, LinuxError
from sentry_abi.signal import SIGALRM, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, SIGRTMAX
from sentry_abi.structs import ITIMERSPEC, ITIMERVAL, TIMESPEC, TIMEVAL, TIMEZONE, TMS
from sentry_abi.time import (
    CLOCK_BOOTTIME,
    CLOCK_MONOTONIC,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_REALTIME,
    CLOCK_REALTIME_COARSE,
    CLOCK_TAI,
    CLOCK_THREAD_CPUTIME_ID,
    CLOCKFD,
    CPUCLOCK_CLOCK_MASK,
    ITIMER_PROF,
    ITIMER_REAL,
    TIMER_ABSTIME,
)

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("time")

WALL: Final = frozenset((CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI))
MONOTONIC: Final = frozenset((CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME))
SLEEPABLE: Final = frozenset((CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI))


def clock_now(t: "Task", clock: int) -> int:
    """Return a clock's time in nanoseconds. Raises: EINVAL if there is no such clock."""
    if clock in WALL:
        return t.kernel.clock.realtime_ns()
    if clock in MONOTONIC:
        return t.kernel.clock.monotonic_ns()
    if clock == CLOCK_PROCESS_CPUTIME_ID:
        return t.group.cpu_time_ns()
    if clock == CLOCK_THREAD_CPUTIME_ID:
        return t.cpu_time_ns()
    if clock < 0:
        pid, per_thread = ~clock >> 3, clock & 4
        if clock & CPUCLOCK_CLOCK_MASK == CLOCKFD:  # a clock of a descriptor, or none at all
            raise EINVAL
        if per_thread:
            task = t.ns.pid.tasks.get(pid) if pid else t
            if task is None or task.group is not t.group:
                raise EINVAL
            return task.cpu_time_ns()
        group = t.ns.pid.groups.get(pid) if pid else t.group
        if group is None:
            raise EINVAL
        return group.cpu_time_ns()
    raise EINVAL


@calls.call
def clock_gettime(t: "Task", clock: Int, address: Ptr) -> int:
    """clock_gettime(2). Raises: EINVAL, EFAULT."""
    now = clock_now(t, clock)
    t.mm.copy_out(address, TIMESPEC.pack(now // SECOND, now % SECOND))
    return 0


@calls.call
def clock_getres(t: "Task", clock: Int, address: Ptr) -> int:
    """clock_getres(2). Raises: EINVAL, EFAULT."""
    clock_now(t, clock)
    if address:
        coarse = clock in (CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE)
        t.mm.copy_out(address, TIMESPEC.pack(0, 4_000_000 if coarse else 1))
    return 0


@calls.call
def clock_settime(t: "Task", clock: Int, address: Ptr) -> int:
    """clock_settime(2): no process may set the host's clock. Raises: EINVAL, EFAULT, EPERM."""
    if clock != CLOCK_REALTIME:
        raise EINVAL
    read_timespec(t, address)
    raise EPERM


@calls.call
def gettimeofday(t: "Task", tv: Ptr, tz: Ptr) -> int:
    """gettimeofday(2). Raises: EFAULT."""
    if tv:
        now = t.kernel.clock.realtime_ns()
        t.mm.copy_out(tv, TIMEVAL.pack(now // SECOND, now % SECOND // 1000))
    if tz:
        t.mm.copy_out(tz, TIMEZONE.pack(0, 0))
    return 0


@calls.named("time")
def time_(t: "Task", address: Ptr) -> int:
    """time(2). Raises: EFAULT."""
    now = t.kernel.clock.realtime_ns() // SECOND
    if address:
        t.mm.copy_out(address, now.to_bytes(8, "little"))
    return now


@calls.call
def times(t: "Task", address: Ptr) -> int:
    """times(2), in ticks of 10 ms. Raises: EFAULT."""
    if address:
        own, children = t.group.cpu_time_ns(), t.group.child_cpu_ns
        t.mm.copy_out(address, TMS.pack(own // 10_000_000, 0, children // 10_000_000, 0))
    return t.kernel.clock.monotonic_ns() // 10_000_000


# -- sleeping


class SleepState(NamedTuple):
    """Until when (kernel monotonic), and where what is left goes (0: nowhere)."""

    deadline: int
    remaining: int


@attempt
def sleep_again(t: "Task", state: SleepState) -> Result:
    """Sleep until the deadline."""
    if t.kernel.clock.monotonic_ns() >= state.deadline:
        return 0
    restart = ERESTART_RESTARTBLOCK if state.remaining >= 0 else ERESTARTNOHAND
    return Pending(sleep_again, state, deadline=state.deadline, restart=restart, on_signal=sleep_interrupted)


@attempt
def sleep_interrupted(t: "Task", state: SleepState) -> Result:
    """Write what is left, then let the restart class decide."""
    if state.remaining > 0:
        left = max(state.deadline - t.kernel.clock.monotonic_ns(), 0)
        t.mm.copy_out(state.remaining, TIMESPEC.pack(left // SECOND, left % SECOND))
    raise ERESTART_RESTARTBLOCK if state.remaining >= 0 else ERESTARTNOHAND


@calls.call
def nanosleep(t: "Task", request: Ptr, remaining: Ptr) -> Result:
    """nanosleep(2). Raises: EFAULT, EINVAL, EINTR."""
    length = read_timespec(t, request)
    return sleep_again(t, SleepState(t.kernel.clock.monotonic_ns() + length, remaining))


@calls.call
def clock_nanosleep(t: "Task", clock: Int, flags: Flags, request: Ptr, remaining: Ptr) -> Result:
    """clock_nanosleep(2). Raises: EINVAL, EOPNOTSUPP for a CPU clock, EFAULT, EINTR."""
    if clock not in SLEEPABLE:
        if clock < 0:
            read_timespec(t, request)
        clock_now(t, clock)
        raise EOPNOTSUPP
    length = read_timespec(t, request)
    clocks = t.kernel.clock
    if not flags & TIMER_ABSTIME:
        return sleep_again(t, SleepState(clocks.monotonic_ns() + length, remaining))
    return sleep_again(t, SleepState(clocks.to_monotonic(length) if clock in WALL else length, -1))


# -- interval timers


@calls.call
def alarm(t: "Task", seconds: UInt) -> int:
    """alarm(2)."""
    old = set_itimer(t.group, ITIMER_REAL, TimerSpec(seconds * SECOND, 0))
    return max((old.value_ns + SECOND // 2) // SECOND, 1) if old.value_ns else 0


def _write_itimer(t: "Task", address: int, spec: TimerSpec) -> None:
    value, interval = spec
    fields = interval // SECOND, interval % SECOND // 1000, value // SECOND, value % SECOND // 1000
    t.mm.copy_out(address, ITIMERVAL.pack(*fields))


@calls.call
def getitimer(t: "Task", which: Int, address: Ptr) -> int:
    """getitimer(2). Raises: EINVAL, EFAULT."""
    if not ITIMER_REAL <= which <= ITIMER_PROF:
        raise EINVAL
    _write_itimer(t, address, get_itimer(t.group, which))
    return 0


@calls.call
def setitimer(t: "Task", which: Int, new: Ptr, old: Ptr) -> int:
    """setitimer(2). Raises: EFAULT, EINVAL."""
    spec = DISARMED
    if new:
        i_sec, i_usec, v_sec, v_usec = ITIMERVAL.unpack(t.mm.copy_in(new, ITIMERVAL.size))
        if not (0 <= i_usec < 1_000_000 and 0 <= v_usec < 1_000_000 and i_sec >= 0 and v_sec >= 0):
            raise EINVAL
        spec = TimerSpec(min(v_sec * SECOND + v_usec * 1000, KTIME_MAX), min(i_sec * SECOND + i_usec * 1000, KTIME_MAX))
    if not ITIMER_REAL <= which <= ITIMER_PROF:
        raise EINVAL
    before = set_itimer(t.group, which, spec)
    if old:
        _write_itimer(t, old, before)
    return 0


# -- POSIX timers


def _check_timer_clock(t: "Task", clock: int) -> None:
    """Check that a clock can have timers. Raises: EINVAL, EOPNOTSUPP."""
    if clock not in SLEEPABLE and clock not in CPU_CLOCKS:
        clock_now(t, clock)
        raise EOPNOTSUPP


@calls.call
def timer_create(t: "Task", clock: Int, event: Ptr, number: Ptr) -> int:
    """timer_create(2). Raises: EINVAL, EOPNOTSUPP for other processes' CPU clocks, EFAULT, EAGAIN."""
    notify, signo, value, tid = SIGEV_SIGNAL, SIGALRM, None, 0
    wanted = read_sigevent(t, event) if event else None
    if clock >= 0:
        _check_timer_clock(t, clock)
    if wanted is not None:
        value, signo, notify, tid = wanted
        if notify not in (SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID):
            raise EINVAL
        if notify != SIGEV_NONE and not 1 <= signo <= SIGRTMAX:
            raise EINVAL
        if notify == SIGEV_THREAD_ID:
            task = t.ns.pid.tasks.get(tid)
            if task is None or task.group is not t.group:
                raise EINVAL
    if clock < 0:
        t.mm.writable(number, 4)
        _check_timer_clock(t, clock)
    timer = new_timer(t.group, clock, notify, signo, value, tid)
    timer.owner = t.tid
    try:
        t.mm.copy_out(number, timer.number.to_bytes(4, "little"))
    except LinuxError:
        del t.group.posix_timers[timer.number]
        raise
    return 0


@calls.call
def timer_settime(t: "Task", number: Int, flags: Flags, new: Ptr, old: Ptr) -> int:
    """timer_settime(2). Raises: EINVAL, EFAULT."""
    if not new:
        raise EINVAL
    i_sec, i_ns, v_sec, v_ns = ITIMERSPEC.unpack(t.mm.copy_in(new, ITIMERSPEC.size))
    if not (0 <= i_ns < SECOND and 0 <= v_ns < SECOND and i_sec >= 0 and v_sec >= 0):
        raise EINVAL
    spec = TimerSpec(min(v_sec * SECOND + v_ns, KTIME_MAX), min(i_sec * SECOND + i_ns, KTIME_MAX))
    before = set_timer(find(t.group, number), spec, absolute=bool(flags & TIMER_ABSTIME))
    if old:
        _write_timerspec(t, old, before)
    return 0


def _write_timerspec(t: "Task", address: int, spec: TimerSpec) -> None:
    value, interval = spec
    t.mm.copy_out(address, ITIMERSPEC.pack(interval // SECOND, interval % SECOND, value // SECOND, value % SECOND))


@calls.call
def timer_gettime(t: "Task", number: Int, address: Ptr) -> int:
    """timer_gettime(2). Raises: EINVAL, EFAULT."""
    _write_timerspec(t, address, get_timer(find(t.group, number)))
    return 0


@calls.call
def timer_getoverrun(t: "Task", number: Int) -> int:
    """timer_getoverrun(2). Raises: EINVAL."""
    return find(t.group, number).overrun_last


@calls.call
def timer_delete(t: "Task", number: Int) -> int:
    """timer_delete(2). Raises: EINVAL."""
    delete_timer(find(t.group, number))
    return 0
