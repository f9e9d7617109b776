"""Handlers of `syscalls.mqueue`: POSIX message queues."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import mqueue
from sentry_abi.errors import (
    EACCES,
    EAGAIN,
    EBADF,
    EBUSY,
    EEXIST,
    EFAULT,
    EINVAL,
    EMSGSIZE,
    ENOENT,
    ENOSYS,
    ERESTARTSYS,
    ETIMEDOUT,
)
from sentry_abi.fcntl import O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY
from sentry_abi.signal import SIGUSR1
from sentry_abi.structs import MQ_ATTR, SIGEVENT, TIMESPEC


def queue(p: Program, flags: int = 0) -> int:
    """Open a queue of two messages of 8 bytes."""
    return p.ok("mq_open", b"q", O_CREAT | O_RDWR | flags, 0o600, MQ_ATTR.pack(0, 2, 8, 0))


def test_send_and_receive(p: Program) -> None:
    """The message of the highest priority comes first."""
    q, buf, priority = queue(p), p.zeros(8), p.zeros(4)
    p.ok("mq_timedsend", q, b"low", 3, 1, 0)
    p.ok("mq_timedsend", q, b"high", 4, 7, 0)
    assert p.ok("mq_timedreceive", q, buf, 8, priority, 0) == 4
    assert (p.get(buf, 4), p.number(priority)) == (b"high", 7)
    attributes = p.zeros(MQ_ATTR.size)
    p.ok("mq_getsetattr", q, MQ_ATTR.pack(O_NONBLOCK, 0, 0, 0), attributes)
    assert p.fields(MQ_ATTR, attributes) == (0, 2, 8, 1)
    p.ok("mq_timedreceive", q, buf, 8, 0, 0)
    assert p.error("mq_timedreceive", q, buf, 8, 0, 0) is EAGAIN
    p.ok("mq_unlink", b"q")
    assert p.error("mq_unlink", b"q") is ENOENT


def test_receive_waits(p: Program) -> None:
    """A receive of an empty queue gets the message that is sent next; a signal restarts it."""
    q, buf = queue(p), p.zeros(8)
    pending = p.wait("mq_timedreceive", q, buf, 8, 0, 0)
    assert pending.attempt is mqueue.mq_wait
    p.ok("mq_timedsend", q, b"hello", 5, 0, 0)
    assert p.resume() == 5
    assert p.get(buf, 5) == b"hello"
    p.wait("mq_timedreceive", q, buf, 8, 0, 0)
    assert p.interrupt() is ERESTARTSYS


def test_send_waits_until_a_time(p: Program) -> None:
    """A full queue keeps a send until the time of day that it names."""
    q = queue(p)
    for _ in range(2):
        p.ok("mq_timedsend", q, b"x", 1, 0, 0)
    later = p.box.host.realtime_ns() // 1_000_000_000 + 5
    pending = p.wait("mq_timedsend", q, b"x", 1, 0, TIMESPEC.pack(later, 0))
    assert pending.deadline is not None
    p.pass_deadline()
    assert p.resume() == -ETIMEDOUT.errno


def test_open_errors(p: Program) -> None:
    """Attributes, name, and what is there."""
    assert p.error("mq_open", BAD, 0, 0, 0) is EFAULT
    assert p.error("mq_open", b"q", 0, 0, BAD) is EFAULT
    assert p.error("mq_open", b"q", 0, 0, 0) is ENOENT
    assert p.error("mq_open", b"a/b", O_CREAT, 0o600, 0) is EACCES
    assert p.error("mq_open", b"q", O_CREAT, 0o600, MQ_ATTR.pack(0, -1, 8, 0)) is EINVAL
    queue(p)
    assert p.error("mq_open", b"q", O_CREAT | O_EXCL, 0o600, 0) is EEXIST
    p.become(1000)
    assert p.error("mq_open", b"q", O_RDONLY, 0, 0) is EACCES


def test_errors(p: Program) -> None:
    """Time, priority, descriptor, mode, size, message: in this order."""
    file = p.open(b"/a", O_CREAT | O_RDWR)
    q = queue(p)
    negative = TIMESPEC.pack(-1, 0)
    only_read = p.ok("mq_open", b"q", O_RDONLY, 0, 0)
    only_write = p.ok("mq_open", b"q", O_WRONLY, 0, 0)
    assert p.error("mq_timedsend", NO_FD, BAD, 5, 1 << 20, BAD) is EFAULT
    assert p.error("mq_timedsend", NO_FD, BAD, 5, 0, negative) is EINVAL
    assert p.error("mq_timedsend", NO_FD, BAD, 5, 1 << 20, 0) is EINVAL
    assert p.error("mq_timedsend", file, BAD, 5, 0, 0) is EBADF
    assert p.error("mq_timedsend", only_read, BAD, 50, 0, 0) is EBADF
    assert p.error("mq_timedsend", q, BAD, 9, 0, 0) is EMSGSIZE
    assert p.error("mq_timedsend", q, BAD, 8, 0, 0) is EFAULT
    assert p.error("mq_timedreceive", only_write, BAD, 1, 0, 0) is EBADF
    assert p.error("mq_timedreceive", q, BAD, 7, 0, 0) is EMSGSIZE
    assert p.error("mq_getsetattr", NO_FD, BAD, 0) is EFAULT
    assert p.error("mq_getsetattr", NO_FD, MQ_ATTR.pack(1, 0, 0, 0), 0) is EINVAL
    assert p.error("mq_getsetattr", file, 0, 0) is EBADF


def test_notify(p: Program) -> None:
    """The first message to an empty queue sends the signal, once; another process is kept out meanwhile."""
    q, other = queue(p), p.child()
    theirs = other.ok("mq_open", b"q", O_RDWR, 0, 0)
    event = SIGEVENT.pack(0, SIGUSR1, 0, 0)
    p.t.blocked = 1 << SIGUSR1 - 1
    assert p.error("mq_notify", NO_FD, BAD) is EFAULT
    assert p.error("mq_notify", NO_FD, SIGEVENT.pack(0, 99, 0, 0)) is EINVAL
    assert p.error("mq_notify", NO_FD, SIGEVENT.pack(0, 1, 2, 0)) is ENOSYS
    assert p.error("mq_notify", NO_FD, event) is EBADF
    p.ok("mq_notify", q, event)
    assert other.error("mq_notify", theirs, event) is EBUSY
    other.ok("mq_timedsend", theirs, b"x", 1, 0, 0)
    assert p.t.group.pending.mask == 1 << SIGUSR1 - 1
    assert other.ok("mq_notify", theirs, event) == 0
