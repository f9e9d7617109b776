"""System V IPC: shmget(2), semget(2), msgget(2) and their relatives.

A wait's record holds the waiter that stands in the set's or queue's own list; what others do for it is noted there, and
survives whatever happens before the task's next turn. Sources: Linux ipc/shm.c, ipc/sem.c, ipc/msg.c (6.1).
"""

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.namespaces import SharedUndo
from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, Int, Long, Ptr, Size, UInt
from sentry.syscalls.poll import deadline_of
from sentry_abi import ipc
from sentry_abi.errors import (
    E2BIG,
    EAGAIN,
    EEXIST,
    EINTR,
    EINVAL,
    EPERM,
    ERANGE,
    ERESTARTNOHAND,
)
from sentry_abi.memory import PAGE_SIZE
from sentry_abi.mman import MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE
from sentry_abi.resource import RLIMIT_MEMLOCK
from sentry_abi.structs import MSQID_DS, SEMBUF, SEMID_DS, SHMID_DS
from sentry_waiter import IN, OUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import Task
    from sentry_sysvipc import MessageQueue, Object, Receiver, Segment, SemaphoreSet, SemWaiter, UndoList

calls = Calls("System V IPC")

CAP_IPC_LOCK: Final = 14
CAP_SYS_RESOURCE: Final = 24
READ: Final = 0o444
WRITE: Final = 0o222
EXECUTE: Final = 0o111
RWX: Final = 7
_LOWEST: Final = -(1 << 63)
_INFO: Final = struct.Struct("<5Q32x")
"""struct shminfo64 <linux/shm.h>: shmmax shmmin shmmni shmseg shmall"""
_SHM_INFO: Final = struct.Struct("<i4x5Q")
"""struct shm_info <linux/shm.h>: used_ids shm_tot shm_rss shm_swp swap_attempts swap_successes"""
_SEMINFO: Final = struct.Struct("<10i")
"""struct seminfo <linux/sem.h>: semmap semmni semmns semmnu semmsl semopm semume semusz semvmx semaem"""
_MSGINFO: Final = struct.Struct("<7iH2x")
"""struct msginfo <linux/msg.h>: msgpool msgmap msgmax msgmnb msgmni msgssz msgtql msgseg"""


def _permissions(item: "Object") -> tuple[int, ...]:
    return item.key, item.uid, item.gid, item.cuid, item.cgid, item.mode, item.sequence & 0xFFFF


# -- shared memory


@calls.call
def shmget(t: "Task", key: Int, size: Size, flags: Int) -> int:
    """shmget(2). Raises: ENOENT, EEXIST, EINVAL, EACCES, ENOSPC, ENOMEM."""
    return t.ns.ipc.segments.get(key, size, flags, t.creds).id


@calls.call
def shmat(t: "Task", number: Int, addr: Ptr, flags: Int) -> int:
    """shmat(2). Raises: EINVAL, EACCES, ENOMEM."""
    if number < 0:
        raise EINVAL
    place = MAP_SHARED
    if addr:
        if addr & (PAGE_SIZE - 1):
            if not flags & ipc.SHM_RND:
                raise EINVAL
            addr &= -PAGE_SIZE
            if not addr and flags & ipc.SHM_REMAP:
                raise EINVAL
        place |= MAP_FIXED if flags & ipc.SHM_REMAP else MAP_FIXED_NOREPLACE
    elif flags & ipc.SHM_REMAP:
        raise EINVAL
    prot, wanted, most = PROT_READ | PROT_WRITE, READ | WRITE, RWX
    if flags & ipc.SHM_RDONLY:
        prot, wanted, most = PROT_READ, READ, RWX & ~PROT_WRITE
    if flags & ipc.SHM_EXEC:
        prot |= PROT_EXEC
        wanted |= EXECUTE
    segment = t.ns.ipc.segments.find(number)
    segment.check(t.creds, wanted)
    name = b"/SYSV%08x (deleted)" % (segment.key & 0xFFFFFFFF)
    try:
        return t.mm.mmap(addr, segment.size, prot, place, segment, 0, max_prot=most, name=name)
    except EEXIST:
        raise EINVAL from None


