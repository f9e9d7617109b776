"""Memory: mmap and its family. The address space does the work; these translate arguments."""

from typing import TYPE_CHECKING, Final, cast

from sentry.syscalls.binder import Calls, FdNum, Flags, Int, Ptr, Size, ULong
from sentry_abi.capability import CAP_IPC_LOCK
from sentry_abi.errors import EACCES, EFAULT, EINVAL, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM, LinuxError
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE, page_up
from sentry_abi.mman import (
    MAP_32BIT,
    MAP_ANONYMOUS,
    MAP_DENYWRITE,
    MAP_EXECUTABLE,
    MAP_FIXED,
    MAP_GROWSDOWN,
    MAP_HUGE_MASK,
    MAP_HUGE_SHIFT,
    MAP_HUGETLB,
    MAP_LOCKED,
    MAP_NONBLOCK,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_STACK,
    MAP_TYPE,
    PROT_EXEC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_WRITE,
)
from sentry_abi.mount import MS_NOEXEC
from sentry_vfs import FileDescription

if TYPE_CHECKING:
    from sentry.kernel.state import Task
    from sentry_mm import Mappable

calls = Calls("memory")

LEGACY_MAP_MASK: Final = (
    MAP_SHARED_VALIDATE
    | MAP_FIXED
    | MAP_ANONYMOUS
    | MAP_32BIT
    | MAP_GROWSDOWN
    | MAP_DENYWRITE
    | MAP_EXECUTABLE
    | MAP_LOCKED
    | MAP_NORESERVE
    | MAP_POPULATE
    | MAP_NONBLOCK
    | MAP_STACK
    | MAP_HUGETLB
    | MAP_HUGE_MASK << MAP_HUGE_SHIFT
)
"""The flags that MAP_SHARED_VALIDATE allows for a file without special ones (linux/mman.h)."""
RWX: Final = 7
GROWS: Final = PROT_GROWSDOWN | PROT_GROWSUP
MASK64: Final = (1 << 64) - 1


@calls.call
def mmap(t: "Task", addr: Ptr, length: Size, prot: Flags, flags: ULong, fd: FdNum, offset: ULong) -> int:
    """mmap(2). Raises: EINVAL, EBADF, EACCES, EPERM, ENODEV, ENOMEM, EOVERFLOW, EEXIST, EAGAIN."""
    if offset & (PAGE_SIZE - 1):
        raise EINVAL
    if flags & MAP_ANONYMOUS:
        if flags & MAP_HUGETLB:
            raise EINVAL
        return t.mm.mmap(addr, length, prot, flags, None, 0)
    file = t.files.get(fd)
    shared = flags & MAP_TYPE != MAP_PRIVATE
    place = file.where
    max_prot = RWX
    if place is not None and place.mount.flags & MS_NOEXEC:
        max_prot &= ~PROT_EXEC
    if shared and not (file.writable and not _is_sealed(file)):
        max_prot &= ~PROT_WRITE
    refusal = _refusal(file, prot, flags)
    return t.mm.mmap(
        addr,
        length,
        prot,
        flags,
        None if refusal is not None else cast("Mappable | None", file.mappable()),
        offset,
        max_prot=max_prot,
        name=place or b"",
        refusal=refusal,
    )


def _is_sealed(file: FileDescription) -> bool:
    return file.inode is not None and file.inode.denies_writes()


def _refusal(file: FileDescription, prot: int, flags: int) -> LinuxError | None:
    """Return why a file is not to be mapped this way; Linux checks the address before."""
    kind = flags & MAP_TYPE
    if kind not in {MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE}:
        return EINVAL()
    if kind == MAP_SHARED_VALIDATE and flags & ~LEGACY_MAP_MASK:
        return EOPNOTSUPP()
    if kind != MAP_PRIVATE and prot & PROT_WRITE and not file.writable:
        return EACCES()
    if not file.readable:
        return EACCES()
    if prot & PROT_EXEC and file.where is not None and file.where.mount.flags & MS_NOEXEC:
        return EPERM()
    if kind != MAP_PRIVATE and prot & PROT_WRITE and _is_sealed(file):
        return EPERM()
    try:
        file.mappable()
    except LinuxError as error:
        return error
    return None


@calls.call
def pkey_alloc(t: "Task", flags: ULong, rights: ULong) -> int:
    """pkey_alloc(2): there are no protection keys. Raises: EINVAL, ENOSPC."""
    del t
    if flags or rights & ~3:
        raise EINVAL
    raise ENOSPC


