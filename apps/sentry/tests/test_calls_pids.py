"""Handlers of `syscalls.pids`: ids of processes, groups and sessions."""

from apps.sentry.tests.plain import NO_FD, Program
from sentry.syscalls import pids
from sentry_abi.errors import EACCES, EBADF, EINVAL, EPERM, ESRCH
from sentry_abi.fcntl import O_CREAT, O_RDWR


def test_own(p: Program) -> None:
    """The first process is 1, with no parent, in a session of its own."""
    child = p.child()
    assert [p.ok(call) for call in ("getpid", "gettid", "getppid", "getpgrp")] == [1, 1, 0, 1]
    assert [child.ok(call) for call in ("getpid", "getppid", "getpgrp")] == [2, 1, 1]
    assert p.ok("set_tid_address", 0x1234) == 1
    assert p.t.clear_tid == 0x1234
    assert p.ok("getpgid", 2) == p.ok("getsid", 2) == 1
    assert pids.getpgid(p.t, 0) == 1
    for call in ("getpgid", "getsid"):
        assert p.error(call, 999) is ESRCH
        assert p.error(call, -1) is ESRCH


def test_setpgid(p: Program) -> None:
    """A process makes its children lead groups, until they execute."""
    child = p.child()
    p.ok("setpgid", 2, 0)
    assert p.ok("getpgid", 2) == 2
    p.ok("setpgid", 2, 1)
    assert p.error("setpgid", 999, -1) is EINVAL
    assert p.error("setpgid", 999, 0) is ESRCH
    assert p.error("setpgid", 1, 0) is EPERM
    assert p.error("setpgid", 2, 999) is EPERM
    assert child.error("setpgid", 1, 0) is ESRCH
    child.t.group.did_exec = True
    assert p.error("setpgid", 2, 999) is EACCES
    child.ok("setsid")
    assert p.error("setpgid", 2, 2) is EPERM


def test_setsid(p: Program) -> None:
    """The leader of a group cannot, its member can."""
    child = p.child()
    assert p.error("setsid") is EPERM
    assert child.ok("setsid") == 2
    assert child.ok("getsid", 0) == 2


def test_kcmp(p: Program) -> None:
    """Equal is 0; processes, then the kind, then descriptors are looked at."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    same = p.ok("dup", fd)
    other = p.open(b"/a", O_RDWR)
    p.child()
    assert p.ok("kcmp", 1, 1, 0, fd, same) == 0
    assert p.ok("kcmp", 1, 1, 0, fd, other) == 3 - p.ok("kcmp", 1, 1, 0, other, fd)
    assert p.ok("kcmp", 1, 1, 2, 0, 0) == 0
    assert p.ok("kcmp", 1, 2, 2, 0, 0) in {1, 2}
    assert p.error("kcmp", 999, 1, 99, 0, 0) is ESRCH
    assert p.error("kcmp", 1, 1, 99, 0, 0) is EINVAL
    assert p.error("kcmp", 1, 1, 0, NO_FD, 0) is EBADF
