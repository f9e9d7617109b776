"""System V message queues: msgget(2), msgsnd(2), msgctl(2)."""

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, Int, Long, Ptr
from sentry.syscalls.guest import LOFF_T, read_one
from sentry.syscalls.ipc import permissions
from sentry_abi import ipc
from sentry_abi.capability import CAP_SYS_RESOURCE
from sentry_abi.errors import (
    BY_NUMBER,
    EAGAIN,
    EINVAL,
    EPERM,
    ERESTARTNOHAND,
)
from sentry_abi.structs import MSQID_DS
from sentry_waiter import IN, OUT

if TYPE_CHECKING:
    from sentry.kernel.state import Task
    from sentry_sysvipc import MessageQueue, Receiver

calls = Calls("System V message queues")

READ: Final = 0o444
_LOWEST: Final = -(1 << 63)
_MSGINFO: Final = struct.Struct("<7iH2x")
"""struct msginfo <linux/msg.h>: msgpool msgmap msgmax msgmnb msgmni msgssz msgtql msgseg"""


@calls.call
def msgget(t: "Task", key: Int, flags: Int) -> int:
    """msgget(2). Raises: ENOENT, EEXIST, EACCES, ENOSPC."""
    return t.ns.ipc.queues.get(key, flags, t.creds).id


class Sending(NamedTuple):
    """The record of a msgsnd that waits."""

    queue: "MessageQueue"
    kind: int
    data: bytes


@attempt
def send_on(t: "Task", state: Sending) -> Result:
    """Put the message into the queue once it fits. Raises: EIDRM, EACCES."""
    queue = state.queue
    try:
        queue.send(state.kind, state.data, t.group.tgid, t.creds)
    except EAGAIN:
        return Pending(send_on, state, ((queue.senders, OUT),), None, ERESTARTNOHAND)
    return 0


@calls.call
def msgsnd(t: "Task", number: Int, address: Ptr, size: Long, flags: Int) -> Result:
    """msgsnd(2). Raises: EFAULT, EINVAL, EACCES, EAGAIN, EIDRM; EINTR if a signal is handled."""
    kind = read_one(t, address, LOFF_T)
    queues = t.ns.ipc.queues
    if not 0 <= size <= queues.largest or number < 0 or kind < 1:
        raise EINVAL
    data = t.mm.copy_in(address + 8, size) if size else b""
    result = send_on(t, Sending(queues.find(number), kind, bytes(data)))
    if isinstance(result, Pending) and flags & ipc.IPC_NOWAIT:
        raise EAGAIN
    return result


class Receiving(NamedTuple):
    """The record of a msgrcv that waits."""

    receiver: "Receiver"
    address: int


@attempt
def receive_on(t: "Task", state: Receiving) -> Result:
    """Take the message that came. Raises: EIDRM, E2BIG, EACCES, EFAULT."""
    receiver = state.receiver
    if receiver.message is not None:
        return _deliver(t, state.address, receiver.size, receiver.message.kind, receiver.message.data)
    if receiver.error == EAGAIN.errno:
        return _receive(t, receiver.owner, state.address, receiver.size, receiver.kind, receiver.flags)
    if receiver.error:
        raise BY_NUMBER[receiver.error]
    return Pending(receive_on, state, ((receiver.queue, IN),), None, ERESTARTNOHAND, receive_interrupted)


@attempt
def receive_interrupted(t: "Task", state: Receiving) -> Result:
    """Leave the queue for a signal, unless a message or an error came first. Raises: ERESTARTNOHAND."""
    receiver = state.receiver
    if receiver.message is not None or receiver.error not in (0, EAGAIN.errno):
        return receive_on(t, state)
    receiver.cancel()
    raise ERESTARTNOHAND


def _deliver(t: "Task", address: int, size: int, kind: int, data: bytes) -> int:
    """Copy a message out; return how much of its text. Raises: EFAULT; the message is lost then."""
    data = data[:size]
    t.mm.copy_out(address, kind.to_bytes(8, "little"))
    if data:
        t.mm.copy_out(address + 8, data)
    return len(data)


def _receive(t: "Task", queue: "MessageQueue", address: int, size: int, kind: int, flags: int) -> Result:
    got = queue.receive(kind, size, flags, t.group.tgid, t.creds)
    if isinstance(got, tuple):
        return _deliver(t, address, size, got.kind, got.data)
    return receive_on(t, Receiving(got, address))


@calls.call
def msgrcv(t: "Task", number: Int, address: Ptr, size: Long, kind: Long, flags: Int) -> Result:
    """msgrcv(2). Raises: EINVAL, EACCES, E2BIG, ENOMSG, EIDRM, EFAULT; EINTR if a signal is handled."""
    if number < 0 or size < 0:
        raise EINVAL
    return _receive(t, t.ns.ipc.queues.find(number), address, size, max(kind, _LOWEST + 1), flags)


def _msg_stat(queue: "MessageQueue") -> bytes:
    return MSQID_DS.pack(
        *permissions(queue),
        queue.stime,
        queue.rtime,
        queue.ctime,
        queue.held,
        len(queue.messages),
        queue.limit,
        queue.lspid,
        queue.lrpid,
    )


def _msg_information(t: "Task", command: int, buf: int) -> int:
    queues = t.ns.ipc.queues
    pool, held, headers = ipc.MSGMNI * ipc.MSGMNB // 1024, ipc.MSGMNB, ipc.MSGMNB
    if command == ipc.MSG_INFO:
        pool = len(queues)
        held = sum(len(queue.messages) for queue in queues)
        headers = sum(queue.held for queue in queues)
    t.mm.copy_out(
        buf, _MSGINFO.pack(pool, held, queues.largest, ipc.MSGMNB, queues.limit, 16, headers & 0x7FFFFFFF, 0xFFFF)
    )
    return queues.highest


@calls.call
def msgctl(t: "Task", number: Int, command: Int, buf: Ptr) -> int:
    """msgctl(2). Raises: EINVAL, EACCES, EPERM, EFAULT."""
    if number < 0 or command < 0:
        raise EINVAL
    if command in (ipc.IPC_INFO, ipc.MSG_INFO):
        return _msg_information(t, command, buf)
    queues = t.ns.ipc.queues
    if command in (ipc.IPC_STAT, ipc.MSG_STAT, ipc.MSG_STAT_ANY):
        queue = queues.find(number) if command == ipc.IPC_STAT else queues.at(number)
        if command != ipc.MSG_STAT_ANY:
            queue.check(t.creds, READ)
        t.mm.copy_out(buf, _msg_stat(queue))
        return 0 if command == ipc.IPC_STAT else queue.id
    if command == ipc.IPC_SET:
        fields = MSQID_DS.unpack(t.mm.copy_in(buf, MSQID_DS.size))
        queue = queues.find(number)
        queue.check_owner(t.creds)
        limit = fields[12]
        if limit > ipc.MSGMNB and not t.creds.capable(CAP_SYS_RESOURCE):
            raise EPERM
        queue.change(fields[1], fields[2], fields[5], limit)
    elif command == ipc.IPC_RMID:
        queue = queues.find(number)
        queue.check_owner(t.creds)
        queues.remove(queue)
    else:
        raise EINVAL
    return 0