@calls.call
def pkey_free(t: "Task", key: Int) -> int:
    """pkey_free(2): no key exists. Raises: EINVAL."""
    del t, key
    raise EINVAL


@calls.call
def pkey_mprotect(t: "Task", addr: Ptr, length: Size, prot: Flags, key: Int) -> int:
    """pkey_mprotect(2): with key -1 it is mprotect. Raises: EINVAL; as mprotect."""
    if key != -1:
        raise EINVAL
    return mprotect(t, addr, length, prot)


@calls.call
def munmap(t: "Task", addr: Ptr, length: Size) -> int:
    """munmap(2). Raises: EINVAL, ENOMEM."""
    t.mm.munmap(addr, length)
    t.kernel.reclaimer.wake()
    return 0


@calls.call
def mprotect(t: "Task", addr: Ptr, length: Size, prot: ULong) -> int:
    """mprotect(2). Raises: EINVAL, ENOMEM, EACCES."""
    if prot & GROWS == GROWS:
        raise EINVAL
    if length and not addr & (PAGE_SIZE - 1) and addr + page_up(length) > MASK64:
        raise ENOMEM
    t.mm.mprotect(addr, length, prot)
    return 0


@calls.call
def mremap(t: "Task", old: Ptr, old_length: Size, new_length: Size, flags: ULong, new: Ptr) -> int:
    """mremap(2). Raises: EINVAL, EFAULT, ENOMEM, EAGAIN, EPERM."""
    return t.mm.mremap(old, old_length, new_length, flags, new)


@calls.call
def brk(t: "Task", addr: Ptr) -> int:
    """brk(2): the end of the heap, moved or not."""
    return t.mm.brk(addr)


@calls.call
def madvise(t: "Task", addr: Ptr, length: Size, advice: Int) -> int:
    """madvise(2). Raises: EINVAL, ENOMEM, EFAULT, EBUSY."""
    if addr + page_up(length) > MASK64:
        raise EINVAL
    t.mm.madvise(addr, length, advice)
    t.kernel.reclaimer.wake()
    return 0


@calls.call
def msync(t: "Task", addr: Ptr, length: Size, flags: Int) -> int:
    """msync(2). Raises: EINVAL, ENOMEM, EBUSY, EIO."""
    t.mm.msync(addr, length, flags)
    return 0


@calls.call
def mincore(t: "Task", addr: Ptr, length: Size, vector: Ptr) -> int:
    """mincore(2), a megabyte of answers at most at a time. Raises: EINVAL, ENOMEM, EFAULT."""
    if addr & (PAGE_SIZE - 1):
        raise EINVAL
    if addr + length > TASK_SIZE:
        raise ENOMEM
    if vector + page_up(length) // PAGE_SIZE > TASK_SIZE:
        raise EFAULT
    done = 0
    step = PAGE_SIZE << 20
    while done < length:
        answer = t.mm.mincore(addr + done, min(length - done, step))
        t.mm.copy_out(vector, answer)
        vector += len(answer)
        done += step
    return 0


def _may_lock(t: "Task") -> bool:
    return t.creds.capable(CAP_IPC_LOCK)


@calls.call
def mlock(t: "Task", addr: Ptr, length: Size) -> int:
    """mlock(2). Raises: EINVAL, EPERM, ENOMEM, EAGAIN."""
    t.mm.mlock(addr, length, privileged=_may_lock(t))
    return 0


@calls.call
def mlock2(t: "Task", addr: Ptr, length: Size, flags: Int) -> int:
    """mlock2(2). Raises: EINVAL, EPERM, ENOMEM, EAGAIN."""
    t.mm.mlock(addr, length, flags, privileged=_may_lock(t))
    return 0


@calls.call
def munlock(t: "Task", addr: Ptr, length: Size) -> int:
    """munlock(2). Raises: EINVAL, ENOMEM."""
    t.mm.munlock(addr, length)
    return 0


@calls.call
def mlockall(t: "Task", flags: Int) -> int:
    """mlockall(2). Raises: EINVAL, EPERM, ENOMEM."""
    t.mm.mlockall(flags, privileged=_may_lock(t))
    return 0


@calls.call
def munlockall(t: "Task") -> int:
    """munlockall(2)."""
    t.mm.munlockall()
    return 0
