"""System V shared memory: shmget(2), shmat(2), shmctl(2)."""

import struct
from typing import TYPE_CHECKING, Final

from sentry.syscalls.binder import Calls, Int, Ptr, Size
from sentry.syscalls.ipc import permissions
from sentry_abi import ipc
from sentry_abi.capability import CAP_IPC_LOCK
from sentry_abi.errors import (
    EEXIST,
    EINVAL,
    EPERM,
)
from sentry_abi.memory import PAGE_SIZE
from sentry_abi.mman import MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE
from sentry_abi.resource import RLIMIT_MEMLOCK
from sentry_abi.structs import SHMID_DS

if TYPE_CHECKING:
    from sentry.kernel.state import Task
    from sentry_sysvipc import Segment

calls = Calls("System V shared memory")

READ: Final = 0o444
WRITE: Final = 0o222
EXECUTE: Final = 0o111
RWX: Final = 7
_INFO: Final = struct.Struct("<5Q32x")
"""struct shminfo64 <linux/shm.h>: shmmax shmmin shmmni shmseg shmall"""
_SHM_INFO: Final = struct.Struct("<i4x5Q")
"""struct shm_info <linux/shm.h>: used_ids shm_tot shm_rss shm_swp swap_attempts swap_successes"""


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
        *permissions(segment),
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
    """Set or clear SHM_LOCKED. Raises: EPERM."""
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
