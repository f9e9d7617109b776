"""Handlers of `syscalls.wait`: waiting for children."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import wait
from sentry_abi.errors import EBADF, ECHILD, EFAULT, EINVAL, ERESTARTSYS, ESRCH
from sentry_abi.fcntl import O_CREAT, O_RDWR
from sentry_abi.signal import SIGCHLD, SIGKILL
from sentry_abi.structs import RUSAGE
from sentry_abi.wait import P_ALL, P_PGID, P_PID, P_PIDFD, WEXITED, WNOHANG, WNOWAIT


def test_wait4(p: Program) -> None:
    """A wait ends with the end of a child, which is gone then."""
    child, status, usage = p.child(), p.zeros(4), p.zeros(RUSAGE.size)
    child.context.cpu_ns = 2_000_000_000
    pending = p.wait("wait4", -1, status, 0, usage)
    assert (pending.attempt, pending.restart, pending.deadline) == (wait.wait_again, ERESTARTSYS, None)
    assert p.ok("wait4", -1, 0, WNOHANG, 0) == 0
    child.call("exit_group", 3)
    assert p.resume() == child.t.tid
    assert p.number(status) == 3 << 8
    assert p.fields(RUSAGE, usage)[0] == 2
    assert p.error("wait4", -1, status, 0, 0) is ECHILD


def test_waitid(p: Program) -> None:
    """The siginfo names the child and how it ended; WNOWAIT leaves it."""
    child, info = p.child(), p.put(b"\xff" * 128)
    assert p.ok("waitid", P_PID, child.t.tid, info, WEXITED | WNOHANG, 0) == 0
    assert p.number(info) == 0
    p.ok("kill", child.t.tid, SIGKILL)
    child.call("exit", 0)
    p.ok("waitid", P_ALL, 0, info, WEXITED | WNOWAIT, 0)
    assert (p.number(info), p.number(info + 8), p.number(info + 16), p.number(info + 24)) == (
        SIGCHLD,
        2,
        child.t.tid,
        SIGKILL,
    )
    p.ok("waitid", P_PGID, 0, 0, WEXITED, 0)
    assert p.error("waitid", P_ALL, 0, 0, WEXITED, 0) is ECHILD


def test_pidfd(p: Program) -> None:
    """A pidfd is waited for as its process."""
    child = p.child()
    fd = p.ok("pidfd_open", child.t.tid, 0)
    p.wait("waitid", P_PIDFD, fd, 0, WEXITED, 0)
    child.call("exit_group", 0)
    assert p.resume() == 0


def test_errors(p: Program) -> None:
    """Options, then the kind and number, then children; a siginfo is written with zeros whatever happens."""
    file = p.open(b"/a", O_CREAT | O_RDWR)
    info = p.put(b"\xff" * 128)
    assert p.error("wait4", -0x8000_0000, 0, 16, 0) is EINVAL
    assert p.error("wait4", -0x8000_0000, 0, 0, 0) is ESRCH
    assert p.error("wait4", -1, BAD, 0, 0) is ECHILD
    assert p.error("waitid", 9, 0, 0, WEXITED, 0) is EINVAL
    assert p.error("waitid", P_ALL, 0, 0, 0, 0) is EINVAL
    assert p.error("waitid", P_PID, 0, 0, WEXITED, 0) is EINVAL
    assert p.error("waitid", P_PGID, -1, 0, WEXITED, 0) is EINVAL
    assert p.error("waitid", P_PIDFD, NO_FD, 0, WEXITED, 0) is EBADF
    assert p.error("waitid", P_PIDFD, file, 0, WEXITED, 0) is EBADF
    assert p.error("waitid", P_ALL, 0, info, WEXITED, 0) is ECHILD
    assert p.get(info, 29) == bytes(28) + b"\xff"
    assert p.error("waitid", P_ALL, 0, BAD, WEXITED, 0) is EFAULT
    child = p.child()
    child.call("exit_group", 0)
    assert p.error("wait4", -1, BAD, 0, 0) is EFAULT
    assert p.error("wait4", -1, 0, 0, 0) is ECHILD, "it is gone all the same"
