"""Handlers of `syscalls.xattrs`: extended attributes."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import xattrs
from sentry_abi.errors import (
    E2BIG,
    EACCES,
    EBADF,
    EEXIST,
    EFAULT,
    EINVAL,
    ENODATA,
    ENOENT,
    EOPNOTSUPP,
    EPERM,
    ERANGE,
)
from sentry_abi.fcntl import O_CREAT, O_PATH, O_RDWR

CREATE, REPLACE = 1, 2


def test_values(p: Program) -> None:
    """Set, get, list and remove, by path, by link and by descriptor."""
    fd, buf = p.open(b"/a", O_CREAT | O_RDWR), p.zeros(64)
    p.ok("symlink", b"/a", b"/link")
    p.ok("setxattr", b"/link", b"user.one", b"1", 1, CREATE)
    p.ok("fsetxattr", fd, b"user.two", b"22", 2, 0)
    p.ok("lsetxattr", b"/a", b"user.one", b"111", 3, REPLACE)
    assert p.ok("getxattr", b"/a", b"user.one", buf, 64) == 3
    assert p.get(buf, 3) == b"111"
    assert p.ok("fgetxattr", fd, b"user.two", 0, 0) == 2
    assert p.ok("lgetxattr", b"/a", b"user.two", buf, 2) == 2
    for call, where in (("listxattr", b"/link"), ("llistxattr", b"/a"), ("flistxattr", fd)):
        length = p.ok(call, where, buf, 64)
        assert sorted(p.get(buf, length).split(b"\0")) == [b"", b"user.one", b"user.two"]
    p.ok("removexattr", b"/link", b"user.one")
    p.ok("lsetxattr", b"/a", b"user.one", b"", 0, 0)
    p.ok("lremovexattr", b"/a", b"user.one")
    assert xattrs.fremovexattr(p.t, fd, p.put(b"user.two\0")) == 0
    assert p.ok("flistxattr", fd, 0, 0) == 0
    p.ok("fsetxattr", fd, b"user.two", b"22", 2, 0)
    p.ok("fremovexattr", fd, b"user.two")


def test_order_of_errors(p: Program) -> None:
    """Flags, name, size, value, then the file, by descriptor too."""
    fd, place = p.open(b"/a", O_CREAT | O_RDWR), p.open(b"/a", O_PATH)
    assert p.error("setxattr", BAD, BAD, BAD, 1, 4) is EINVAL
    assert p.error("setxattr", b"/nope", b"", BAD, 1, 0) is ERANGE
    assert p.error("setxattr", b"/nope", b"user.a", BAD, 70_000, 0) is E2BIG
    assert p.error("setxattr", b"/nope", b"user.a", BAD, 1, 0) is EFAULT
    assert p.error("setxattr", b"/nope", b"user.a", 0, 0, 0) is ENOENT
    assert p.error("fsetxattr", NO_FD, BAD, BAD, 1, 4) is EINVAL
    assert p.error("fsetxattr", NO_FD, BAD, BAD, 1, 0) is EFAULT
    assert p.error("fsetxattr", NO_FD, b"user.a", 0, 0, 0) is EBADF
    assert p.error("fsetxattr", place, b"user.a", 0, 0, 0) is EBADF
    assert p.error("getxattr", b"/nope", BAD, 0, 0) is EFAULT
    assert p.error("getxattr", b"/nope", b"", 0, 0) is ERANGE
    assert p.error("fgetxattr", NO_FD, BAD, 0, 0) is EFAULT
    assert p.error("fgetxattr", NO_FD, b"user.a", 0, 0) is EBADF
    assert p.error("fremovexattr", NO_FD, BAD) is EFAULT
    assert p.error("fremovexattr", NO_FD, b"user.a") is EBADF
    assert p.error("flistxattr", NO_FD, BAD, 5) is EBADF
    assert p.error("fgetxattr", fd, b"user.a", 0, 0) is ENODATA


def test_names_and_sizes(p: Program) -> None:
    """Who may, then which name, then what is there, then whether it fits."""
    fd = p.open(b"/a", O_CREAT | O_RDWR, 0o600)
    p.ok("fsetxattr", fd, b"user.a", b"12", 2, 0)
    assert p.error("fsetxattr", fd, b"user.a", b"", 0, CREATE) is EEXIST
    assert p.error("fsetxattr", fd, b"user.b", b"", 0, REPLACE) is ENODATA
    assert p.error("fsetxattr", fd, b"nope.a", b"", 0, 0) is EOPNOTSUPP
    assert p.error("fsetxattr", fd, b"user.", b"", 0, 0) is EINVAL
    assert p.error("fgetxattr", fd, b"user.a", BAD, 1) is ERANGE
    assert p.error("fgetxattr", fd, b"user.a", BAD, 2) is EFAULT
    assert p.error("flistxattr", fd, BAD, 1) is ERANGE
    assert p.error("fgetxattr", p.pipe()[0], b"user.a", 0, 0) is ENODATA
    assert p.error("fsetxattr", p.pipe()[0], b"user.a", 0, 0, 0) is EPERM
    p.become(1000)
    assert p.error("fsetxattr", fd, b"trusted.a", b"", 0, 0) is EPERM
    assert p.error("fgetxattr", fd, b"trusted.a", 0, 0) is ENODATA
    assert p.error("fsetxattr", fd, b"user.a", b"", 0, 0) is EACCES