@calls.call
def shmdt(t: "Task", addr: Ptr) -> int:
    """shmdt(2). Raises: EINVAL."""
    if addr & (PAGE_SIZE - 1):
        raise EINVAL
    segments = t.ns.ipc.segments
    areas = t.mm.vmas
    for first in areas:
        if first.start < addr or not segments.owns(first.file) or first.start - addr != first.offset:
            continue
        end = addr + first.file.mapped_size()
        for area in [area for area in areas if area.file is first.file and addr <= area.start < end]:
            if area.start - addr == area.offset:
                t.mm.munmap(area.start, area.end - area.start)
        t.kernel.reclaimer.wake()
        return 0
    raise EINVAL


def _shm_stat(segment: "Segment") -> bytes:
    return SHMID_DS.pack(
        *_permissions(segment),
        segment.size,
        segment.atime,
        segment.dtime,
        segment.ctime,
        segment.cpid,
        segment.lpid,
        segment.attached,
    )


def _shm_information(t: "Task", command: int, buf: int) -> int:
    segments = t.ns.ipc.segments
    if command == ipc.IPC_INFO:
        shmmax = segments.largest
        t.mm.copy_out(buf, _INFO.pack(shmmax, ipc.SHMMIN, segments.limit, segments.limit, shmmax))
    else:
        resident = sum(segment.resident for segment in segments)
        t.mm.copy_out(buf, _SHM_INFO.pack(len(segments), segments.total_pages, resident, 0, 0, 0))
    return segments.highest


def _shm_lock(t: "Task", segment: "Segment", command: int) -> None:
    """Note whether a segment is to stay in memory. Raises: EPERM."""
    if not t.creds.capable(CAP_IPC_LOCK):
        if t.creds.euid not in (segment.uid, segment.cuid):
            raise EPERM
        if command == ipc.SHM_LOCK and not t.limits.soft(RLIMIT_MEMLOCK):
            raise EPERM
    if command == ipc.SHM_LOCK:
        segment.mode |= ipc.SHM_LOCKED
    else:
        segment.mode &= ~ipc.SHM_LOCKED


@calls.call
def shmctl(t: "Task", number: Int, command: Int, buf: Ptr) -> int:
    """shmctl(2). Raises: EINVAL, EACCES, EPERM, EFAULT."""
    if number < 0 or command < 0:
        raise EINVAL
    if command in (ipc.IPC_INFO, ipc.SHM_INFO):
        return _shm_information(t, command, buf)
    segments = t.ns.ipc.segments
    if command in (ipc.IPC_STAT, ipc.SHM_STAT, ipc.SHM_STAT_ANY):
        segment = segments.find(number) if command == ipc.IPC_STAT else segments.at(number)
        if command != ipc.SHM_STAT_ANY:
            segment.check(t.creds, READ)
        t.mm.copy_out(buf, _shm_stat(segment))
        return 0 if command == ipc.IPC_STAT else segment.id
    if command == ipc.IPC_SET:
        _, uid, gid, _, _, mode, *_ = SHMID_DS.unpack(t.mm.copy_in(buf, SHMID_DS.size))
        segment = segments.find(number)
        segment.check_owner(t.creds)
        segment.set(uid, gid, mode, segments.around.now())
    elif command == ipc.IPC_RMID:
        segment = segments.find(number)
        segment.check_owner(t.creds)
        segments.remove(segment)
        t.kernel.reclaimer.wake()
    elif command in (ipc.SHM_LOCK, ipc.SHM_UNLOCK):
        _shm_lock(t, segments.find(number), command)
    else:
        raise EINVAL
    return 0


# -- semaphores


@calls.call
def semget(t: "Task", key: Int, count: Int, flags: Int) -> int:
    """semget(2). Raises: ENOENT, EEXIST, EINVAL, EACCES, ENOSPC."""
    return t.ns.ipc.semaphores.get(key, count, flags, t.creds).id


class SemWait(NamedTuple):
    """The record of a semop that waits."""

    waiter: "SemWaiter"
    deadline: int | None


