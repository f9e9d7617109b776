"""Handlers of `syscalls.mount`."""

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import mount
from sentry_abi.errors import EBUSY, EFAULT, EINVAL, ENODEV, ENOENT, ENOTDIR, EPERM, EROFS
from sentry_abi.fcntl import O_CREAT, O_RDWR
from sentry_abi.mount import MS_BIND, MS_MOVE, MS_RDONLY, MS_REMOUNT


def test_tmpfs(p: Program) -> None:
    """A tmpfs hides what is below it until it is unmounted; its size is an option."""
    p.ok("mkdir", b"/m", 0o755)
    p.open(b"/m/below", O_CREAT | O_RDWR)
    assert p.error("umount2", b"/m", 0) is EINVAL
    p.ok("mount", b"none", b"/m", b"tmpfs", 0, b"size=4k,mode=700")
    assert p.error("access", b"/m/below", 0) is ENOENT
    p.ok("mount", 0, b"/m", 0, MS_REMOUNT | MS_RDONLY, 0)
    assert p.error("mkdir", b"/m/x", 0) is EROFS
    p.ok("umount2", b"/m", 0)
    assert p.ok("access", b"/m/below", 0) == 0


def test_bind(p: Program) -> None:
    """A bind shows a directory in a second place."""
    p.ok("mkdir", b"/m", 0o755)
    p.ok("mkdir", b"/n", 0o755)
    p.open(b"/m/a", O_CREAT | O_RDWR)
    p.ok("mount", b"/m", b"/n", 0, MS_BIND, 0)
    assert p.ok("access", b"/n/a", 0) == 0
    assert mount.umount2(p.t, p.put(b"/n\0"), 0) == 0


def test_mount_errors(p: Program) -> None:
    """All strings are read before the path is walked; the privilege counts after that, before the kind."""
    p.open(b"/a", O_CREAT | O_RDWR)
    p.ok("mkdir", b"/m", 0o755)
    assert p.error("mount", BAD, b"/nope", 0, 0, 0) is EFAULT
    assert p.error("mount", 0, b"/nope", BAD, 0, 0) is EFAULT
    assert p.error("mount", 0, b"/nope", 0, 0, BAD) is EFAULT
    assert p.error("mount", 0, b"/nope", b"nope", 0, 0) is ENOENT
    assert p.error("mount", 0, b"/m", b"nope", 0, 0) is ENODEV
    assert p.error("mount", 0, b"/a", b"tmpfs", 0, 0) is ENOTDIR
    assert p.error("mount", 0, b"/m", b"tmpfs", 0, b"size=x") is EINVAL
    assert p.error("mount", b"/nope", b"/m", 0, MS_BIND, 0) is ENOENT
    assert p.error("mount", b"/m", b"/m", 0, MS_MOVE, 0) is EINVAL
    assert p.error("mount", 0, b"/m", 0, MS_REMOUNT, 0) is EINVAL
    p.become(1000)
    assert p.error("mount", 0, b"/nope", b"nope", 0, 0) is ENOENT
    assert p.error("mount", 0, b"/m", b"nope", 0, 0) is EPERM


def test_umount_errors(p: Program) -> None:
    """Flags, path, privilege, what is mounted there."""
    assert p.error("umount2", BAD, 16) is EINVAL
    assert p.error("umount2", b"/nope", 0) is ENOENT
    assert p.error("umount2", b"/", 0) is EBUSY
    p.become(1000)
    assert p.error("umount2", b"/", 0) is EPERM
