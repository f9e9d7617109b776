"""Handlers of `syscalls.fcntl`: descriptors and what is set on them."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import fcntl
from sentry_abi import fcntl as f
from sentry_abi.errors import EBADF, EFAULT, EINVAL, EMFILE, ENOTTY, EPERM
from sentry_abi.ioctl import FIOCLEX, FIONBIO, FIONCLEX, FIONREAD
from sentry_abi.resource import RLIMIT_NOFILE
from sentry_abi.structs import F_OWNER_EX


def test_duplicates(p: Program) -> None:
    """Dup takes the lowest number, dup2 and dup3 the one that is asked for, F_DUPFD the lowest from a number on."""
    fd = p.open(b"/a", f.O_CREAT | f.O_RDWR)
    file = p.t.files.get(fd)
    assert p.ok("dup", fd) == 1
    assert p.ok("dup2", fd, 7) == 7
    assert p.ok("dup2", fd, fd) == fd
    assert p.ok("dup3", fd, 8, f.O_CLOEXEC) == 8
    assert p.ok("fcntl", fd, f.F_DUPFD, 7) == 9
    assert p.ok("fcntl", fd, f.F_DUPFD_CLOEXEC, 20) == 20
    assert [p.t.files.cloexec(n) for n in (1, 7, 8, 9, 20)] == [False, False, True, False, True]
    assert all(p.t.files.get(n) is file for n in (0, 1, 7, 8, 9, 20))
    assert p.ok("close", 7) == 0
    assert p.error("close", 7) is EBADF


def test_duplicate_errors(p: Program) -> None:
    """Dup3 looks at its flags and numbers first; beyond the limit is EBADF for dup2 and EINVAL for F_DUPFD."""
    fd = p.open(b"/a", f.O_CREAT | f.O_RDWR)
    assert p.error("dup", NO_FD) is EBADF
    assert p.error("dup3", NO_FD, 5, 1) is EINVAL
    assert p.error("dup3", NO_FD, NO_FD, 0) is EINVAL
    assert p.error("dup2", NO_FD, NO_FD) is EBADF
    assert p.error("dup2", fd, -1) is EBADF
    assert p.error("dup3", fd, 1 << 30, 0) is EBADF
    assert p.error("fcntl", fd, f.F_DUPFD, -1) is EINVAL
    assert p.error("fcntl", fd, f.F_DUPFD, 1 << 20) is EINVAL
    p.t.limits.set(RLIMIT_NOFILE, 1, 1, privileged=True)
    assert p.error("dup", fd) is EMFILE


def test_close_range(p: Program) -> None:
    """A range is closed or marked; numbers are unsigned."""
    fd = p.open(b"/a", f.O_CREAT | f.O_RDWR)
    for number in (3, 4, 5):
        p.ok("dup2", fd, number)
    p.ok("close_range", 4, 0xFFFF_FFFF, 4)
    assert p.t.files.cloexec(5)
    p.ok("close_range", 4, -1, 0)
    assert [number for number, _ in p.t.files] == [0, 3]
    assert p.error("close_range", 5, 4, 0) is EINVAL
    assert p.error("close_range", 0, 1, 8) is EINVAL
    p.t.files.users += 1
    shared = p.t.files
    p.ok("close_range", 0, 9, 2)
    assert (len(shared), len(p.t.files)) == (2, 0)


def test_flags(p: Program) -> None:
    """F_SETFL changes only what can be; F_SETFD is the number's, not the file's."""
    fd = p.open(b"/a", f.O_CREAT | f.O_RDWR)
    p.ok("fcntl", fd, f.F_SETFL, f.O_APPEND | f.O_WRONLY | f.O_CREAT)
    assert p.ok("fcntl", fd, f.F_GETFL, 0) & (f.O_ACCMODE | f.O_APPEND | f.O_CREAT) == f.O_RDWR | f.O_APPEND
    p.ok("fcntl", fd, f.F_SETFD, f.FD_CLOEXEC)
    assert p.ok("fcntl", fd, f.F_GETFD, 0) == f.FD_CLOEXEC
    p.ok("ioctl", fd, FIONCLEX, 0)
    assert fcntl.fcntl(p.t, fd, f.F_GETFD, 0) == 0
    p.ok("ioctl", fd, FIOCLEX, 0)
    p.ok("ioctl", fd, FIONBIO, b"\1\0\0")
    assert p.t.files.get(fd).flags & f.O_NONBLOCK


def test_more_commands(p: Program) -> None:
    """Owner, signal, lease, capacity of a pipe."""
    fd, buf = p.open(b"/a", f.O_CREAT | f.O_RDWR), p.zeros(8)
    p.ok("fcntl", fd, f.F_SETOWN, -5)
    assert p.ok("fcntl", fd, f.F_GETOWN, 0) == -5
    p.ok("fcntl", fd, f.F_SETOWN_EX, F_OWNER_EX.pack(f.F_OWNER_PID, 6))
    p.ok("fcntl", fd, f.F_GETOWN_EX, buf)
    assert p.fields(F_OWNER_EX, buf) == (f.F_OWNER_PID, 6)
    p.ok("fcntl", fd, f.F_SETSIG, 10)
    assert p.ok("fcntl", fd, f.F_GETSIG, 0) == 10
    assert p.ok("fcntl", fd, f.F_GETLEASE, 0) == f.F_UNLCK
    end = p.pipe()[0]
    assert p.ok("fcntl", end, f.F_SETPIPE_SZ, 5000) == 8192
    assert p.ok("fcntl", end, f.F_GETPIPE_SZ, 0) == 8192


def test_fcntl_errors(p: Program) -> None:
    """O_PATH is refused before the command is looked at; a seal needs a file open for writing, then a known one."""
    fd = p.open(b"/a", f.O_CREAT | f.O_RDWR)
    place = p.open(b"/a", f.O_PATH)
    only_read = p.open(b"/a", f.O_RDONLY)
    assert p.error("fcntl", NO_FD, 9999, 0) is EBADF
    assert p.error("fcntl", fd, 9999, 0) is EINVAL
    assert p.error("fcntl", place, 9999, 0) is EBADF
    assert p.error("fcntl", fd, f.F_SETPIPE_SZ, 4096) is EBADF
    assert p.error("fcntl", only_read, f.F_ADD_SEALS, 64) is EPERM
    assert p.error("fcntl", fd, f.F_ADD_SEALS, 64) is EINVAL
    assert p.error("fcntl", fd, f.F_SETSIG, 65) is EINVAL
    assert p.error("fcntl", fd, f.F_GETLK, BAD) is EFAULT
    assert p.error("fcntl", fd, f.F_SETOWN_EX, BAD) is EFAULT
    assert p.error("ioctl", NO_FD, FIONBIO, BAD) is EBADF
    assert p.error("ioctl", place, FIONBIO, BAD) is EBADF
    assert p.error("ioctl", fd, FIONBIO, BAD) is EFAULT
    assert p.error("ioctl", fd, FIONREAD, BAD) is EFAULT
    assert p.error("ioctl", fd, 0x1234, 0) is ENOTTY


def test_bytes_left(p: Program) -> None:
    """FIONREAD of a file is what lies behind the position."""
    fd, buf = p.open(b"/a", f.O_CREAT | f.O_RDWR), p.zeros(4)
    p.ok("write", fd, b"hello", 5)
    p.ok("lseek", fd, 2, 0)
    p.ok("ioctl", fd, FIONREAD, buf)
    assert p.number(buf) == 3
