"""The heap and the stack: brk(2), and the stack a program starts with. Sources: Linux mm/mmap.c (6.1), fs/exec.c."""

from typing import Final

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
from sentry_mm._areas import (
    Area,
)
from sentry_mm._limits import EAGER_STACK, MAX_MAP_COUNT
from sentry_mm._remap import Remap

_RWX: Final = PROT_READ | PROT_WRITE | PROT_EXEC


class Heap(Remap):
    """Remap with brk and the initial stack."""

    __slots__ = ()

    def brk(self, addr: int) -> int:
        """Move the end of the heap to addr if that can be; return where it is. Never raises."""
        start = self.brk_start
        if addr < start:
            return self.brk_end
        limit = self.limits.soft(RLIMIT_DATA)
        if limit != RLIM_INFINITY and (addr - start) + (self.data_end - self.data_start) > limit:
            return self.brk_end
        old, new = page_up(self.brk_end), page_up(addr)
        try:
            if new < old:
                self._unmap(new, old)
            elif new > old:
                self._grow_heap(old, new)
        except LinuxError:
            return self.brk_end
        self.brk_end = addr
        return addr

    def _grow_heap(self, old: int, new: int) -> None:
        if new > TASK_SIZE or not self._is_free(old, new + PAGE_SIZE):
            raise ENOMEM
        flags = self.lock_flags
        self._may_lock(flags, new - old, privileged=False)
        self._allowed(new - old, new - old)
        if len(self.areas) >= MAX_MAP_COUNT:
            raise ENOMEM
        area = Area(old, new, PROT_READ | PROT_WRITE, _RWX, flags, None, 0, b"")
        self._install(area, [self._fresh(old, new, top_down=False)])

    def map_stack(self, top: int, *, executable: bool = False) -> int:
        """Map the initial stack below top: its limit, at most 8 MiB; faults let it grow. Return its low end.

        Raises: ENOMEM if the limit leaves no page.
        """
        limit = self.limits.soft(RLIMIT_STACK) & -PAGE_SIZE
        if not limit:
            raise ENOMEM
        size = min(limit, EAGER_STACK)
        prot = PROT_READ | PROT_WRITE | (PROT_EXEC if executable else 0)
        self.mmap(
            top - size,
            size,
            prot,
            2 | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
        )
        return top - size
