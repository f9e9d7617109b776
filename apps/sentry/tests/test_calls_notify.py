"""Handlers of `syscalls.notify`: inotify."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import notify
from sentry_abi.errors import EACCES, EBADF, EFAULT, EINVAL, ENOENT, ENOTDIR
from sentry_abi.fcntl import O_CREAT, O_RDWR
from sentry_abi.poll import IN_CREATE, IN_MASK_ADD, IN_MASK_CREATE, IN_MODIFY, IN_ONLYDIR
from sentry_abi.structs import INOTIFY_EVENT


def test_events(p: Program) -> None:
    """A read waits for an event of a watched directory."""
    fd, buf = p.ok("inotify_init"), p.zeros(64)
    p.ok("mkdir", b"/d", 0o755)
    watch = p.ok("inotify_add_watch", fd, b"/d", IN_CREATE)
    p.wait("read", fd, buf, 64)
    p.child().open(b"/d/new", O_CREAT | O_RDWR)
    assert p.resume() == INOTIFY_EVENT.size + 16
    number, mask, _, length = p.fields(INOTIFY_EVENT, buf)
    assert (number, mask, p.get(buf + INOTIFY_EVENT.size, length).rstrip(b"\0")) == (watch, IN_CREATE, b"new")
    assert notify.inotify_rm_watch(p.t, fd, watch) == 0
    assert p.error("inotify_rm_watch", fd, watch) is EINVAL


def test_errors(p: Program) -> None:
    """The mask, the descriptor, the path and what it leads to: in this order."""
    file = p.open(b"/a", O_CREAT | O_RDWR, 0o600)
    fd = p.ok("inotify_init1", 0)
    assert p.error("inotify_init1", 1) is EINVAL
    assert p.error("inotify_add_watch", NO_FD, BAD, 0) is EINVAL
    assert p.error("inotify_add_watch", NO_FD, BAD, IN_MODIFY) is EBADF
    assert p.error("inotify_add_watch", NO_FD, BAD, IN_MODIFY | IN_MASK_ADD | IN_MASK_CREATE) is EBADF
    assert p.error("inotify_add_watch", fd, BAD, IN_MODIFY | IN_MASK_ADD | IN_MASK_CREATE) is EINVAL
    assert p.error("inotify_add_watch", file, BAD, IN_MODIFY) is EINVAL
    assert p.error("inotify_add_watch", fd, BAD, IN_MODIFY) is EFAULT
    assert p.error("inotify_add_watch", fd, b"/nope", IN_MODIFY) is ENOENT
    assert p.error("inotify_add_watch", fd, b"/a", IN_MODIFY | IN_ONLYDIR) is ENOTDIR
    assert p.error("inotify_rm_watch", NO_FD, 1) is EBADF
    assert p.error("inotify_rm_watch", file, 1) is EINVAL
    p.become(1000)
    assert p.error("inotify_add_watch", fd, b"/a", IN_MODIFY) is EACCES