@attempt
def sem_wait(t: "Task", state: SemWait) -> Result:
    """Return 0 once the operations are done. Raises: EIDRM, ERANGE, EAGAIN (too late)."""
    waiter = state.waiter
    if waiter.done:
        return 0
    if waiter.error is not None:
        raise waiter.error
    if t.timed_out:
        state.waiter.cancel()
        raise EAGAIN
    return Pending(sem_wait, state, ((state.waiter.queue, IN),), state.deadline, EINTR, sem_interrupted)


@attempt
def sem_interrupted(t: "Task", state: SemWait) -> int:
    """Leave the queue for a signal. Raises: EINTR; what ended the wait before it came."""
    del t
    if state.waiter.done:
        return 0
    if state.waiter.error is not None:
        raise state.waiter.error
    state.waiter.cancel()
    raise EINTR


def undo_list(t: "Task") -> "UndoList":
    """Return where a task's SEM_UNDO operations are noted."""
    shared = t.sem_undo
    if shared is None:
        shared = t.sem_undo = SharedUndo()
    if shared.undo is None:
        shared.undo = t.ns.ipc.semaphores.new_undo_list()
    return shared.undo


@calls.call
def semtimedop(t: "Task", number: Int, operations: Ptr, count: UInt, timeout: Ptr) -> Result:
    """semtimedop(2). Raises: EINVAL, E2BIG, EFAULT, EFBIG, EACCES, ERANGE, EAGAIN, EIDRM, EINTR."""
    deadline = deadline_of(t, timeout, 1)
    if count < 1 or number < 0:
        raise EINVAL
    if count > ipc.SEMOPM:
        raise E2BIG
    wanted = list(SEMBUF.iter_unpack(t.mm.copy_in(operations, count * SEMBUF.size)))
    found = t.ns.ipc.semaphores.find(number)
    undo = undo_list(t) if any(flags & ipc.SEM_UNDO for _, _, flags in wanted) else None
    waiter = found.operate(wanted, undo, t.group.tgid, t.creds)
    return 0 if waiter is None else sem_wait(t, SemWait(waiter, deadline))


@calls.call
def semop(t: "Task", number: Int, operations: Ptr, count: UInt) -> Result:
    """semop(2). Raises: as semtimedop."""
    return semtimedop(t, number, operations, count, 0)


def _sem_stat(found: "SemaphoreSet") -> bytes:
    return SEMID_DS.pack(*_permissions(found), found.otime, found.ctime, len(found.values))


def _sem_information(t: "Task", command: int, address: int) -> int:
    semaphores = t.ns.ipc.semaphores
    size, most = 20, ipc.SEMVMX
    if command == ipc.SEM_INFO:
        size, most = len(semaphores), semaphores.total
    t.mm.copy_out(
        address,
        _SEMINFO.pack(
            ipc.SEMMNS, ipc.SEMMNI, ipc.SEMMNS, ipc.SEMMNS, ipc.SEMMSL, ipc.SEMOPM, ipc.SEMOPM, size, ipc.SEMVMX, most
        ),
    )
    return semaphores.highest


def _get_value(found: "SemaphoreSet", index: int) -> int:
    return found.value(index)


def _get_pid(found: "SemaphoreSet", index: int) -> int:
    return found.pids[index]


def _get_growing(found: "SemaphoreSet", index: int) -> int:
    return found.count_waiting(index, for_zero=False)


def _get_zero(found: "SemaphoreSet", index: int) -> int:
    return found.count_waiting(index, for_zero=True)


_SEM_GETTERS: Final[dict[int, "Callable[[SemaphoreSet, int], int]"]] = {
    ipc.GETVAL: _get_value,
    ipc.GETPID: _get_pid,
    ipc.GETNCNT: _get_growing,
    ipc.GETZCNT: _get_zero,
}


