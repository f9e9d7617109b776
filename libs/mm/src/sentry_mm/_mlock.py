"""mlock and its family: accounts and limits, since all memory stays with the host. Source: Linux mm/mlock.c (6.1)."""

from typing import TYPE_CHECKING, Final

from sentry_abi.errors import EAGAIN, EINVAL, ENOMEM, EPERM
from sentry_abi.memory import PAGE_SIZE, page_up
from sentry_abi.mman import MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, MLOCK_ONFAULT
from sentry_abi.resource import RLIM_INFINITY, RLIMIT_MEMLOCK
from sentry_mm._lists import gap_in_vmas, set_vm_flags
from sentry_mm._vma import VM_LOCKED, VM_LOCKONFAULT

if TYPE_CHECKING:
    from sentry_mm._mm import MMState

_LOCKS: Final = VM_LOCKED | VM_LOCKONFAULT


def mlock_future_ok(mm: "MMState", vm_flags: int, length: int, *, privileged: bool) -> None:
    """Check RLIMIT_MEMLOCK. Raises: EPERM if it is 0, EAGAIN if not this much more may be locked."""
    if not vm_flags & VM_LOCKED or privileged:
        return
    limit = mm.limits.soft(RLIMIT_MEMLOCK)
    if limit == 0:
        raise EPERM
    if mm.locked_bytes + length > limit:
        raise EAGAIN


def mlock(mm: "MMState", addr: int, length: int, flags: int = 0, *, privileged: bool = False) -> None:
    """Account a range as locked; all memory stays with the host. Raises: EINVAL, EPERM, ENOMEM, EAGAIN."""
    if flags & ~MLOCK_ONFAULT:
        raise EINVAL
    limit = mm.limits.soft(RLIMIT_MEMLOCK)
    if limit == 0 and not privileged:
        raise EPERM
    start = addr & -PAGE_SIZE
    end = start + page_up(length + (addr - start))
    if end > 1 << 64:
        raise EINVAL
    new = sum(min(a.end, end) - max(a.start, start) for a in mm.vmas.within(start, end) if not a.vm_flags & VM_LOCKED)
    if not privileged and limit != RLIM_INFINITY and mm.locked_bytes + new > limit:
        raise ENOMEM
    _apply_mlock(mm, start, end, VM_LOCKED | (VM_LOCKONFAULT if flags & MLOCK_ONFAULT else 0))


def munlock(mm: "MMState", addr: int, length: int) -> None:
    """Undo mlock. Raises: EINVAL, ENOMEM."""
    start = addr & -PAGE_SIZE
    end = start + page_up(length + (addr - start))
    if end > 1 << 64:
        raise EINVAL
    _apply_mlock(mm, start, end, 0)


def _apply_mlock(mm: "MMState", start: int, end: int, plus: int) -> None:
    if start == end:
        return
    for vma in list(mm.vmas.within(start, end)):
        set_vm_flags(mm, max(vma.start, start), min(vma.end, end), plus, _LOCKS & ~plus)
    if gap_in_vmas(mm, start, end):
        raise ENOMEM


def mlockall(mm: "MMState", flags: int, *, privileged: bool = False) -> None:
    """Account everything as locked, now or from now on. Raises: EINVAL, EPERM, ENOMEM."""
    if not flags or flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) or flags == MCL_ONFAULT:
        raise EINVAL
    limit = mm.limits.soft(RLIMIT_MEMLOCK)
    if limit == 0 and not privileged:
        raise EPERM
    if flags & MCL_CURRENT and not privileged and limit != RLIM_INFINITY and mm.total_bytes > limit:
        raise ENOMEM
    locks = VM_LOCKED | (VM_LOCKONFAULT if flags & MCL_ONFAULT else 0)
    mm.def_flags = locks if flags & MCL_FUTURE else 0
    if flags & MCL_CURRENT:
        for vma in list(mm.vmas):
            set_vm_flags(mm, vma.start, vma.end, locks, _LOCKS & ~locks)


def munlockall(mm: "MMState") -> None:
    """Undo mlockall."""
    mm.def_flags = 0
    for vma in list(mm.vmas):
        set_vm_flags(mm, vma.start, vma.end, 0, _LOCKS)
