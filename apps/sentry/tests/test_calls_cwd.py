"""Handlers of `syscalls.cwd`: where paths begin."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import cwd
from sentry_abi.errors import EACCES, EBADF, EFAULT, ENOENT, ENOTDIR, EPERM, ERANGE
from sentry_abi.fcntl import O_CREAT, O_PATH, O_RDWR


def where(p: Program) -> bytes:
    """Return the working directory."""
    buf = p.zeros(100)
    return p.get(buf, p.ok("getcwd", buf, 100))


def test_directories(p: Program) -> None:
    """Chdir and fchdir move the working directory, chroot the root; O_PATH suffices."""
    p.ok("mkdir", b"/a", 0o755)
    p.ok("mkdir", b"/a/b", 0o755)
    p.ok("chdir", b"/a")
    assert where(p) == b"/a\0"
    p.ok("fchdir", p.open(b"/a/b", O_PATH))
    assert where(p) == b"/a/b\0"
    p.ok("chroot", b"/a")
    assert where(p) == b"/b\0"
    p.ok("chdir", b"/..")
    assert where(p) == b"/\0"


def test_errors(p: Program) -> None:
    """A file is no directory; root's privilege counts after the path, the size of the buffer before its address."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    assert p.error("chdir", BAD) is EFAULT
    assert p.error("chdir", b"/nope") is ENOENT
    assert p.error("chdir", b"/a") is ENOTDIR
    assert p.error("fchdir", NO_FD) is EBADF
    assert p.error("fchdir", fd) is ENOTDIR
    assert p.error("fchdir", p.pipe()[0]) is ENOTDIR
    assert p.error("getcwd", BAD, 1) is ERANGE
    assert p.error("getcwd", BAD, 2) is EFAULT
    p.ok("mkdir", b"/closed", 0o700)
    p.become(1000)
    assert p.error("chdir", b"/closed") is EACCES
    assert p.error("chroot", b"/nope") is ENOENT
    assert p.error("chroot", b"/") is EPERM


def test_removed_directory(p: Program) -> None:
    """A working directory that is removed has no name."""
    p.ok("mkdir", b"/a", 0o755)
    p.ok("chdir", b"/a")
    p.ok("rmdir", b"/a")
    assert p.error("getcwd", BAD, 100) is ENOENT


def test_umask(p: Program) -> None:
    """Nine bits are kept; the old ones are the answer."""
    assert p.ok("umask", 0xFFFF_FFFF_FFFF_F017) == 0o022
    assert cwd.umask(p.t, 0) == 0o027
