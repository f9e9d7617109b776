"""Handlers of `syscalls.time`: clocks, sleeps and timers."""

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import time
from sentry_abi.errors import EFAULT, EINVAL, EOPNOTSUPP, EPERM, ERESTART_RESTARTBLOCK, ERESTARTNOHAND
from sentry_abi.signal import SIGALRM, SIGEV_NONE, SIGEV_THREAD_ID, SIGUSR1
from sentry_abi.structs import ITIMERSPEC, ITIMERVAL, SIGEVENT, TIMESPEC, TMS
from sentry_abi.time import (
    CLOCK_MONOTONIC,
    CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_REALTIME,
    CLOCK_THREAD_CPUTIME_ID,
    ITIMER_REAL,
    TIMER_ABSTIME,
)

SECOND = 1_000_000_000
NEGATIVE = TIMESPEC.pack(-1, 0)


def clock(p: Program, number: int) -> int:
    """Return the time of a clock in nanoseconds."""
    where = p.zeros(16)
    p.ok("clock_gettime", number, where)
    seconds, ns = p.fields(TIMESPEC, where)
    return seconds * SECOND + ns


def test_clocks(p: Program) -> None:
    """The host's record for time, the context for CPU time; clocks of processes and threads by number."""
    p.box.host.step_ns = 0
    p.context.cpu_ns = 123
    assert clock(p, CLOCK_MONOTONIC) == p.box.host.now_ns
    assert clock(p, CLOCK_REALTIME) == p.box.host.boot_ns + p.box.host.now_ns
    own = ~p.t.tid << 3
    for number in (CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, own | 2, own | 4 | 2, ~0 << 3 | 2):
        assert clock(p, number) == 123
    where = p.zeros(16)
    p.ok("clock_getres", CLOCK_MONOTONIC, where)
    assert p.fields(TIMESPEC, where) == (0, 1)
    assert p.ok("clock_getres", CLOCK_MONOTONIC, 0) == 0
    p.ok("gettimeofday", where, 0)
    now = p.box.host.boot_ns + p.box.host.now_ns
    assert p.fields(TIMESPEC, where) == (now // SECOND, now % SECOND // 1000)
    assert p.ok("time", where) == p.number(where, 8) == now // SECOND
    tms = p.zeros(TMS.size)
    assert p.ok("times", tms) == p.box.host.now_ns // 10_000_000


def test_clock_errors(p: Program) -> None:
    """The clock counts before the address, for setting too; a thread's clock is its process's business alone."""
    child = p.child()
    assert p.error("clock_gettime", 99, BAD) is EINVAL
    assert p.error("clock_gettime", CLOCK_REALTIME, BAD) is EFAULT
    assert p.error("clock_gettime", -1, BAD) is EINVAL
    assert p.error("clock_gettime", -5, BAD) is EINVAL
    assert p.error("clock_gettime", ~child.t.tid << 3 | 4 | 2, BAD) is EINVAL
    assert p.error("clock_gettime", ~999 << 3 | 2, BAD) is EINVAL
    assert p.error("clock_getres", 99, 0) is EINVAL
    assert p.error("clock_getres", 0, BAD) is EFAULT
    assert p.error("clock_settime", 99, BAD) is EINVAL
    assert p.error("clock_settime", CLOCK_MONOTONIC, BAD) is EINVAL
    assert p.error("clock_settime", CLOCK_REALTIME, BAD) is EFAULT
    assert p.error("clock_settime", CLOCK_REALTIME, NEGATIVE) is EINVAL
    assert p.error("clock_settime", CLOCK_REALTIME, bytes(16)) is EPERM
    assert p.error("gettimeofday", BAD, 0) is EFAULT
    assert p.error("time", BAD) is EFAULT
    assert p.error("times", BAD) is EFAULT


def test_sleep(p: Program) -> None:
    """A sleep is a deadline; a signal writes what is left, and a block restarts it."""
    left = p.zeros(16)
    pending = p.wait("nanosleep", TIMESPEC.pack(5, 7), left)
    assert (pending.attempt, pending.queues) == (time.sleep_again, ())
    p.pass_deadline()
    assert p.resume() == 0
    p.wait("clock_nanosleep", CLOCK_MONOTONIC, 0, TIMESPEC.pack(5, 0), left)
    p.box.host.now_ns += 2 * SECOND
    assert p.interrupt() is ERESTART_RESTARTBLOCK
    assert p.fields(TIMESPEC, left)[0] == 2
    assert p.ok("nanosleep", bytes(16), 0) == 0


def test_sleep_until(p: Program) -> None:
    """A time of a clock; a signal restarts the call itself."""
    pending = p.wait("clock_nanosleep", CLOCK_MONOTONIC, TIMER_ABSTIME, TIMESPEC.pack(100, 5), BAD)
    assert pending.deadline == 100 * SECOND + 5
    assert p.interrupt() is ERESTARTNOHAND
    real = p.box.host.boot_ns // SECOND + 50
    pending = p.wait("clock_nanosleep", CLOCK_REALTIME, TIMER_ABSTIME, TIMESPEC.pack(real, 0), 0)
    assert pending.deadline is not None
    assert abs(pending.deadline - 50 * SECOND) < SECOND


def test_sleep_errors(p: Program) -> None:
    """The clock, the address, the time."""
    assert p.error("nanosleep", BAD, 0) is EFAULT
    assert p.error("nanosleep", NEGATIVE, 0) is EINVAL
    assert p.error("nanosleep", TIMESPEC.pack(0, SECOND), 0) is EINVAL
    assert p.error("clock_nanosleep", 99, 0, BAD, 0) is EINVAL
    assert p.error("clock_nanosleep", CLOCK_MONOTONIC_RAW, 0, BAD, 0) is EOPNOTSUPP
    assert p.error("clock_nanosleep", CLOCK_THREAD_CPUTIME_ID, 0, BAD, 0) is EOPNOTSUPP
    assert p.error("clock_nanosleep", CLOCK_REALTIME, 0, BAD, 0) is EFAULT
    assert p.error("clock_nanosleep", -1, 0, BAD, 0) is EFAULT
    assert p.error("clock_nanosleep", -1, 0, bytes(16), 0) is EINVAL


def test_interval_timer(p: Program) -> None:
    """ITIMER_REAL sends SIGALRM at its time, again at the interval; alarm rounds what is left."""
    p.t.blocked = 1 << SIGALRM - 1
    old = p.zeros(ITIMERVAL.size)
    p.ok("setitimer", ITIMER_REAL, ITIMERVAL.pack(2, 0, 1, 500_000), 0)
    p.ok("getitimer", ITIMER_REAL, old)
    interval, _, seconds, micros = p.fields(ITIMERVAL, old)
    assert (interval, seconds) == (2, 1)
    assert micros >= 499_000
    p.box.host.now_ns += 2 * SECOND
    p.box.state.timers.expire()
    assert p.t.group.pending.mask == 1 << SIGALRM - 1
    assert p.ok("alarm", 0xFFFF_FFFF_0000_000A) in {1, 2}
    assert p.ok("alarm", 0) == 10
    assert p.error("getitimer", 9, BAD) is EINVAL
    assert p.error("getitimer", 0, BAD) is EFAULT
    assert p.error("setitimer", 9, BAD, 0) is EFAULT
    assert p.error("setitimer", 9, ITIMERVAL.pack(0, 0, 0, 0), 0) is EINVAL
    assert p.error("setitimer", 0, ITIMERVAL.pack(0, 1_000_000, 0, 0), 0) is EINVAL


def test_posix_timer(p: Program) -> None:
    """Create, set, read, expire, delete."""
    p.t.blocked = 1 << SIGUSR1 - 1
    number, old = p.zeros(4), p.zeros(32)
    p.ok("timer_create", CLOCK_MONOTONIC, SIGEVENT.pack(7, SIGUSR1, 0, 0), number)
    timer = p.number(number)
    p.ok("timer_settime", timer, 0, ITIMERSPEC.pack(0, 0, 3, 0), 0)
    p.ok("timer_gettime", timer, old)
    assert p.fields(ITIMERSPEC, old)[2] in {2, 3}
    p.box.host.now_ns += 3 * SECOND
    p.box.state.timers.expire()
    assert p.t.group.pending.mask == 1 << SIGUSR1 - 1
    assert p.ok("timer_getoverrun", timer) == 0
    p.ok("timer_delete", timer)
    assert p.error("timer_delete", timer) is EINVAL


def test_posix_timer_errors(p: Program) -> None:
    """The event is read, then the clock counts, then what the event says."""
    wrong = SIGEVENT.pack(0, 0, 77, 0)
    assert p.error("timer_create", 99, BAD, BAD) is EFAULT
    assert p.error("timer_create", 99, wrong, BAD) is EINVAL
    assert p.error("timer_create", CLOCK_MONOTONIC_RAW, wrong, BAD) is EOPNOTSUPP
    assert p.error("timer_create", CLOCK_MONOTONIC, wrong, BAD) is EINVAL
    assert p.error("timer_create", CLOCK_MONOTONIC, SIGEVENT.pack(0, SIGUSR1, SIGEV_THREAD_ID, 999), BAD) is EINVAL
    assert p.error("timer_create", CLOCK_MONOTONIC, SIGEVENT.pack(0, 0, SIGEV_NONE, 0), BAD) is EFAULT
    assert p.error("timer_create", -1, wrong, BAD) is EINVAL
    assert p.error("timer_create", -1, 0, BAD) is EFAULT
    assert p.error("timer_create", -1, 0, p.zeros(4)) is EINVAL
    assert not p.t.group.posix_timers
    assert p.error("timer_settime", 99, 0, 0, 0) is EINVAL
    assert p.error("timer_settime", 99, 0, BAD, 0) is EFAULT
    assert p.error("timer_settime", 99, 0, bytes(32), 0) is EINVAL
    assert p.error("timer_gettime", 99, BAD) is EINVAL
    assert p.error("timer_getoverrun", 99) is EINVAL
