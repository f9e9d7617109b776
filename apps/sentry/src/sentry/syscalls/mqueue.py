"""POSIX message queues: mq_open(2) and its relatives.

Only these calls use the descriptors. Source: Linux ipc/mqueue.c (6.1).
"""

from typing import TYPE_CHECKING, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.kernel.send import send_group
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.state import ThreadGroup
from sentry.syscalls.binder import Calls, FdNum, Int, Mode, Ptr, Size, UInt
from sentry.syscalls.files import put
from sentry.syscalls.guest import read_sigevent, read_timespec
from sentry.syscalls.pathargs import path_at
from sentry_abi.errors import EAGAIN, EBADF, EINVAL, EMSGSIZE, ENOSYS, ERESTARTSYS, ETIMEDOUT
from sentry_abi.fcntl import O_CLOEXEC, O_CREAT, O_NONBLOCK
from sentry_abi.ipc import MQ_PRIO_MAX
from sentry_abi.resource import RLIMIT_MSGQUEUE
from sentry_abi.signal import SI_MESGQ, SIGRTMAX
from sentry_abi.structs import MQ_ATTR
from sentry_waiter import IN

if TYPE_CHECKING:
    from sentry.kernel.state import Task
    from sentry_sysvipc import MqFile, MqQueue, MqWaiter, Notification

calls = Calls("POSIX message queues")

SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD = 0, 1, 2


@calls.call
def mq_open(t: "Task", name: Ptr, flags: Int, mode: Mode, attributes: Ptr) -> int:
    """mq_open(2). Raises: EFAULT, ENOENT, EEXIST, EINVAL, EACCES, ENAMETOOLONG, ENOSPC, EMFILE."""
    wanted = None
    if attributes:
        _, capacity, largest, _ = MQ_ATTR.unpack(t.mm.copy_in(attributes, MQ_ATTR.size))
        if flags & O_CREAT:
            wanted = capacity, largest
    text = path_at(t, name)
    queues = t.ns.ipc.posix_queues
    limit = t.limits.soft(RLIMIT_MSGQUEUE)
    return put(t, queues.open(text, flags, mode & ~t.fs.umask, wanted, t.creds, limit), flags | O_CLOEXEC)


@calls.call
def mq_unlink(t: "Task", name: Ptr) -> int:
    """mq_unlink(2). Raises: EFAULT, ENOENT, EACCES, ENAMETOOLONG, EPERM."""
    t.ns.ipc.posix_queues.unlink(path_at(t, name), t.creds)
    return 0


def _file(t: "Task", number: int) -> "MqFile":
    """Return an open queue. Raises: EBADF, also for files of another kind."""
    file = t.files.get(number)
    if not t.ns.ipc.posix_queues.owns(file):
        raise EBADF
    return file


def _deadline(t: "Task", address: int) -> int | None:
    """Return a time of day as a deadline of the monotonic clock. Raises: EFAULT, EINVAL."""
    if not address:
        return None
    return max(t.kernel.clock.to_monotonic(read_timespec(t, address)), 1)


class MqWait(NamedTuple):
    """The record of a send or receive that waits."""

    queue: "MqQueue"
    waiter: "MqWaiter"
    deadline: int | None
    receives: bool
    address: int
    priority: int


@attempt
def mq_wait(t: "Task", state: MqWait) -> Result:
    """Return once it is done. Raises: ETIMEDOUT; EFAULT."""
    waiter = state.waiter
    if waiter.done:
        return _finish(t, state)
    if t.timed_out:
        state.queue.cancel(waiter)
        raise ETIMEDOUT
    return Pending(mq_wait, state, ((waiter.queue, IN),), state.deadline, on_signal=mq_interrupted)


@attempt
def mq_interrupted(t: "Task", state: MqWait) -> Result:
    """Leave the queue for a signal, unless it is done. Raises: ERESTARTSYS."""
    if state.queue.cancel(state.waiter):
        return _finish(t, state)
    raise ERESTARTSYS


def _finish(t: "Task", state: MqWait) -> int:
    message = state.waiter.message
    if not state.receives or message is None:
        return 0
    return _deliver(t, state.address, state.priority, message.data, message.priority)


