"""Handlers of `syscalls.stat`: attributes of files and file systems, directories."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import stat
from sentry_abi.errors import EBADF, EFAULT, EINVAL, ENOENT, ENOTDIR
from sentry_abi.fcntl import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    O_CREAT,
    O_DIRECTORY,
    O_PATH,
    O_RDONLY,
    O_RDWR,
)
from sentry_abi.stat import S_IFLNK, S_IFMT, S_IFREG
from sentry_abi.structs import DIRENT, DIRENT64, STAT, STATFS, STATX

TMPFS_MAGIC = 0x0102_1994


def test_stat(p: Program) -> None:
    """All ways to the same answer; lstat and AT_SYMLINK_NOFOLLOW see the link."""
    fd, buf = p.open(b"/a", O_CREAT | O_RDWR, 0o640), p.zeros(STAT.size)
    p.ok("write", fd, b"hello", 5)
    p.ok("symlink", b"/a", b"/link")
    for call, *args in (
        ("stat", b"/link", buf),
        ("fstat", fd, buf),
        ("newfstatat", AT_FDCWD, b"/link", buf, 0),
        ("newfstatat", fd, b"", buf, AT_EMPTY_PATH),
        ("newfstatat", p.open(b"/", O_PATH), b"a", buf, 0),
    ):
        p.ok(str(call), *args)
        fields = p.fields(STAT, buf)
        assert (fields[3], fields[7]) == (S_IFREG | 0o640, 5)
    p.ok("lstat", b"/link", buf)
    assert p.fields(STAT, buf)[3] & S_IFMT == S_IFLNK
    again = p.zeros(STAT.size)
    p.ok("newfstatat", AT_FDCWD, b"/link", again, AT_SYMLINK_NOFOLLOW)
    assert p.fields(STAT, again)[3] & S_IFMT == S_IFLNK


def test_stat_errors(p: Program) -> None:
    """Flags, text, descriptor, the buffer last."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    assert p.error("stat", BAD, BAD) is EFAULT
    assert p.error("stat", b"/nope", BAD) is ENOENT
    assert p.error("stat", b"/a/b", BAD) is ENOTDIR
    assert p.error("stat", b"/a", BAD) is EFAULT
    assert p.error("lstat", b"", BAD) is ENOENT
    assert p.error("fstat", NO_FD, BAD) is EBADF
    assert p.error("fstat", fd, BAD) is EFAULT
    assert p.error("newfstatat", NO_FD, BAD, BAD, 0x8000) is EINVAL
    assert p.error("newfstatat", NO_FD, BAD, BAD, -1) is EINVAL
    assert p.error("newfstatat", NO_FD, 0, BAD, -1) is EBADF
    assert p.error("newfstatat", fd, b"", BAD, -1) is EFAULT
    assert p.error("newfstatat", NO_FD, BAD, BAD, 0) is EFAULT
    assert p.error("newfstatat", NO_FD, b"x", BAD, 0) is EBADF
    assert p.error("newfstatat", fd, b"x", BAD, 0) is ENOTDIR


def test_statx(p: Program) -> None:
    """The fields of stat, device numbers apart; what cannot be asked for counts first."""
    p.open(b"/a", O_CREAT | O_RDWR, 0o640)
    buf = p.zeros(STATX.size)
    assert stat.statx(p.t, AT_FDCWD, p.put(b"/a\0"), 0, 0x7FF, buf) == 0
    assert p.fields(STATX, buf)[6] == S_IFREG | 0o640
    assert p.error("statx", NO_FD, BAD, 0x6000, 0, BAD) is EINVAL
    assert p.error("statx", NO_FD, BAD, 0, 1 << 31, BAD) is EINVAL
    assert p.error("statx", NO_FD, BAD, 0x8000, 0, BAD) is EINVAL
    assert p.error("statx", NO_FD, b"x", 0, 0, BAD) is EBADF
    assert p.error("statx", AT_FDCWD, b"/a", 0, 0, BAD) is EFAULT


def test_statfs(p: Program) -> None:
    """The file system of a path or of a descriptor."""
    fd, buf = p.open(b"/a", O_CREAT | O_RDWR), p.zeros(STATFS.size)
    p.ok("statfs", b"/a", buf)
    assert p.fields(STATFS, buf)[0] == TMPFS_MAGIC
    p.ok("fstatfs", fd, buf)
    assert p.fields(STATFS, buf)[0] == TMPFS_MAGIC
    assert p.error("statfs", b"/nope", BAD) is ENOENT
    assert p.error("statfs", b"/a", BAD) is EFAULT
    assert p.error("fstatfs", NO_FD, BAD) is EBADF
    assert p.error("fstatfs", fd, BAD) is EFAULT


def test_directories(p: Program) -> None:
    """As many records as fit; the next call goes on behind them; the old form has the type last."""
    for name in (b"/one", b"/two", b"/three"):
        p.open(name, O_CREAT | O_RDWR)
    d, buf = p.open(b"/", O_RDONLY | O_DIRECTORY), p.zeros(512)
    names = []
    while count := p.ok("getdents64", d, buf, 60):
        at = 0
        while at < count:
            _, _, length, _ = p.fields(DIRENT64, buf + at)
            names.append(p.get(buf + at + 19, length - 19).rstrip(b"\0"))
            at += length
    assert sorted(names) == [b".", b"..", b"one", b"three", b"two"]
    p.ok("lseek", d, 0, 0)
    assert p.ok("getdents", d, buf, 512)
    _, _, length = p.fields(DIRENT, buf)
    assert p.get(buf + length - 1, 1) == b"\4"


def test_directory_errors(p: Program) -> None:
    """No directory, too small a buffer, a bad one, a removed directory."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    p.ok("mkdir", b"/d", 0o755)
    d = p.open(b"/d", O_RDONLY)
    assert p.error("getdents64", NO_FD, BAD, 0) is EBADF
    assert p.error("getdents64", fd, BAD, 100) is ENOTDIR
    assert p.error("getdents64", d, BAD, 1) is EINVAL
    assert p.error("getdents64", d, BAD, -1) is EINVAL
    assert p.error("getdents64", d, BAD, 100) is EFAULT
    p.ok("rmdir", b"/d")
    assert p.error("getdents64", d, BAD, 100) is ENOENT
