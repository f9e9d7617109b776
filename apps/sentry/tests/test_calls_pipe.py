"""Handlers of `syscalls.pipe`."""

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import pipe
from sentry_abi.errors import EFAULT, EINVAL, EMFILE
from sentry_abi.fcntl import O_CLOEXEC, O_DIRECT, O_NONBLOCK
from sentry_abi.resource import RLIMIT_NOFILE


def test_ends(p: Program) -> None:
    """The reading end comes first; both have the flags, packets only the writing one."""
    fds = p.zeros(8)
    p.ok("pipe", fds)
    assert (p.number(fds), p.number(fds + 4)) == (0, 1)
    assert pipe.pipe2(p.t, fds, O_CLOEXEC | O_NONBLOCK | O_DIRECT) == 0
    r, w = p.number(fds), p.number(fds + 4)
    assert p.t.files.cloexec(r)
    assert p.t.files.get(r).flags & (O_NONBLOCK | O_DIRECT) == O_NONBLOCK
    assert p.t.files.get(w).flags & (O_NONBLOCK | O_DIRECT) == O_NONBLOCK | O_DIRECT
    p.ok("write", w, b"abc", 3)
    p.ok("write", w, b"de", 2)
    buf = p.zeros(8)
    assert [p.ok("read", r, buf, 8) for _ in range(2)] == [3, 2]


def test_errors(p: Program) -> None:
    """Flags before the address; nothing is left behind."""
    assert p.error("pipe2", BAD, 1) is EINVAL
    assert p.error("pipe2", BAD, 0) is EFAULT
    assert p.error("pipe", BAD) is EFAULT
    p.t.limits.set(RLIMIT_NOFILE, 1, 1, privileged=True)
    assert p.error("pipe", p.zeros(8)) is EMFILE
    assert len(p.t.files) == 0
