"""The heap and the stack: brk(2), and the stack a program starts with. Sources: Linux mm/mmap.c (6.1), fs/exec.c."""

from typing import TYPE_CHECKING, Final

from sentry_abi.errors import (
    ENOMEM,
    LinuxError,
)
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE, page_up
from sentry_abi.mman import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_GROWSDOWN,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
)
from sentry_abi.resource import RLIM_INFINITY, RLIMIT_DATA, RLIMIT_STACK
from sentry_mm._backing import fresh_pma
from sentry_mm._limits import EAGER_STACK, MAX_MAP_COUNT
from sentry_mm._lists import may_expand
from sentry_mm._map import install, mmap, unmap
from sentry_mm._mlock import mlock_future_ok
from sentry_mm._place import is_free
from sentry_mm._vma import Vma

if TYPE_CHECKING:
    from sentry_mm._mm import MMState

_RWX: Final = PROT_READ | PROT_WRITE | PROT_EXEC


def brk(mm: "MMState", addr: int) -> int:
    """Move the end of the heap to addr if possible; return where it is. Never raises."""
    start = mm.brk_start
    if addr < start:
        return mm.brk_end
    limit = mm.limits.soft(RLIMIT_DATA)
    if limit != RLIM_INFINITY and (addr - start) + (mm.data_end - mm.data_start) > limit:
        return mm.brk_end
    old, new = page_up(mm.brk_end), page_up(addr)
    try:
        if new < old:
            unmap(mm, new, old)
        elif new > old:
            _grow_heap(mm, old, new)
    except LinuxError:
        return mm.brk_end
    mm.brk_end = addr
    return addr


def _grow_heap(mm: "MMState", old: int, new: int) -> None:
    if new > TASK_SIZE or not is_free(mm, old, new + PAGE_SIZE):
        raise ENOMEM
    flags = mm.def_flags
    mlock_future_ok(mm, flags, new - old, privileged=False)
    may_expand(mm, new - old, new - old)
    if len(mm.vmas) >= MAX_MAP_COUNT:
        raise ENOMEM
    vma = Vma(old, new, PROT_READ | PROT_WRITE, _RWX, flags, None, 0, b"")
    install(mm, vma, [fresh_pma(mm, old, new, top_down=False)])


def map_stack(mm: "MMState", top: int, *, executable: bool = False) -> int:
    """Map the initial stack below top: its limit, at most 8 MiB; faults let it grow. Return its low end.

    Raises: ENOMEM if the limit leaves no page.
    """
    limit = mm.limits.soft(RLIMIT_STACK) & -PAGE_SIZE
    if not limit:
        raise ENOMEM
    size = min(limit, EAGER_STACK)
    prot = PROT_READ | PROT_WRITE | (PROT_EXEC if executable else 0)
    mmap(
        mm,
        top - size,
        size,
        prot,
        2 | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
    )
    return top - size
