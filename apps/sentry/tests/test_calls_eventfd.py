"""Handlers of `syscalls.eventfd`."""

from apps.sentry.tests.plain import Program
from sentry.syscalls import eventfd
from sentry_abi.errors import EAGAIN, EINVAL, EMFILE
from sentry_abi.fcntl import O_CLOEXEC, O_NONBLOCK
from sentry_abi.poll import EFD_SEMAPHORE
from sentry_abi.resource import RLIMIT_NOFILE


def test_counts(p: Program) -> None:
    """The first count is 32 bits wide; a read takes all of it, or one with EFD_SEMAPHORE."""
    buf = p.zeros(8)
    fd = p.ok("eventfd", 0xFFFF_FFFF_0000_0005)
    assert p.ok("read", fd, buf, 8) == 8
    assert p.number(buf, 8) == 5
    many = p.ok("eventfd2", 2, EFD_SEMAPHORE | O_NONBLOCK)
    for _ in range(2):
        assert p.ok("read", many, buf, 8) == 8
        assert p.number(buf, 8) == 1
    assert p.error("read", many, buf, 8) is EAGAIN


def test_waits(p: Program) -> None:
    """A read of nothing waits for a write."""
    fd, buf = p.ok("eventfd", 0), p.zeros(8)
    p.wait("read", fd, buf, 8)
    assert not p.woken()
    p.ok("write", fd, (7).to_bytes(8, "little"), 8)
    assert p.resume() == 8
    assert p.number(buf, 8) == 7


def test_errors(p: Program) -> None:
    """Unknown flags are refused; a full table leaves nothing behind."""
    assert p.error("eventfd2", 0, 2) is EINVAL
    assert eventfd.eventfd2(p.t, 0, O_CLOEXEC) == 0
    assert p.t.files.cloexec(0)
    p.t.limits.set(RLIMIT_NOFILE, 1, 1, privileged=True)
    assert p.error("eventfd", 0) is EMFILE
    assert len(p.t.files) == 1
