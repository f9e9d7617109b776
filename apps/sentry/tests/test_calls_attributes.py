"""Handlers of `syscalls.attributes`: mode, owner, times, size and access."""

import struct

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import attributes
from sentry_abi.errors import EACCES, EBADF, EFAULT, EFBIG, EINVAL, EISDIR, ENOENT, EPERM
from sentry_abi.fcntl import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    O_CREAT,
    O_PATH,
    O_RDWR,
)
from sentry_abi.resource import RLIMIT_FSIZE
from sentry_abi.signal import SIGXFSZ
from sentry_abi.structs import STAT

UTIME_NOW = 0x3FFF_FFFF
UTIME_OMIT = 0x3FFF_FFFE


def stat(p: Program, path: bytes) -> tuple[int, ...]:
    """Return the fields of a file's struct stat."""
    buf = p.zeros(STAT.size)
    p.ok("lstat", path, buf)
    return p.fields(STAT, buf)


def test_mode(p: Program) -> None:
    """The four calls set the bits of chmod(2); a symbolic link leads to its file."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    p.ok("symlink", b"/a", b"/link")
    for call, args, mode in (
        ("chmod", (b"/link", 0o600), 0o600),
        ("fchmod", (fd, 0o1640), 0o1640),
        ("fchmodat", (AT_FDCWD, b"a", 0xF_FFFF_FFFF_0000 | 0o700), 0o700),
        ("fchmodat2", (fd, b"", 0o777, AT_EMPTY_PATH), 0o777),
    ):
        p.ok(call, *args)
        assert stat(p, b"/a")[3] & 0o7777 == mode
    assert attributes.chmod(p.t, p.put(b"/a\0"), 0o400) == 0


def test_mode_errors(p: Program) -> None:
    """Flags count before the path, the path before the descriptor that it begins at."""
    place = p.open(b"/", O_PATH)
    assert p.error("fchmodat2", NO_FD, BAD, 0, 1) is EINVAL
    assert p.error("fchmodat", NO_FD, BAD, 0) is EFAULT
    assert p.error("fchmodat", NO_FD, b"x", 0) is EBADF
    assert p.error("fchmod", place, 0) is EBADF
    assert p.error("chmod", b"/nope", 0) is ENOENT
    p.ok("mkdir", b"/d", 0o755)
    p.become(1000)
    assert p.error("chmod", b"/d", 0) is EPERM


def test_owner(p: Program) -> None:
    """-1 leaves an id, whatever is in the upper half of its register; a link's own owner is lchown's."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    p.ok("symlink", b"/a", b"/link")
    p.ok("chown", b"/link", 7, -1)
    p.ok("fchown", fd, 0xFFFF_FFFF, 8)
    assert stat(p, b"/a")[4:6] == (7, 8)
    p.ok("lchown", b"/link", 1, 2)
    assert stat(p, b"/link")[4:6] == (1, 2)
    p.ok("fchownat", fd, b"", 3, 4, AT_EMPTY_PATH)
    assert stat(p, b"/a")[4:6] == (3, 4)
    assert p.error("fchownat", NO_FD, BAD, 0, 0, 1) is EINVAL
    p.become(1000)
    assert p.error("chown", b"/a", 1000, 1000) is EPERM


def test_times(p: Program) -> None:
    """Now, left alone, and a time of its own."""
    p.open(b"/a", O_CREAT | O_RDWR)
    p.ok("utimensat", AT_FDCWD, b"/a", struct.pack("<4q", 5, 6, 0, UTIME_NOW), 0)
    fields = stat(p, b"/a")
    assert fields[10:12] == (5, 6)
    assert fields[12] > 1_000_000_000
    p.ok("utimensat", AT_FDCWD, b"/a", struct.pack("<4q", 0, UTIME_OMIT, 9, 1), 0)
    assert stat(p, b"/a")[10:14] == (5, 6, 9, 1)
    p.ok("utime", b"/a", struct.pack("<2q", 11, 12))
    assert stat(p, b"/a")[10:14] == (11, 0, 12, 0)
    p.ok("utimes", b"/a", struct.pack("<4q", 1, 2, 3, 4))
    assert stat(p, b"/a")[10:14] == (1, 2000, 3, 4000)
    p.ok("futimesat", AT_FDCWD, b"/a", 0)
    assert stat(p, b"/a")[10] > 1_000_000_000


def test_times_errors(p: Program) -> None:
    """The times are read before anything is looked at; a null path needs a descriptor and no flags."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    assert p.error("utimensat", NO_FD, b"x", BAD, 1) is EFAULT
    assert p.error("utimensat", NO_FD, b"x", 0, 1) is EINVAL
    assert p.error("utimensat", NO_FD, 0, 0, 0) is EBADF
    assert p.error("utimensat", AT_FDCWD, 0, 0, 0) is EFAULT
    assert p.error("utimensat", fd, 0, 0, AT_EMPTY_PATH) is EINVAL
    assert p.error("utimensat", AT_FDCWD, b"/nope", struct.pack("<4q", 0, -5, 0, 0), 0) is ENOENT
    assert p.error("utimensat", AT_FDCWD, b"/a", struct.pack("<4q", 0, -5, 0, 0), 0) is EINVAL
    assert p.error("utimes", b"/nope", struct.pack("<4q", 0, 1_000_000, 0, 0)) is EINVAL
    assert p.ok("utimensat", NO_FD, BAD, struct.pack("<4q", 0, UTIME_OMIT, 0, UTIME_OMIT), 99) == 0


def test_truncate(p: Program) -> None:
    """The length is signed, and what the file is counts before RLIMIT_FSIZE."""
    p.open(b"/a", O_CREAT | O_RDWR)
    p.ok("mkdir", b"/d", 0o755)
    p.ok("truncate", b"/a", 100)
    assert stat(p, b"/a")[7] == 100
    assert p.error("truncate", b"/nope", -1) is EINVAL
    p.t.limits.set(RLIMIT_FSIZE, 4096, 4096, privileged=True)
    assert p.error("truncate", b"/d", 1 << 20) is EISDIR
    assert not p.t.pending.mask
    assert p.error("truncate", b"/a", 4097) is EFBIG
    assert p.t.pending.mask == 1 << SIGXFSZ - 1
    p.become(1000)
    assert p.error("truncate", b"/a", 4097) is EACCES


def test_access(p: Program) -> None:
    """The real ids count, the effective ones with AT_EACCESS; a mode that there is not is refused first."""
    p.open(b"/a", O_CREAT | O_RDWR, 0o600)
    assert p.ok("access", b"/a", 6) == 0
    assert p.error("access", BAD, 8) is EINVAL
    assert p.error("faccessat2", NO_FD, BAD, 0, 1) is EINVAL
    assert p.error("faccessat2", NO_FD, b"", 0, AT_EMPTY_PATH) is EBADF
    assert p.error("access", b"/nope", 0) is ENOENT
    assert p.error("access", b"/a", 1) is EACCES
    p.ok("setresuid", 1000, 0, 0)
    assert p.error("faccessat", AT_FDCWD, b"/a", 4) is EACCES
    assert p.ok("faccessat2", AT_FDCWD, b"/a", 4, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0
