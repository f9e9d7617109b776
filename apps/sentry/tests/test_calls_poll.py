"""Handlers of `syscalls.poll`: poll, select and epoll."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import poll
from sentry_abi.errors import (
    EBADF,
    EEXIST,
    EFAULT,
    EINTR,
    EINVAL,
    ENOENT,
    EPERM,
    ERESTART_RESTARTBLOCK,
    ERESTARTNOHAND,
)
from sentry_abi.fcntl import O_CREAT, O_RDWR
from sentry_abi.poll import EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, POLLIN, POLLNVAL, POLLOUT
from sentry_abi.signal import SIGKILL, SIGUSR1
from sentry_abi.structs import EPOLL_EVENT, POLLFD, TIMESPEC

NEGATIVE = TIMESPEC.pack(-1, 0)
NOW = TIMESPEC.pack(0, 0)


def test_poll(p: Program) -> None:
    """A poll waits for any of its files, reports what is not open, leaves out what is negative."""
    r, w = p.pipe()
    fds = p.put(POLLFD.pack(r, POLLIN, 9) + POLLFD.pack(-1, POLLIN, 9))
    pending = p.wait("poll", fds, 0xFFFF_FFFF_0000_0002, -1)
    assert (pending.deadline, pending.restart) == (None, ERESTART_RESTARTBLOCK)
    p.ok("write", w, b"x", 1)
    assert p.resume() == 1
    assert p.fields(POLLFD, fds) == (r, POLLIN, POLLIN)
    assert p.fields(POLLFD, fds + 8) == (-1, POLLIN, 0)
    closed = p.put(POLLFD.pack(NO_FD, POLLOUT, 0))
    assert p.ok("poll", closed, 1, -1) == 1
    assert p.fields(POLLFD, closed) == (NO_FD, POLLOUT, POLLNVAL)


def test_poll_timeout(p: Program) -> None:
    """Milliseconds become a deadline; 0 does not wait."""
    r, _ = p.pipe()
    fds = p.put(POLLFD.pack(r, POLLIN, 0))
    assert p.ok("poll", fds, 1, 0) == 0
    before = p.box.host.now_ns
    pending = p.wait("poll", fds, 1, 1500)
    assert pending.deadline is not None
    assert 0 <= pending.deadline - before - 1_500_000_000 < 1000
    p.pass_deadline()
    assert p.resume() == 0
    pending = p.wait("ppoll", fds, 1, TIMESPEC.pack(1, 0), (1 << SIGUSR1 - 1).to_bytes(8, "little"), 8)
    assert pending.restart is ERESTARTNOHAND
    assert p.t.blocked == 1 << SIGUSR1 - 1
    assert p.t.saved_mask == 0


def test_poll_errors(p: Program) -> None:
    """Time, mask, count, array."""
    assert p.error("poll", BAD, 1 << 30, 0) is EINVAL
    assert p.error("poll", BAD, 1, 0) is EFAULT
    assert p.error("ppoll", BAD, 1 << 30, BAD, BAD, 4) is EFAULT
    assert p.error("ppoll", BAD, 1 << 30, NEGATIVE, BAD, 4) is EINVAL
    assert p.error("ppoll", BAD, 1, 0, BAD, 4) is EINVAL
    assert p.error("ppoll", BAD, 1, 0, BAD, 8) is EFAULT


def test_select(p: Program) -> None:
    """Three sets of bits; the time that is left is written back."""
    r, w = p.pipe()
    reads, writes = p.zeros(8), p.zeros(8)
    p.t.mm.copy_out(reads, bytes([1 << r]))
    p.t.mm.copy_out(writes, bytes([1 << w]))
    assert p.ok("select", 2, reads, writes, 0, 0) == 1
    assert (p.number(reads, 8), p.number(writes, 8)) == (0, 1 << w)
    p.t.mm.copy_out(reads, bytes([1 << r]))
    time = p.put(TIMESPEC.pack(5, 0))
    p.wait("select", 2, reads, 0, 0, time)
    p.box.host.now_ns += 2_000_000_000
    p.ok("write", w, b"x", 1)
    assert p.resume() == 1
    seconds, micros = p.fields(TIMESPEC, time)
    assert (seconds, micros > 990_000) == (2, True)


def test_select_interrupted(p: Program) -> None:
    """A signal leaves the time that is left, too."""
    time = p.put(TIMESPEC.pack(5, 0))
    p.wait("pselect6", 0, 0, 0, 0, time, 0)
    p.box.host.now_ns += 4_000_000_000
    assert p.interrupt() is ERESTARTNOHAND
    assert p.fields(TIMESPEC, time)[0] == 0


def test_select_errors(p: Program) -> None:
    """Time, count, sets, descriptors; pselect6 reads its pair of mask and size before the time."""
    assert p.error("select", -1, BAD, 0, 0, BAD) is EFAULT
    assert p.error("select", -1, BAD, 0, 0, NEGATIVE) is EINVAL
    assert p.error("select", -1, BAD, 0, 0, 0) is EINVAL
    assert p.error("select", 1, BAD, 0, 0, 0) is EFAULT
    assert p.error("select", 1, b"\1" + bytes(7), 0, 0, 0) is EBADF
    assert p.error("pselect6", 0, 0, 0, 0, NEGATIVE, BAD) is EFAULT
    assert p.error("pselect6", 0, 0, 0, 0, NEGATIVE, BAD.to_bytes(8, "little") + bytes([4, *bytes(7)])) is EINVAL
    assert p.error("pselect6", 0, 0, 0, 0, NOW, BAD.to_bytes(8, "little") + bytes([4, *bytes(7)])) is EINVAL
    assert p.error("pselect6", 0, 0, 0, 0, NOW, BAD.to_bytes(8, "little") + bytes([8, *bytes(7)])) is EFAULT


def test_epoll(p: Program) -> None:
    """A wait ends with an event of a file, and returns its data."""
    r, w = p.pipe()
    ep, events = p.ok("epoll_create", 1), p.zeros(24)
    p.ok("epoll_ctl", ep, EPOLL_CTL_ADD, r, EPOLL_EVENT.pack(EPOLLIN, 77))
    pending = p.wait("epoll_wait", ep, events, 2, -1)
    assert (pending.attempt, pending.restart) == (poll.epoll_on, EINTR)
    p.ok("write", w, b"x", 1)
    assert p.resume() == 1
    assert p.fields(EPOLL_EVENT, events) == (EPOLLIN, 77)
    p.ok("epoll_ctl", ep, EPOLL_CTL_MOD, r, EPOLL_EVENT.pack(EPOLLOUT, 1))
    assert p.ok("epoll_pwait", ep, events, 2, 0, 0, 0) == 0
    p.ok("epoll_ctl", ep, EPOLL_CTL_DEL, r, 0)
    pending = p.wait("epoll_pwait2", ep, events, 2, TIMESPEC.pack(1, 0), 0, 0)
    p.pass_deadline()
    assert p.resume() == 0


def test_epoll_errors(p: Program) -> None:
    """The event is read, then both descriptors looked up, then compared; the mask counts before all of a wait."""
    file, ep = p.open(b"/a", O_CREAT | O_RDWR), p.ok("epoll_create1", 0)
    r, _ = p.pipe()
    event = EPOLL_EVENT.pack(EPOLLIN, 0)
    assert p.error("epoll_create", 0) is EINVAL
    assert p.error("epoll_create1", 1) is EINVAL
    assert p.error("epoll_ctl", NO_FD, EPOLL_CTL_ADD, NO_FD, BAD) is EFAULT
    assert p.error("epoll_ctl", NO_FD, EPOLL_CTL_DEL, NO_FD, BAD) is EBADF
    assert p.error("epoll_ctl", ep, EPOLL_CTL_ADD, NO_FD, event) is EBADF
    assert p.error("epoll_ctl", file, EPOLL_CTL_ADD, file, event) is EPERM
    assert p.error("epoll_ctl", file, EPOLL_CTL_ADD, r, event) is EINVAL
    assert p.error("epoll_ctl", ep, EPOLL_CTL_ADD, ep, event) is EINVAL
    assert p.error("epoll_ctl", ep, 9, r, event) is EINVAL
    assert p.error("epoll_ctl", ep, EPOLL_CTL_DEL, r, 0) is ENOENT
    assert p.error("epoll_ctl", ep, EPOLL_CTL_MOD, r, event) is ENOENT
    p.ok("epoll_ctl", ep, EPOLL_CTL_ADD, r, event)
    assert p.error("epoll_ctl", ep, EPOLL_CTL_ADD, r, event) is EEXIST
    assert p.error("epoll_wait", NO_FD, BAD, 0, 0) is EBADF
    assert p.error("epoll_wait", ep, BAD, 0, 0) is EINVAL
    assert p.error("epoll_wait", file, -4096, 1, 0) is EFAULT
    assert p.error("epoll_wait", file, BAD, 1, 0) is EINVAL
    assert p.error("epoll_pwait", NO_FD, BAD, 0, 0, BAD, 8) is EFAULT
    assert p.error("epoll_pwait2", NO_FD, BAD, 0, BAD, BAD, 4) is EFAULT


def test_masks_never_block_sigkill(p: Program) -> None:
    """The mask of a wait leaves SIGKILL out."""
    p.wait("ppoll", 0, 0, TIMESPEC.pack(1, 0), (1 << SIGKILL - 1).to_bytes(8, "little"), 8)
    assert p.t.blocked == 0