def _deliver(t: "Task", address: int, where: int, data: bytes, priority: int) -> int:
    """Copy a message out; return its length. Raises: EFAULT; the message is lost then."""
    if where:
        t.mm.copy_out(where, priority.to_bytes(4, "little"))
    if data:
        t.mm.copy_out(address, data)
    return len(data)


def _notify(t: "Task", notification: "Notification | None") -> None:
    """Send the signal of a mq_notify."""
    if notification is not None and notification.signo > 0:
        owner = notification.owner
        assert isinstance(owner, ThreadGroup)
        if owner.tasks:
            send_group(owner, SigInfo(notification.signo, SI_MESGQ, t.group.tgid, t.creds.uid, notification.value))


@calls.call
def mq_timedsend(t: "Task", number: FdNum, address: Ptr, size: Size, priority: UInt, timeout: Ptr) -> Result:
    """mq_timedsend(2). Raises: EFAULT, EINVAL, EBADF, EMSGSIZE, EAGAIN, ETIMEDOUT; EINTR if a signal is handled."""
    deadline = _deadline(t, timeout)
    if priority >= MQ_PRIO_MAX:
        raise EINVAL
    file = _file(t, number)
    queue = file.messages
    if not file.writable:
        raise EBADF
    if size > queue.largest:
        raise EMSGSIZE
    data = bytes(t.mm.copy_in(address, size)) if size else b""
    if file.flags & O_NONBLOCK and len(queue.messages) >= queue.capacity:
        raise EAGAIN
    waiter, notification = queue.send(data, priority)
    if waiter is not None:
        return mq_wait(t, MqWait(queue, waiter, deadline, receives=False, address=0, priority=0))
    _notify(t, notification)
    return 0


@calls.call
def mq_timedreceive(t: "Task", number: FdNum, address: Ptr, size: Size, where: Ptr, timeout: Ptr) -> Result:
    """mq_timedreceive(2). Raises: EFAULT, EINVAL, EBADF, EMSGSIZE, EAGAIN, ETIMEDOUT; EINTR if a signal is handled."""
    deadline = _deadline(t, timeout)
    file = _file(t, number)
    queue = file.messages
    if not file.readable:
        raise EBADF
    if size < queue.largest:
        raise EMSGSIZE
    if file.flags & O_NONBLOCK and not queue.messages:
        raise EAGAIN
    got = queue.receive()
    if isinstance(got, tuple):
        return _deliver(t, address, where, got.data, got.priority)
    return mq_wait(t, MqWait(queue, got, deadline, receives=True, address=address, priority=where))


@calls.named("mq_notify", partial="SIGEV_THREAD is refused")
def mq_notify(t: "Task", number: FdNum, event: Ptr) -> int:
    """mq_notify(2). Raises: EFAULT, EINVAL, EBADF, EBUSY; ENOSYS for SIGEV_THREAD. Differs: Linux has that."""
    signo, kind, value = -1, SIGEV_NONE, 0
    if event:
        value, signo, kind, _ = read_sigevent(t, event)
        if kind == SIGEV_THREAD:
            raise ENOSYS
        if kind not in (SIGEV_SIGNAL, SIGEV_NONE) or (kind == SIGEV_SIGNAL and not 0 <= signo <= SIGRTMAX):
            raise EINVAL
    file = _file(t, number)
    queue = file.messages
    if not event:
        queue.withdraw(t.group)
        return 0
    if queue.notification is not None:
        owner = queue.notification.owner
        assert isinstance(owner, ThreadGroup)
        if not owner.tasks:
            queue.withdraw(owner)
    queue.ask(t.ns.ipc.posix_queues.notification(t.group, signo if not kind else -1, value, file))
    return 0


@calls.call
def mq_getsetattr(t: "Task", number: FdNum, new: Ptr, old: Ptr) -> int:
    """mq_getattr(3) and mq_setattr(3). Raises: EFAULT, EINVAL, EBADF."""
    flags: int | None = None
    if new:
        flags, *_ = MQ_ATTR.unpack(t.mm.copy_in(new, MQ_ATTR.size))
        if flags & ~O_NONBLOCK:
            raise EINVAL
    file = _file(t, number)
    queue = file.messages
    before = MQ_ATTR.pack(file.flags & O_NONBLOCK, queue.capacity, queue.largest, len(queue.messages))
    if flags is not None:
        file.set_flags(file.flags & ~O_NONBLOCK | flags)
    if old:
        t.mm.copy_out(old, before)
    return 0
