"""Handlers of `syscalls.openat`: opening."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import openat
from sentry_abi.errors import (
    E2BIG,
    EACCES,
    EBADF,
    EEXIST,
    EFAULT,
    EINVAL,
    EISDIR,
    ELOOP,
    EMFILE,
    ENODEV,
    ENOENT,
    ENOTDIR,
    ENXIO,
    ERESTARTSYS,
    EXDEV,
)
from sentry_abi.fcntl import (
    AT_FDCWD,
    MFD_CLOEXEC,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_RDONLY,
    O_RDWR,
    O_TRUNC,
    O_WRONLY,
)
from sentry_abi.resource import RLIMIT_NOFILE
from sentry_abi.stat import S_IFIFO
from sentry_abi.structs import OPEN_HOW

RESOLVE_BENEATH, RESOLVE_IN_ROOT = 8, 16


def test_opens(p: Program) -> None:
    """The lowest number, O_CLOEXEC on it; creat truncates; a descriptor begins a path."""
    p.ok("mkdir", b"/d", 0o755)
    d = p.open(b"/d", O_RDONLY | O_DIRECTORY)
    fd = p.ok("openat", d, b"f", O_CREAT | O_RDWR | O_CLOEXEC, 0o640)
    assert (d, fd) == (0, 1)
    assert p.t.files.cloexec(fd)
    p.ok("write", fd, b"hello", 5)
    assert p.ok("open", b"/d/f", O_RDONLY) == 2
    p.ok("creat", b"/d/f", 0o600)
    assert p.t.files.get(fd).size() == 0
    assert p.ok("openat", NO_FD, b"/d/f", O_RDONLY) == 4, "an absolute path needs no descriptor"
    assert openat.open_(p.t, p.put(b"/d/f\0"), O_WRONLY | O_TRUNC, 0) == 5


def test_order_of_errors(p: Program) -> None:
    """Flags, path text, a free number, the descriptor, the walk."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    p.ok("mkdir", b"/d", 0o755)
    p.ok("symlink", b"/a", b"/link")
    assert p.error("openat", NO_FD, BAD, 0) is EFAULT
    assert p.error("openat", NO_FD, b"x", 0) is EBADF
    assert p.error("openat", fd, b"x", 0) is ENOTDIR
    assert p.error("openat", AT_FDCWD, b"", 0) is ENOENT
    assert p.error("openat", AT_FDCWD, b"/d", O_WRONLY) is EISDIR
    assert p.error("openat", AT_FDCWD, b"/d", O_CREAT | O_DIRECTORY) is EINVAL
    assert p.error("openat", AT_FDCWD, b"/nope/x", O_CREAT) is ENOENT
    assert p.error("openat", AT_FDCWD, b"/a", O_CREAT | O_EXCL) is EEXIST
    assert p.error("openat", AT_FDCWD, b"/a", O_DIRECTORY) is ENOTDIR
    assert p.error("openat", AT_FDCWD, b"/link", O_NOFOLLOW) is ELOOP
    p.t.limits.set(RLIMIT_NOFILE, 1, 1, privileged=True)
    assert p.error("open", b"/new", O_CREAT | O_RDWR) is EMFILE
    assert p.error("access", b"/new", 0) is ENOENT, "no file was made"
    p.ok("close", fd)
    p.become(1000)
    assert p.error("open", b"/new", O_CREAT | O_RDWR) is EACCES


def test_openat2(p: Program) -> None:
    """The structure may be larger, with zeros; what it says is checked before the path."""
    how = OPEN_HOW.pack(O_CREAT | O_RDWR, 0o600, 0)
    assert p.ok("openat2", AT_FDCWD, b"/a", how + bytes(8), 32) == 0
    assert p.error("openat2", AT_FDCWD, BAD, BAD, 23) is EINVAL
    assert p.error("openat2", AT_FDCWD, BAD, BAD, 5000) is E2BIG
    assert p.error("openat2", AT_FDCWD, BAD, BAD, 24) is EFAULT
    assert p.error("openat2", AT_FDCWD, BAD, how + b"\1", 25) is E2BIG
    assert p.error("openat2", AT_FDCWD, BAD, OPEN_HOW.pack(1 << 40, 0, 0), 24) is EINVAL
    assert p.error("openat2", AT_FDCWD, BAD, OPEN_HOW.pack(0, 0o600, 0), 24) is EINVAL
    assert p.error("openat2", AT_FDCWD, BAD, OPEN_HOW.pack(0, 0, 24), 24) is EINVAL
    assert p.error("openat2", AT_FDCWD, b"../a", OPEN_HOW.pack(0, 0, RESOLVE_BENEATH), 24) is EXDEV
    assert p.ok("openat2", AT_FDCWD, b"../a", OPEN_HOW.pack(0, 0, RESOLVE_IN_ROOT), 24) == 1


def test_fifo(p: Program) -> None:
    """The open of a FIFO waits for the other end; a signal gives it up."""
    p.ok("mknod", b"/fifo", S_IFIFO | 0o600, 0)
    assert p.error("open", b"/fifo", O_WRONLY | O_NONBLOCK) is ENXIO
    pending = p.wait("open", b"/fifo", O_RDONLY)
    assert pending.attempt is openat.open_on
    assert p.child().open(b"/fifo", O_WRONLY) == 0
    assert p.resume() == 0
    p.ok("mknod", b"/other", S_IFIFO | 0o600, 0)
    p.wait("open", b"/other", O_RDONLY)
    assert p.interrupt() is ERESTARTSYS
    assert len(p.t.files) == 1


def test_memfd(p: Program) -> None:
    """A file without a name; flags count before the name."""
    fd = p.ok("memfd_create", b"x", MFD_CLOEXEC)
    assert p.t.files.cloexec(fd)
    assert p.error("memfd_create", BAD, 0x100) is EINVAL
    assert p.error("memfd_create", BAD, -1) is EINVAL
    assert p.error("memfd_create", BAD, 4) is ENODEV
    assert p.error("memfd_create", BAD, 0) is EFAULT
    p.ok("memfd_create", b"x" * 249, 0)
    assert p.error("memfd_create", b"x" * 250, 0) is EINVAL
