"""The address space as the kernel uses it: the state with all operations as methods."""

from typing import TYPE_CHECKING

from sentry_futex import Manager
from sentry_mm._access import (
    add_u32,
    cas_u32,
    copy_in,
    copy_out,
    copy_out_partial,
    cstring,
    load_u32,
    load_u64,
    readable,
    shared_key,
    store_u32,
    store_u64,
    swap_u32,
    writable,
    zero_out,
)
from sentry_mm._advice import madvise
from sentry_mm._apply import begin, commit
from sentry_mm._fault import handle_fault
from sentry_mm._fork import fork
from sentry_mm._heap import brk, map_stack
from sentry_mm._life import attach, release, reset, retain
from sentry_mm._limits import NoLimits
from sentry_mm._map import mmap, munmap
from sentry_mm._mlock import mlock, mlockall, munlock, munlockall
from sentry_mm._mm import MMState
from sentry_mm._msync import mincore, msync
from sentry_mm._place import find_free, set_layout
from sentry_mm._protect import mprotect
from sentry_mm._remap import mremap
from sentry_mm._shared import SharedMemory
from sentry_mm._truncate import invalidate

if TYPE_CHECKING:
    from sentry_mm._limits import Limits
    from sentry_mm._vma import Vma
    from sentry_pgalloc import MemoryFile
    from sentry_platform import AddressSpace


class MemoryManager(MMState):
    """One address space: `MMState` has the data, the modules have the functions, and here they are its methods."""

    __slots__ = ()

    def __init__(
        self,
        space: "AddressSpace",
        memory: "MemoryFile",
        limits: "Limits | None" = None,
        futexes: Manager | None = None,
    ) -> None:
        """Begin empty.

        futexes: a fork of the manager that all spaces of a kernel share; without it, one of its own.
        """
        super().__init__(space, memory, limits or NoLimits(), futexes or Manager())
        set_layout(self, 0, 0)

    retain = retain
    release = release
    reset = reset
    attach = attach
    fork = fork
    begin = begin
    commit = commit
    set_layout = set_layout
    find_free = find_free

    mmap = mmap
    munmap = munmap
    mprotect = mprotect
    mremap = mremap
    brk = brk
    map_stack = map_stack
    madvise = madvise
    msync = msync
    mincore = mincore
    mlock = mlock
    munlock = munlock
    mlockall = mlockall
    munlockall = munlockall
    handle_fault = handle_fault
    invalidate = invalidate

    readable = readable
    writable = writable
    copy_in = copy_in
    copy_out = copy_out
    copy_out_partial = copy_out_partial
    zero_out = zero_out
    cstring = cstring
    load_u32 = load_u32
    store_u32 = store_u32
    swap_u32 = swap_u32
    add_u32 = add_u32
    cas_u32 = cas_u32
    load_u64 = load_u64
    store_u64 = store_u64
    shared_key = shared_key

    def resident_bytes(self) -> int:
        """Return how much of it is present, as the platform sees it."""
        return self.space.resident_bytes()

    def name_of(self, vma: "Vma") -> object:
        """Return what /proc/PID/maps shows behind a VMA: its file's path, [heap], [stack] or nothing."""
        if vma.name:
            return vma.name
        if isinstance(vma.file, SharedMemory):
            return b"/dev/zero (deleted)"
        if vma.file is None:
            if vma.start < self.brk_end and vma.end > self.brk_start:
                return b"[heap]"
            if vma.start <= self.stack_start < vma.end:
                return b"[stack]"
        return b""