def _sem_all(t: "Task", found: "SemaphoreSet", command: int, address: int) -> None:
    """Copy all values out or in. Raises: EACCES, EFAULT, ERANGE."""
    found.check(t.creds, READ if command == ipc.GETALL else WRITE)
    form = f"<{len(found.values)}H"
    if command == ipc.GETALL:
        t.mm.copy_out(address, struct.pack(form, *found.values))
    else:
        found.set_all(struct.unpack(form, t.mm.copy_in(address, len(found.values) * 2)))


def _sem_change(t: "Task", number: int, command: int, address: int) -> None:
    """Change or remove a set. Raises: EFAULT, EINVAL, EPERM."""
    semaphores = t.ns.ipc.semaphores
    uid = gid = mode = 0
    if command == ipc.IPC_SET:
        _, uid, gid, _, _, mode, *_ = SEMID_DS.unpack(t.mm.copy_in(address, SEMID_DS.size))
    found = semaphores.find(number)
    found.check_owner(t.creds)
    if command == ipc.IPC_SET:
        found.set(uid, gid, mode, semaphores.around.now())
    else:
        semaphores.remove(found)


def _set_value(t: "Task", number: int, index: int, value: int) -> None:
    """Set one semaphore. Raises: ERANGE, EINVAL, EACCES."""
    if not 0 <= value <= ipc.SEMVMX:
        raise ERANGE
    found = t.ns.ipc.semaphores.find(number)
    found.value(index)
    found.check(t.creds, WRITE)
    found.set_value(index, value)


@calls.call
def semctl(t: "Task", number: Int, index: Int, command: Int, argument: Ptr) -> int:
    """semctl(2). Raises: EINVAL, EACCES, EPERM, EFAULT, ERANGE."""
    if number < 0:
        raise EINVAL
    if command in (ipc.IPC_INFO, ipc.SEM_INFO):
        return _sem_information(t, command, argument)
    semaphores = t.ns.ipc.semaphores
    if command in (ipc.IPC_STAT, ipc.SEM_STAT, ipc.SEM_STAT_ANY):
        found = semaphores.find(number) if command == ipc.IPC_STAT else semaphores.at(number)
        if command != ipc.SEM_STAT_ANY:
            found.check(t.creds, READ)
        t.mm.copy_out(argument, _sem_stat(found))
        return 0 if command == ipc.IPC_STAT else found.id
    if command in _SEM_GETTERS:
        found = semaphores.find(number)
        found.check(t.creds, READ)
        found.value(index)
        return _SEM_GETTERS[command](found, index)
    if command in (ipc.GETALL, ipc.SETALL):
        _sem_all(t, semaphores.find(number), command, argument)
    elif command == ipc.SETVAL:
        _set_value(t, number, index, (argument & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)
    elif command in (ipc.IPC_SET, ipc.IPC_RMID):
        _sem_change(t, number, command, argument)
    else:
        raise EINVAL
    return 0


# -- message queues


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
    """Put the message into the queue once there is room. Raises: EIDRM, EACCES."""
    queue = state.queue
    try:
        queue.send(state.kind, state.data, t.group.tgid, t.creds)
    except EAGAIN:
        return Pending(send_on, state, ((queue.senders, OUT),), None, ERESTARTNOHAND)
    return 0


@calls.call
def msgsnd(t: "Task", number: Int, address: Ptr, size: Long, flags: Int) -> Result:
    """msgsnd(2). Raises: EFAULT, EINVAL, EACCES, EAGAIN, EIDRM; EINTR if a signal is handled."""
    kind = int.from_bytes(t.mm.copy_in(address, 8), "little", signed=True)
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
    if receiver.error is EAGAIN:
        return _receive(t, receiver.owner, state.address, receiver.size, receiver.kind, receiver.flags)
    if receiver.error is not None:
        raise receiver.error
    return Pending(receive_on, state, ((receiver.queue, IN),), None, ERESTARTNOHAND, receive_interrupted)


@attempt
def receive_interrupted(t: "Task", state: Receiving) -> Result:
    """Leave the queue for a signal, unless a message or an error came first. Raises: ERESTARTNOHAND."""
    receiver = state.receiver
    if receiver.message is not None or receiver.error not in (None, EAGAIN):
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
        *_permissions(queue),
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
