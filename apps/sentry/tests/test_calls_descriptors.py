"""Handlers of `syscalls.descriptors`: timerfd, signalfd, pidfd."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import descriptors
from sentry_abi.errors import EAGAIN, EBADF, EFAULT, EINVAL, EPERM, ESRCH
from sentry_abi.fcntl import O_CREAT, O_NONBLOCK, O_RDWR
from sentry_abi.signal import SIGTERM, SIGUSR1
from sentry_abi.structs import ITIMERSPEC, SIGNALFD_SIGINFO
from sentry_abi.time import CLOCK_MONOTONIC, CLOCK_REALTIME_ALARM


def test_timerfd(p: Program) -> None:
    """A read waits until the timer expires, and returns how often it has."""
    fd = p.ok("timerfd_create", CLOCK_MONOTONIC, 0)
    old, buf = p.zeros(32), p.zeros(8)
    p.ok("timerfd_settime", fd, 0, ITIMERSPEC.pack(0, 0, 3, 5), 0)
    p.ok("timerfd_gettime", fd, old)
    assert p.fields(ITIMERSPEC, old)[2] <= 3
    p.wait("read", fd, buf, 8)
    p.box.host.now_ns += 4_000_000_000
    p.box.state.timers.expire()
    assert p.resume() == 8
    assert p.number(buf, 8) == 1


def test_timerfd_errors(p: Program) -> None:
    """The times are read, then the flags, the times and the descriptor are checked."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    bad = ITIMERSPEC.pack(0, -1, 0, 0)
    assert p.error("timerfd_create", 99, 0) is EINVAL
    assert p.error("timerfd_create", 0, 1) is EINVAL
    assert p.error("timerfd_settime", NO_FD, 8, BAD, 0) is EFAULT
    assert p.error("timerfd_settime", NO_FD, 8, ITIMERSPEC.pack(0, 0, 0, 0), 0) is EINVAL
    assert p.error("timerfd_settime", NO_FD, 0, bad, 0) is EINVAL
    assert p.error("timerfd_settime", NO_FD, 0, bytes(32), 0) is EBADF
    assert p.error("timerfd_gettime", fd, BAD) is EINVAL
    p.become(1000)
    assert p.error("timerfd_create", CLOCK_REALTIME_ALARM, 0) is EPERM


def test_signalfd(p: Program) -> None:
    """A read takes a pending signal of the set; the set of an open one can be changed."""
    p.t.blocked = 1 << SIGUSR1 - 1 | 1 << SIGTERM - 1
    mask = (1 << SIGUSR1 - 1).to_bytes(8, "little")
    fd = p.ok("signalfd4", -1, mask, 8, O_NONBLOCK)
    buf = p.zeros(SIGNALFD_SIGINFO.size)
    p.ok("kill", 1, SIGTERM)
    assert p.error("read", fd, buf, 128) is EAGAIN
    p.ok("kill", 1, SIGUSR1)
    assert p.ok("read", fd, buf, 128) == 128
    assert p.number(buf) == SIGUSR1
    assert p.ok("signalfd", fd, (1 << SIGTERM - 1).to_bytes(8, "little"), 8) == fd
    assert p.ok("read", fd, buf, 128) == 128


def test_signalfd_errors(p: Program) -> None:
    """Size, address, flags, descriptor: in this order."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    assert p.error("signalfd4", NO_FD, BAD, 4, 1) is EINVAL
    assert p.error("signalfd4", NO_FD, BAD, 8, 1) is EFAULT
    assert p.error("signalfd4", NO_FD, bytes(8), 8, 1) is EINVAL
    assert p.error("signalfd4", NO_FD, bytes(8), 8, 0) is EBADF
    assert p.error("signalfd4", fd, bytes(8), 8, 0) is EINVAL


def test_pidfd(p: Program) -> None:
    """A pidfd names a process: to signal it, and to take its descriptors."""
    child = p.child()
    theirs = child.open(b"/a", O_CREAT | O_RDWR)
    fd = p.ok("pidfd_open", child.t.tid, 0)
    assert descriptors.process_of(p.t, fd) is child.t.group
    child.t.blocked = 1 << SIGUSR1 - 1
    p.ok("pidfd_send_signal", fd, SIGUSR1, 0, 0)
    assert child.t.group.pending.mask == 1 << SIGUSR1 - 1
    mine = p.ok("pidfd_getfd", fd, theirs, 0)
    assert p.t.files.get(mine) is child.t.files.get(theirs)
    assert p.error("pidfd_getfd", fd, NO_FD, 0) is EBADF


def test_pidfd_errors(p: Program) -> None:
    """Flags count first, then the descriptor, the process, the signal and the permission."""
    child = p.child()
    fd = p.ok("pidfd_open", child.t.tid, 0)
    file = p.open(b"/a", O_CREAT | O_RDWR)
    assert p.error("pidfd_open", 999, 1) is EINVAL
    assert p.error("pidfd_open", -1, 0) is EINVAL
    assert p.error("pidfd_open", 999, 0) is ESRCH
    assert p.error("pidfd_send_signal", NO_FD, 100, BAD, 1) is EINVAL
    assert p.error("pidfd_send_signal", NO_FD, 100, BAD, 0) is EBADF
    assert p.error("pidfd_send_signal", file, 100, 0, 0) is EBADF
    assert p.error("pidfd_send_signal", fd, 100, BAD, 0) is EFAULT
    assert p.error("pidfd_send_signal", fd, 100, 0, 0) is EINVAL
    assert p.error("pidfd_getfd", NO_FD, 0, 1) is EINVAL
    p.become(1000)
    assert p.error("pidfd_send_signal", fd, 0, 0, 0) is EPERM
    assert p.error("pidfd_getfd", fd, NO_FD, 0) is EPERM
