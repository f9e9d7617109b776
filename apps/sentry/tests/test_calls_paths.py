"""Handlers of `syscalls.paths`: names."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import paths
from sentry_abi.errors import (
    EACCES,
    EBADF,
    EBUSY,
    EEXIST,
    EFAULT,
    EINVAL,
    EISDIR,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
)
from sentry_abi.fcntl import (
    AT_FDCWD,
    AT_REMOVEDIR,
    O_CREAT,
    O_NOFOLLOW,
    O_PATH,
    O_RDWR,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
)
from sentry_abi.stat import S_IFDIR, S_IFREG


def test_names(p: Program) -> None:
    """Make, link, move, read and remove, by path and by descriptor."""
    p.ok("mkdir", b"/d", 0o777)
    d = p.open(b"/d", O_PATH)
    p.ok("mkdirat", d, b"sub", 0o777)
    p.ok("mknodat", d, b"f", S_IFREG | 0o644, 0)
    p.ok("mknod", b"/d/g", 0o644, 0)
    p.ok("link", b"/d/f", b"/d/h")
    p.ok("linkat", d, b"f", AT_FDCWD, b"/i", 0)
    p.ok("rename", b"/i", b"/j")
    p.ok("renameat", AT_FDCWD, b"/j", d, b"k")
    assert p.error("renameat2", d, b"k", d, b"h", RENAME_NOREPLACE) is EEXIST
    p.ok("renameat2", d, b"k", d, b"sub", RENAME_EXCHANGE)
    p.ok("rmdir", b"/d/k")
    p.ok("symlink", b"target", b"/s")
    p.ok("symlinkat", b"target", d, b"s")
    buf = p.zeros(16)
    assert p.ok("readlink", b"/s", buf, 3) == 3
    assert p.get(buf, 4) == b"tar\0"
    assert p.ok("readlinkat", p.open(b"/d/s", O_PATH | O_NOFOLLOW), b"", buf, 16) == 6
    for name in (b"f", b"g", b"h", b"sub", b"s"):
        p.ok("unlinkat", d, name, 0)
    assert paths.unlinkat(p.t, AT_FDCWD, p.put(b"/d\0"), AT_REMOVEDIR) == 0


def test_make_errors(p: Program) -> None:
    """The path's text, the descriptor, then what is there."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    assert p.error("mkdirat", NO_FD, BAD, 0) is EFAULT
    assert p.error("mkdirat", NO_FD, b"x", 0) is EBADF
    assert p.error("mkdirat", fd, b"x", 0) is ENOTDIR
    assert p.error("mkdir", b"/a", 0) is EEXIST
    assert p.error("mkdir", b"/nope/x", 0) is ENOENT
    assert p.error("mknod", b"/x", S_IFDIR, 0) is EPERM
    assert p.error("mknod", BAD, S_IFDIR, 0) is EPERM
    assert p.error("mknodat", NO_FD, BAD, 0o170000, 0) is EINVAL
    assert p.error("symlinkat", BAD, NO_FD, b"x") is EFAULT
    assert p.error("symlinkat", b"", NO_FD, BAD) is ENOENT
    p.become(1000)
    assert p.error("mkdir", b"/x", 0) is EACCES


def test_remove_errors(p: Program) -> None:
    """Unknown flags count before the path."""
    p.ok("mkdir", b"/d", 0o755)
    p.ok("mkdir", b"/d/e", 0o755)
    p.open(b"/a", O_CREAT | O_RDWR)
    assert p.error("unlinkat", NO_FD, BAD, 1) is EINVAL
    assert p.error("unlinkat", NO_FD, b"x", 0) is EBADF
    assert p.error("unlink", b"/d") is EISDIR
    assert p.error("rmdir", b"/a") is ENOTDIR
    assert p.error("rmdir", b"/d") is ENOTEMPTY
    assert p.error("rmdir", b"/") is EBUSY
    assert p.error("rmdir", b"/d/.") is EINVAL


def test_rename_and_link_errors(p: Program) -> None:
    """Flags first. The old name of a link, the way to that of a rename, counts before the text of the new one."""
    p.ok("mkdir", b"/d", 0o755)
    p.open(b"/a", O_CREAT | O_RDWR)
    assert p.error("renameat2", AT_FDCWD, BAD, AT_FDCWD, b"x", 99) is EINVAL
    assert p.error("renameat2", AT_FDCWD, BAD, AT_FDCWD, b"x", 3) is EINVAL
    assert p.error("renameat2", AT_FDCWD, BAD, AT_FDCWD, b"x", 0) is EFAULT
    assert p.error("rename", b"/nope", b"/x") is ENOENT
    assert p.error("renameat", NO_FD, b"x", AT_FDCWD, BAD) is EBADF
    assert p.error("renameat", AT_FDCWD, b"", AT_FDCWD, BAD) is ENOENT
    assert p.error("rename", b"/nope/x", BAD) is ENOENT
    assert p.error("rename", b"/a/x", BAD) is ENOTDIR
    assert p.error("rename", b"/nope", BAD) is EFAULT
    assert p.error("rename", b"/a", b"/d") is EISDIR
    assert p.error("rename", b"/d", b"/a") is ENOTDIR
    assert p.error("linkat", AT_FDCWD, BAD, AT_FDCWD, BAD, 0x9000) is EINVAL
    assert p.error("linkat", AT_FDCWD, b"/nope", AT_FDCWD, BAD, 0) is ENOENT
    assert p.error("linkat", AT_FDCWD, b"/a", AT_FDCWD, BAD, 0) is EFAULT
    assert p.error("link", b"/d", b"/l") is EPERM
    assert p.error("link", b"/a", b"/d") is EEXIST


def test_readlink_errors(p: Program) -> None:
    """The size first; an empty path is no link for the working directory."""
    p.open(b"/a", O_CREAT | O_RDWR)
    assert p.error("readlink", BAD, BAD, 0) is EINVAL
    assert p.error("readlinkat", NO_FD, BAD, BAD, 1) is EFAULT
    assert p.error("readlinkat", NO_FD, b"", BAD, 1) is EBADF
    assert p.error("readlinkat", AT_FDCWD, b"", BAD, 1) is ENOENT
    assert p.error("readlink", b"/a", BAD, 1) is EINVAL
    p.ok("symlink", b"x", b"/s")
    assert p.error("readlink", b"/s", BAD, 1) is EFAULT
