"""The memory calls one by one: errors in Linux's order, effects on the host's view, limits, placement."""

import os
from collections.abc import Callable, Iterator

import pytest

from sentry_abi.errors import (
    EACCES,
    EAGAIN,
    EBUSY,
    EEXIST,
    EFAULT,
    EINVAL,
    EIO,
    ENAMETOOLONG,
    ENOMEM,
    EOVERFLOW,
    EPERM,
    LinuxError,
)
from sentry_abi.memory import TASK_SIZE
from sentry_abi.mman import (
    MADV_DODUMP,
    MADV_DOFORK,
    MADV_DONTDUMP,
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_NORMAL,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MADV_RANDOM,
    MADV_REMOVE,
    MADV_SEQUENTIAL,
    MADV_WILLNEED,
    MADV_WIPEONFORK,
    MAP_32BIT,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MCL_CURRENT,
    MCL_FUTURE,
    MCL_ONFAULT,
    MLOCK_ONFAULT,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    MS_ASYNC,
    MS_INVALIDATE,
    MS_SYNC,
    PROT_EXEC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_READ,
    PROT_WRITE,
)
from sentry_abi.resource import RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK
from sentry_mm import Extent, MemoryManager, SharedMemory
from sentry_mm import _access as access_module
from sentry_mm import _cow as cow_module
from sentry_mm import _heap as heap_module
from sentry_mm import _map as map_module
from sentry_mm._limits import MMAP_MIN_ADDR, STACK_GUARD_GAP
from sentry_mm.testing import FakeSpace, HostFile, MemoryFileFile, Signal, check
from sentry_pgalloc import MemoryFile
from sentry_platform import FAULT_EXEC, FAULT_READ, FAULT_WRITE

PAGE = 4096
RW = PROT_READ | PROT_WRITE
ANON = MAP_PRIVATE | MAP_ANONYMOUS
BASE = 0x20_0000_0000
INFINITY = (1 << 64) - 1


class Limits:
    """Limits that a test sets."""

    def __init__(self) -> None:
        """Begin with none but 8 MiB of stack."""
        self.values = {RLIMIT_STACK: 8 << 20}

    def soft(self, resource: int, /) -> int:
        """Return it."""
        return self.values.get(resource, INFINITY)


class World:
    """One address space over a fake host."""

    def __init__(self) -> None:
        """Begin empty."""
        self.memory = MemoryFile(1 << 44)
        self.limits = Limits()
        self.space = FakeSpace()
        self.mm = MemoryManager(self.space, self.memory, self.limits)

    def anon(self, pages: int, at: int = BASE, prot: int = RW, flags: int = 0) -> int:
        """Map anonymous memory at a fixed place."""
        return self.mm.mmap(at, pages * PAGE, prot, ANON | MAP_FIXED | flags)

    def shape(self) -> list[tuple[int, int, int]]:
        """Return the VMAs as (page, pages, prot) from BASE on."""
        return [((a.start - BASE) // PAGE, (a.end - a.start) // PAGE, a.prot) for a in self.mm.vmas]

    def fork(self) -> MemoryManager:
        """Fork as a space with several users does: everything is shared, nothing copied in advance."""
        self.mm.retain()
        try:
            return self.mm.fork()
        finally:
            self.mm.users -= 1

    def load(self, addr: int) -> int:
        """Read as the guest."""
        return self.space.load(self.mm, addr)

    def store(self, addr: int, value: int) -> None:
        """Write as the guest."""
        self.space.store(self.mm, addr, value)


@pytest.fixture
def w() -> Iterator[World]:
    """Return a world; in the end its host view is right and nothing leaks."""
    world = World()
    yield world
    check(world.mm, world.space)
    world.mm.release()
    assert world.memory.ranges() == []
    assert world.space.released
    world.memory.close()


# -- mmap ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "addr", "length", "prot", "flags", "offset"),
    [
        (EINVAL, 0, 0, RW, ANON, 0),
        (EINVAL, 0, PAGE, RW, ANON, 5),
        (ENOMEM, 0, TASK_SIZE + 1, RW, ANON, 0),
        (EOVERFLOW, 0, PAGE, RW, ANON, 1 << 63),
        (EINVAL, BASE + 1, PAGE, RW, ANON | MAP_FIXED, 0),
        (ENOMEM, TASK_SIZE, PAGE, RW, ANON | MAP_FIXED, 0),
        (EPERM, 0, PAGE, RW, ANON | MAP_FIXED, 0),
        (EINVAL, 0, PAGE, RW, MAP_ANONYMOUS, 0),
        (EINVAL, 0, PAGE, RW, MAP_ANONYMOUS | MAP_SHARED_VALIDATE, 0),
        (EINVAL, 0, PAGE, RW, MAP_ANONYMOUS | MAP_SHARED | MAP_GROWSDOWN, 0),
        (ENOMEM, 0, 1 << 46, RW, ANON, 0),
    ],
)
def test_mmap_errors(
    w: World, error: type[LinuxError], addr: int, length: int, prot: int, flags: int, offset: int
) -> None:
    """Each wrong argument has its number, and nothing is mapped."""
    with pytest.raises(error):
        w.mm.mmap(addr, length, prot, flags, None, offset)
    assert w.shape() == []


def test_mmap_of_files_is_checked(w: World) -> None:
    """What the open file does not allow, a stack of a file, and a file that fails."""
    file = HostFile(b"x" * 5000)
    with pytest.raises(EACCES):
        w.mm.mmap(0, PAGE, RW, MAP_SHARED, file, max_prot=PROT_READ)
    with pytest.raises(EINVAL):
        w.mm.mmap(0, PAGE, RW, MAP_PRIVATE | MAP_GROWSDOWN, file)
    assert w.shape() == []
    file.close()


def test_fixed_noreplace(w: World) -> None:
    """It maps where nothing is, and says so where something is."""
    w.anon(2)
    with pytest.raises(EEXIST):
        w.mm.mmap(BASE + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE)
    assert w.mm.mmap(BASE + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE) == BASE + 2 * PAGE
    assert w.shape() == [(0, 3, RW)]


def test_placement_is_downwards_and_first_gap_from_the_top(w: World) -> None:
    """Mappings lie below each other and are one host mapping; a hole that fits is used again, a smaller one is not."""
    w.mm.set_layout(16 << 30, 0)
    at = [w.mm.mmap(0, PAGE * 4, RW, ANON) for _ in range(5)]
    assert at == [w.mm.mmap_base - PAGE * 4 * (n + 1) for n in range(5)]
    assert len(w.space.mappings) == len(w.mm.pmas) == 1
    w.mm.munmap(at[1], PAGE * 4)
    assert w.mm.mmap(0, PAGE * 5, RW, ANON) == at[4] - PAGE * 5
    assert w.mm.mmap(0, PAGE * 3, RW, ANON) == at[1] + PAGE
    assert w.mm.mmap(0, PAGE, RW, ANON) == at[1]
    assert w.mm.mmap(0, PAGE, RW, ANON) == at[4] - PAGE * 6


def test_hints(w: World) -> None:
    """A free hint is taken, rounded; one that is not free, or too low, is not."""
    assert w.mm.mmap(BASE + 5, PAGE, RW, ANON) == BASE + PAGE
    assert w.mm.mmap(BASE + PAGE, PAGE, RW, ANON) not in {BASE + PAGE, BASE}
    assert w.mm.mmap(1, PAGE, RW, ANON) == MMAP_MIN_ADDR
    assert w.mm.mmap(TASK_SIZE - PAGE, 4 * PAGE, RW, ANON) < TASK_SIZE - PAGE


def test_32_bit_window(w: World) -> None:
    """MAP_32BIT maps between 1 and 2 GiB, until that is full."""
    first = w.mm.mmap(0, PAGE, RW, ANON | MAP_32BIT)
    assert first == 0x40000000
    assert w.mm.mmap(0, PAGE, RW, ANON | MAP_32BIT) == 0x40001000
    w.mm.mmap(0, 0x3FFFE000, PROT_READ, ANON | MAP_32BIT | MAP_NORESERVE)
    with pytest.raises(ENOMEM):
        w.mm.mmap(0, PAGE, RW, ANON | MAP_32BIT)


def test_a_full_space_is_searched_above_the_base_too(w: World) -> None:
    """When everything below mmap_base is taken, the rest is used; then ENOMEM."""
    w.mm.mmap(MMAP_MIN_ADDR, w.mm.mmap_base - MMAP_MIN_ADDR, 0, ANON | MAP_FIXED)
    assert w.mm.mmap(0, PAGE, RW, ANON) == w.mm.mmap_base
    assert w.mm.mmap(0, PAGE, RW, ANON) == w.mm.mmap_base + PAGE
    assert w.space.ops == 2


def test_reservations_cost_nothing_until_used(w: World) -> None:
    """PROT_NONE has no host mapping and no memory; usable parts of one reservation lie side by side."""
    base = w.mm.mmap(0, 8 << 30, 0, ANON)
    assert (w.space.ops, w.memory.ranges()) == (0, [])
    w.mm.mprotect(base + (1 << 20), 1 << 20, RW)
    w.mm.mprotect(base, 1 << 20, RW)
    assert len(w.space.mappings) == 1
    w.store(base + (1 << 20), 5)
    w.mm.mprotect(base, 2 << 20, 0)
    assert w.space.mappings == []
    w.mm.mprotect(base, 2 << 20, PROT_READ)
    assert w.load(base + (1 << 20)) == 5
    huge = w.mm.mmap(0, 1 << 40, 0, ANON)
    w.mm.mprotect(huge + PAGE, PAGE, RW)
    assert sum(r[1] - r[0] for r in w.memory.ranges()) == (8 << 30) + PAGE


def test_limits_of_size(w: World) -> None:
    """RLIMIT_AS and RLIMIT_DATA count what grows, not what is replaced."""
    w.limits.values[RLIMIT_AS] = 10 * PAGE
    w.anon(10)
    w.anon(5)
    with pytest.raises(ENOMEM):
        w.mm.mmap(0, PAGE, RW, ANON)
    w.limits.values[RLIMIT_AS] = INFINITY
    w.limits.values[RLIMIT_DATA] = 10 * PAGE
    with pytest.raises(ENOMEM):
        w.mm.mmap(0, PAGE, RW, ANON)
    read_only = w.mm.mmap(0, PAGE, PROT_READ, ANON)
    with pytest.raises(ENOMEM):
        w.mm.mprotect(read_only, PAGE, RW)
    w.mm.mmap(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS)
    assert (w.mm.total_bytes, w.mm.data_bytes) == (12 * PAGE, 10 * PAGE)
    w.mm.mprotect(BASE, PAGE, PROT_READ)
    assert w.mm.data_bytes == 9 * PAGE


def test_too_many_vmas(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The map count limits mmap, splits by munmap, and brk."""
    w.anon(3)
    w.mm.brk_start = w.mm.brk_end = BASE + (1 << 30)
    for module in (map_module, heap_module):
        monkeypatch.setattr(module, "MAX_MAP_COUNT", 1)
    with pytest.raises(ENOMEM):
        w.anon(1)
    with pytest.raises(ENOMEM):
        w.mm.munmap(BASE + PAGE, PAGE)
    assert w.mm.brk(BASE + (1 << 30) + PAGE) == BASE + (1 << 30)
    w.mm.munmap(BASE + 2 * PAGE, PAGE)


def test_locked_memory_is_limited(w: World) -> None:
    """Limit 0 is EPERM, too much EAGAIN or ENOMEM, and the privileged need no limit."""
    w.limits.values[RLIMIT_MEMLOCK] = 0
    with pytest.raises(EPERM):
        w.anon(1, flags=MAP_LOCKED)
    with pytest.raises(EPERM):
        w.mm.mlock(BASE, PAGE)
    with pytest.raises(EPERM):
        w.mm.mlockall(MCL_CURRENT)
    w.limits.values[RLIMIT_MEMLOCK] = 2 * PAGE
    w.anon(3)
    with pytest.raises(EAGAIN):
        w.mm.mmap(0, 3 * PAGE, RW, ANON | MAP_LOCKED)
    with pytest.raises(ENOMEM):
        w.mm.mlock(BASE, 3 * PAGE)
    with pytest.raises(ENOMEM):
        w.mm.mlockall(MCL_CURRENT)
    w.mm.mlock(BASE + 1, PAGE)
    assert w.mm.locked_bytes == 2 * PAGE
    w.mm.mlock(BASE, 2 * PAGE, MLOCK_ONFAULT)
    w.mm.mlock(BASE, 3 * PAGE, privileged=True)
    assert w.mm.locked_bytes == 3 * PAGE
    w.mm.munlock(BASE, PAGE)
    assert w.mm.locked_bytes == 2 * PAGE
    with pytest.raises(ENOMEM):
        w.mm.munlock(BASE + 2 * PAGE, 2 * PAGE)
    w.mm.munlock(BASE, 0)
    w.mm.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT, privileged=True)
    w.limits.values[RLIMIT_MEMLOCK] = INFINITY
    w.mm.mmap(0, PAGE, RW, ANON | MAP_POPULATE)
    assert w.mm.locked_bytes == 4 * PAGE
    w.mm.munlockall()
    assert (w.mm.locked_bytes, w.mm.def_flags) == (0, 0)
    for flags in (0, MCL_ONFAULT, 8):
        with pytest.raises(EINVAL):
            w.mm.mlockall(flags)
    for length, flags in ((PAGE, 7), (1 << 64, 0)):
        with pytest.raises(EINVAL):
            w.mm.mlock(BASE, length, flags)
    with pytest.raises(EINVAL):
        w.mm.munlock(BASE, 1 << 64)


# -- munmap, mprotect ---------------------------------------------------------------------------------------------


def test_munmap(w: World) -> None:
    """Holes are fine; misaligned and empty ranges are not; the middle can go."""
    for addr, length in ((BASE + 1, PAGE), (BASE, 0), (TASK_SIZE, PAGE)):
        with pytest.raises(EINVAL):
            w.mm.munmap(addr, length)
    w.mm.munmap(BASE, PAGE)
    w.anon(5)
    w.mm.munmap(BASE + 2 * PAGE, 1)
    assert w.shape() == [(0, 2, RW), (3, 2, RW)]
    with pytest.raises(Signal):
        w.load(BASE + 2 * PAGE)
    with pytest.raises(EFAULT):
        w.mm.copy_in(BASE + 2 * PAGE - 1, 2)


def test_mprotect(w: World) -> None:
    """Parts change and merge again; errors come after the part before them."""
    w.anon(4)
    w.mm.mprotect(BASE + PAGE, PAGE, PROT_READ | PROT_EXEC)
    assert w.shape() == [(0, 1, RW), (1, 1, 5), (2, 2, RW)]
    with pytest.raises(Signal) as sent:
        w.store(BASE + PAGE, 1)
    assert (sent.value.signo, sent.value.code) == (11, 2)
    with pytest.raises(ENOMEM):
        w.mm.mprotect(BASE + PAGE, 9 * PAGE, RW)
    assert w.shape() == [(0, 4, RW)]
    w.mm.mprotect(BASE, 0, 0)
    for addr, length, prot in ((BASE + 1, PAGE, 0), (BASE, PAGE, 0x40), (BASE, PAGE, PROT_GROWSDOWN | PROT_GROWSUP)):
        with pytest.raises(EINVAL):
            w.mm.mprotect(addr, length, prot)
    for addr, length in ((BASE, (1 << 64) - PAGE), (BASE + 9 * PAGE, PAGE)):
        with pytest.raises(ENOMEM):
            w.mm.mprotect(addr, length, 0)


def test_mprotect_of_a_file_opened_for_reading(w: World) -> None:
    """max_prot is EACCES, after the part before it."""
    file = HostFile(b"x" * PAGE)
    w.anon(1, BASE)
    w.mm.mmap(BASE + PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file, max_prot=PROT_READ)
    with pytest.raises(EACCES):
        w.mm.mprotect(BASE, 2 * PAGE, RW | PROT_EXEC)
    assert w.shape() == [(0, 1, 7), (1, 1, 1)]
    file.close()


def test_mprotect_makes_a_shared_file_writable(w: World) -> None:
    """A read-only shared view gets the file's writable backing when it becomes writable, visible or not."""
    file = HostFile(b"x" * 2 * PAGE)
    w.mm.mmap(BASE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file)
    w.mm.mprotect(BASE, PAGE, RW)
    w.store(BASE, 65)
    assert file.pread(1, 0) == b"A"
    w.mm.mprotect(BASE, 2 * PAGE, 0)
    w.mm.mprotect(BASE, 2 * PAGE, RW)
    w.mm.copy_out(BASE + PAGE, b"BC")
    assert file.pread(2, PAGE) == b"BC"
    file.close()


def test_mprotect_grows_down_to_the_start_of_a_stack(w: World) -> None:
    """PROT_GROWSDOWN covers the stack from its low end; it is refused elsewhere."""
    w.mm.mmap(BASE, 4 * PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN)
    w.mm.mprotect(BASE + 2 * PAGE, PAGE, RW | PROT_EXEC | PROT_GROWSDOWN)
    assert w.shape() == [(0, 3, 7), (3, 1, RW)]
    w.anon(1, BASE + (1 << 30))
    with pytest.raises(EINVAL):
        w.mm.mprotect(BASE + (1 << 30), PAGE, RW | PROT_GROWSDOWN)
    with pytest.raises(EINVAL):
        w.mm.mprotect(BASE, PAGE, RW | PROT_GROWSUP)
    with pytest.raises(ENOMEM):
        w.mm.mprotect(BASE - PAGE, PAGE, RW | PROT_GROWSDOWN)


# -- mremap -------------------------------------------------------------------------------------------------------


def test_mremap_in_place(w: World) -> None:
    """Shrinking gives the tail back; growing takes free space behind, in the file too."""
    w.anon(4)
    w.store(BASE + PAGE, 7)
    assert w.mm.mremap(BASE, 4 * PAGE, 2 * PAGE, 0) == BASE
    assert w.mm.mremap(BASE, 2 * PAGE, 8 * PAGE, 0) == BASE
    assert w.shape() == [(0, 8, RW)]
    assert w.mm.mremap(BASE, PAGE, PAGE, 0) == BASE
    w.anon(1, BASE + 8 * PAGE, PROT_READ)
    with pytest.raises(ENOMEM):
        w.mm.mremap(BASE, 8 * PAGE, 9 * PAGE, 0)
    assert w.load(BASE + PAGE) == 7


def test_mremap_moves_without_copying(w: World) -> None:
    """The pages are the same ones elsewhere; the tail is zero; the old place is empty."""
    w.anon(2)
    w.anon(1, BASE + 2 * PAGE, PROT_READ)
    w.store(BASE + PAGE, 9)
    usage = w.memory.total_usage()
    new = w.mm.mremap(BASE, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE)
    assert new != BASE
    assert (w.load(new + PAGE), w.load(new + 3 * PAGE)) == (9, 0)
    assert w.memory.total_usage() <= usage + PAGE
    with pytest.raises(Signal):
        w.load(BASE)


def test_mremap_to_a_place(w: World) -> None:
    """The target is unmapped first; overlap and bad addresses are refused."""
    w.anon(4)
    w.anon(8, BASE + 16 * PAGE, PROT_READ)
    w.store(BASE, 3)
    move = MREMAP_MAYMOVE | MREMAP_FIXED
    assert w.mm.mremap(BASE, 4 * PAGE, 2 * PAGE, move, BASE + 18 * PAGE) == BASE + 18 * PAGE
    assert w.shape() == [(16, 2, 1), (18, 2, RW), (20, 4, 1)]
    assert w.load(BASE + 18 * PAGE) == 3
    with pytest.raises(EINVAL):
        w.mm.mremap(BASE + 18 * PAGE, 2 * PAGE, 2 * PAGE, move, BASE + 19 * PAGE)
    with pytest.raises(EINVAL):
        w.mm.mremap(BASE + 18 * PAGE, 2 * PAGE, 2 * PAGE, move, BASE + 1)
    with pytest.raises(EINVAL):
        w.mm.mremap(BASE + 18 * PAGE, 2 * PAGE, 2 * PAGE, move, TASK_SIZE - PAGE)
    with pytest.raises(EPERM):
        w.mm.mremap(BASE + 18 * PAGE, PAGE, PAGE, move, 0)
    with pytest.raises(EFAULT):
        w.mm.mremap(BASE, PAGE, PAGE, move, BASE + PAGE)


def test_mremap_leaves_an_empty_area(w: World) -> None:
    """MREMAP_DONTUNMAP: the pages go, the VMA stays."""
    w.anon(2)
    w.store(BASE, 4)
    flags = MREMAP_MAYMOVE | MREMAP_DONTUNMAP
    new = w.mm.mremap(BASE, 2 * PAGE, 2 * PAGE, flags)
    assert (w.load(new), w.load(BASE)) == (4, 0)
    hinted = w.mm.mremap(new, 2 * PAGE, 2 * PAGE, flags, BASE + 64 * PAGE)
    assert hinted == BASE + 64 * PAGE
    with pytest.raises(EINVAL):
        w.mm.mremap(BASE, PAGE, 2 * PAGE, flags)


def test_mremap_of_nothing_shows_shared_memory_twice(w: World) -> None:
    """Old size 0: a second view; of private memory EINVAL; growth of shared memory is beyond its end."""
    at = w.mm.mmap(0, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS)
    new = w.mm.mremap(at, 0, 2 * PAGE, MREMAP_MAYMOVE)
    w.store(at + PAGE, 6)
    assert w.load(new + PAGE) == 6
    moved = w.mm.mremap(new, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE)
    with pytest.raises(Signal) as sent:
        w.load(moved + 2 * PAGE)
    assert (sent.value.signo, sent.value.code) == (7, 2)
    w.anon(1)
    with pytest.raises(EINVAL):
        w.mm.mremap(BASE, 0, PAGE, MREMAP_MAYMOVE)


@pytest.mark.parametrize("flags", [8, MREMAP_FIXED, MREMAP_DONTUNMAP])
def test_mremap_flags(w: World, flags: int) -> None:
    """Unknown ones, and ones without MAYMOVE."""
    w.anon(1)
    with pytest.raises(EINVAL):
        w.mm.mremap(BASE, PAGE, PAGE, flags)


def test_mremap_errors(w: World) -> None:
    """Misaligned, empty, not there, over several VMAs, limits."""
    w.anon(1)
    w.anon(1, BASE + PAGE, PROT_READ)
    for args in ((BASE + 1, PAGE, PAGE), (BASE, PAGE, 0)):
        with pytest.raises(EINVAL):
            w.mm.mremap(*args, 0)
    for args in ((BASE - PAGE, PAGE, PAGE), (BASE, 2 * PAGE, 3 * PAGE)):
        with pytest.raises(EFAULT):
            w.mm.mremap(*args, MREMAP_MAYMOVE)
    w.limits.values[RLIMIT_AS] = 2 * PAGE
    with pytest.raises(ENOMEM):
        w.mm.mremap(BASE, PAGE, 2 * PAGE, MREMAP_MAYMOVE)


def test_mremap_of_files(w: World) -> None:
    """A file view grows to the next pages of the file, in place and moved."""
    file = HostFile(b"".join(bytes([65 + n]) * PAGE for n in range(6)))
    at = w.mm.mmap(BASE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, PAGE)
    assert w.mm.mremap(at, 2 * PAGE, 3 * PAGE, 0) == at
    assert w.load(at + 2 * PAGE) == 68
    w.anon(1, BASE + 3 * PAGE)
    moved = w.mm.mremap(at, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE)
    assert w.load(moved + 3 * PAGE) == 69
    with pytest.raises(EINVAL):
        w.mm.mremap(moved, 4 * PAGE, 1 << 63, MREMAP_MAYMOVE)
    file.close()


# -- brk and stack ------------------------------------------------------------------------------------------------


def test_brk(w: World) -> None:
    """The heap grows in one PMA, shrinks, and meets its neighbours and limits without an error number."""
    w.mm.brk_start = w.mm.brk_end = BASE + 100
    assert w.mm.brk(0) == BASE + 100
    assert w.mm.brk(BASE + 3 * PAGE + 5) == BASE + 3 * PAGE + 5
    assert w.mm.brk(BASE + 8 * PAGE) == BASE + 8 * PAGE
    assert len(w.mm.pmas) == len(w.space.mappings) == 1
    w.store(BASE + 7 * PAGE, 1)
    assert w.mm.brk(BASE + 2 * PAGE) == BASE + 2 * PAGE
    assert w.mm.brk(BASE + 8 * PAGE) == BASE + 8 * PAGE
    assert w.load(BASE + 7 * PAGE) == 0
    w.anon(1, BASE + 16 * PAGE)
    assert w.mm.brk(BASE + 16 * PAGE) == BASE + 8 * PAGE
    w.limits.values[RLIMIT_DATA] = 12 * PAGE
    assert w.mm.brk(BASE + 15 * PAGE) == BASE + 8 * PAGE
    w.limits.values[RLIMIT_DATA] = INFINITY
    assert w.mm.brk(TASK_SIZE + PAGE) == BASE + 8 * PAGE
    assert w.mm.name_of(w.mm.vmas.items[0]) == b"[heap]"
    assert w.mm.name_of(w.mm.vmas.items[1]) == b""


def test_stack_grows_by_faults(w: World) -> None:
    """Eight megabytes at once, more by faults up to the limit, with a gap of 256 pages to what lies below."""
    w.limits.values[RLIMIT_STACK] = 16 << 20
    top = BASE + (64 << 20)
    low = w.mm.map_stack(top)
    assert low == top - (8 << 20)
    w.mm.stack_start = top - 8
    assert w.mm.name_of(w.mm.vmas.items[0]) == b"[stack]"
    w.store(low - 5 * PAGE, 1)
    assert w.mm.vmas.items[0].start <= low - (128 << 10)
    w.mm.copy_out(low - (1 << 20), b"kernel")
    with pytest.raises(Signal):
        w.store(top - (16 << 20) - 1, 1)
    with pytest.raises(EFAULT):
        w.mm.copy_out(top - (16 << 20) - 1, b"x")
    w.anon(1, low - (2 << 20))
    with pytest.raises(Signal):
        w.store(low - (2 << 20) + STACK_GUARD_GAP - 1, 1)
    w.store(low - (2 << 20) + PAGE + STACK_GUARD_GAP, 1)
    assert w.mm.stack_bytes == w.mm.vmas.items[-1].end - w.mm.vmas.items[-1].start
    w.limits.values[RLIMIT_STACK] = 0
    with pytest.raises(ENOMEM):
        w.mm.map_stack(top + (1 << 30))


def test_a_stack_keeps_others_at_a_distance(w: World) -> None:
    """The guard gap counts when places are chosen, and when a stack would grow into PROT_NONE."""
    w.mm.mmap(BASE, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN)
    assert w.mm.mmap(BASE - PAGE, PAGE, RW, ANON) != BASE - PAGE
    w.anon(1, BASE - 4 * PAGE, 0)
    w.store(BASE - 2 * PAGE, 1)
    with pytest.raises(Signal):
        w.store(BASE - 4 * PAGE, 1)


def test_a_stack_that_cannot_grow(w: World) -> None:
    """No memory, or a host that refuses: SIGKILL for the guest, EFAULT for the kernel, nothing changed."""
    w.limits.values[RLIMIT_STACK] = 64 << 20
    low = w.mm.map_stack(BASE + (64 << 20))
    w.limits.values[RLIMIT_AS] = w.mm.total_bytes
    assert w.mm.handle_fault(low - 1, FAULT_WRITE) == (9, 0)
    with pytest.raises(EFAULT):
        w.mm.copy_in(low - 1, 1)
    w.limits.values[RLIMIT_AS] = INFINITY
    w.space.fail_at = 0
    assert w.mm.handle_fault(low - 1, FAULT_WRITE) == (9, 0)
    assert w.mm.vmas.items[0].start == low


# -- faults and copies --------------------------------------------------------------------------------------------


def test_fault_codes(w: World) -> None:
    """At an unmapped address, without permission, and without a cause."""
    w.anon(1)
    w.anon(1, BASE + 2 * PAGE, 0)
    assert w.mm.handle_fault(BASE + PAGE, FAULT_READ) == (11, 1)
    assert w.mm.handle_fault(BASE + 2 * PAGE, FAULT_READ) == (11, 2)
    assert w.mm.handle_fault(BASE, FAULT_EXEC) == (11, 2)
    outcomes = [w.mm.handle_fault(BASE, FAULT_WRITE) for _ in range(70)]
    assert outcomes[0] == 0
    assert outcomes[-1] == (11, 2)


def test_a_lost_host_mapping_is_put_back(w: World) -> None:
    """The second spurious fault at one address maps the PMA again."""
    w.anon(4)
    w.space.mappings = []
    w.store(BASE + PAGE, 3)
    assert w.load(BASE + PAGE) == 3


def test_sequential_copies_are_few_mappings(w: World) -> None:
    """Shadow ranges: a parent that writes 2,000 shared pages in order has two or three host mappings, not 2,000."""
    w.anon(2000)
    for page in range(2000):
        w.store(BASE + page * PAGE, page & 255)
    child = w.fork()
    space = child.space
    assert isinstance(space, FakeSpace)
    faults = w.space.applies
    for page in range(2000):
        w.store(BASE + page * PAGE, 1)
    assert w.space.applies - faults < 30
    assert len(w.space.mappings) < 4
    for page in range(0, 2000, 2):
        space.store(child, BASE + page * PAGE, 2)
    assert len(space.mappings) < 10
    check(child, space)
    assert [space.load(child, BASE + PAGE * n) for n in (0, 1, 1999)] == [2, 1, 1999 & 255]
    child.release()


def test_alternate_pages_do_not_explode(w: World) -> None:
    """Writing every 16th page leaves at most 64 pieces of a 2 MiB block."""
    w.anon(2048)
    child = w.fork()
    for page in range(0, 2048, 8):
        w.store(BASE + page * PAGE, 1)
    assert len(w.mm.pmas) < 4 * 40
    child.release()
    w.store(BASE + PAGE, 1)
    assert len(w.mm.pmas) < 4 * 40


def test_after_the_child_is_gone_nothing_is_copied(w: World) -> None:
    """One fault makes all PMAs writable again."""
    for n in range(4):
        w.anon(4, BASE + n * 64 * PAGE)
        w.anon(4, BASE + (n * 64 + 32) * PAGE, PROT_READ)
    w.fork().release()
    applies = w.space.applies
    for n in range(4):
        w.store(BASE + n * 64 * PAGE, 1)
    assert w.space.applies == applies + 1
    assert w.memory.total_usage() == 4 * PAGE


def test_a_copy_that_fails_changes_nothing(w: World) -> None:
    """The host refuses: the guest is killed, the kernel gets EFAULT, and a later try works."""
    file = HostFile(b"y" * 40 * PAGE)
    w.mm.mmap(BASE, 40 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, file)
    w.space.fail_at = 0
    assert w.mm.handle_fault(BASE, FAULT_WRITE) == (9, 0)
    w.space.fail_at = 0
    with pytest.raises(EFAULT):
        w.mm.copy_out(BASE, b"x")
    w.mm.copy_out(BASE, b"x")
    assert w.mm.copy_in(BASE, 2) == b"xy"
    file.close()


def test_large_ranges_have_shadows_of_a_gigabyte(w: World) -> None:
    """A copy in a terabyte does not reserve another terabyte."""
    w.mm.mmap(BASE, 1 << 40, RW, ANON | MAP_FIXED | MAP_NORESERVE)
    child = w.fork()
    w.store(BASE + (1 << 39), 1)
    assert sum(r[1] - r[0] for r in w.memory.ranges()) == (1 << 40) + (1 << 30)
    child.release()


def test_many_runs_copy_whole_blocks(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the budget of PMAs a fault copies all of its PMA in the block."""
    monkeypatch.setattr(cow_module, "_MAX_PMAS", 0)
    w.anon(512)
    child = w.fork()
    w.store(BASE + 100 * PAGE, 1)
    assert len(w.mm.pmas) == 1
    child.release()


# -- files --------------------------------------------------------------------------------------------------------


def test_small_writable_file_mappings_are_copied_at_once(w: World) -> None:
    """No fault for .data, and the file does not change; a large one is copied where it is written."""
    file = HostFile(b"d" * 5000)
    w.mm.mmap(BASE, 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, file)
    w.store(BASE + 4999, 1)
    assert w.load(BASE + 5001) == 0
    assert file.pread(1, 4999) == b"d"
    assert all(m.backing is w.memory for m in w.space.mappings)
    tmpfs = MemoryFileFile(w.memory, b"t" * 3 * PAGE)
    w.mm.mmap(BASE + 8 * PAGE, 3 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, tmpfs)
    w.store(BASE + 8 * PAGE, 1)
    assert w.memory.view[tmpfs.start] == ord("t")
    file.close()
    tmpfs.close()


def test_files_on_a_noexec_mount_are_copied(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host would refuse to map them executable, at once or later; the guest's mount decides, not the host's."""

    class Mount:
        f_flag = os.ST_NOEXEC

    monkeypatch.setattr("os.fstatvfs", lambda _: Mount)
    file = HostFile(b"e" * 40 * PAGE)
    w.mm.mmap(BASE, 40 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file)
    w.mm.mmap(BASE + 64 * PAGE, 40 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file)
    w.mm.mmap(BASE + 128 * PAGE, 40 * PAGE, 0, MAP_PRIVATE | MAP_FIXED, file)
    assert w.load(BASE + 39 * PAGE) == ord("e")
    w.mm.mprotect(BASE + 66 * PAGE, 2 * PAGE, PROT_READ | PROT_EXEC)
    w.mm.mprotect(BASE + 128 * PAGE, 40 * PAGE, PROT_READ | PROT_EXEC)
    assert all(m.backing is w.memory for m in w.space.mappings if m.prot & PROT_EXEC)
    assert w.load(BASE + 67 * PAGE) == ord("e")
    file.close()


def test_beyond_the_end_of_a_file(w: World) -> None:
    """The last page is zero to its end, behind it is SIGBUS, and a file that grows is there at the next access."""
    file = HostFile(b"x" * 5000)
    w.mm.mmap(BASE, 4 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file)
    assert w.load(BASE + 5000) == 0
    with pytest.raises(Signal) as sent:
        w.load(BASE + 2 * PAGE)
    assert sent.value.signo == 7
    assert w.mm.copy_in(BASE + 4990, 20) == b"x" * 10 + bytes(10)
    with pytest.raises(EFAULT):
        w.mm.copy_in(BASE + 2 * PAGE - 4, 8)
    os.ftruncate(file.fd, 4 * PAGE)
    assert w.load(BASE + 3 * PAGE) == 0
    assert w.mm.copy_in(BASE + 3 * PAGE, 4) == bytes(4)
    file.close()


def test_truncation_takes_pages_away(w: World) -> None:
    """From every space and view of the file, private copies included; the host's SIGBUS is the guest's."""
    tmpfs = MemoryFileFile(w.memory, b"t" * 4 * PAGE)
    w.mm.mmap(BASE, 4 * PAGE, RW, MAP_SHARED | MAP_FIXED, tmpfs)
    w.mm.mmap(BASE + 8 * PAGE, 4 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, tmpfs)
    w.mm.mmap(BASE + 16 * PAGE, 4 * PAGE, 0, MAP_PRIVATE | MAP_FIXED, tmpfs)
    w.store(BASE + 11 * PAGE, 1)
    child = w.fork()
    assert list(tmpfs.mappers.lengths) == [w.mm, child]
    tmpfs.size = PAGE + 5
    tmpfs.mappers.invalidate(tmpfs, tmpfs.size)
    for at in (BASE + 3 * PAGE, BASE + 11 * PAGE):
        with pytest.raises(Signal) as sent:
            w.load(at)
        assert sent.value.signo == 7
    assert w.load(BASE + PAGE) == ord("t")
    space = child.space
    assert isinstance(space, FakeSpace)
    check(child, space)
    child.release()
    assert list(tmpfs.mappers.lengths) == [w.mm]
    tmpfs.mappers.invalidate(tmpfs, tmpfs.size)
    tmpfs.close()
    host = HostFile(b"x" * 2 * PAGE)
    at = w.mm.mmap(0, 2 * PAGE, PROT_READ, MAP_PRIVATE, host)
    assert w.mm.handle_fault(at, FAULT_READ, 7) == (7, 2)
    host.close()


def test_a_file_knows_who_maps_it(w: World) -> None:
    """Bytes are counted by address space over splits, merges, moves, forks and replacement; the last ones end it."""
    tmpfs = MemoryFileFile(w.memory, b"t" * 4 * PAGE)
    lengths = tmpfs.mappers.lengths
    w.mm.mmap(BASE, 4 * PAGE, RW, MAP_SHARED | MAP_FIXED, tmpfs)
    w.mm.munmap(BASE + PAGE, PAGE)
    w.mm.mprotect(BASE + 2 * PAGE, PAGE, PROT_READ)
    assert (lengths, tmpfs.mappers.writable) == ({w.mm: 3 * PAGE}, 3 * PAGE)
    w.mm.mprotect(BASE + 2 * PAGE, PAGE, RW)
    w.mm.mmap(BASE + PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, tmpfs, PAGE)
    assert (len(w.mm.vmas), lengths) == (1, {w.mm: 4 * PAGE})
    w.mm.mmap(BASE, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, tmpfs)
    assert (lengths, tmpfs.mappers.writable) == ({w.mm: 4 * PAGE}, 0)
    at = w.mm.mremap(BASE, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, BASE + 64 * PAGE)
    assert lengths == {w.mm: 8 * PAGE}
    child = w.fork()
    assert lengths == {w.mm: 8 * PAGE, child: 8 * PAGE}
    child.release()
    w.mm.munmap(at, 2 * PAGE)
    assert lengths == {w.mm: 6 * PAGE}
    w.mm.begin()
    w.mm.reset()
    w.mm.commit()
    assert not tmpfs.used
    assert [tuple(r[2:]) for r in w.memory.ranges()] == [(3, 1)]
    tmpfs.close()


def test_a_failed_mapping_leaves_no_mapper(w: World) -> None:
    """The host refuses, or no memory is left for a copy: no count, no reference."""
    host = HostFile(b"x" * 4 * PAGE)
    for flags in (MAP_SHARED, MAP_PRIVATE, MAP_SHARED | MAP_ANONYMOUS):
        w.space.fail_at = 0
        with pytest.raises(ENOMEM):
            w.mm.mmap(0, 4 * PAGE, RW, flags, None if flags & MAP_ANONYMOUS else host)
        assert not host.used
        assert not host.shared.used
        assert w.memory.ranges() == []
    host.close()


def test_no_memory_for_the_copies_of_a_file(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The references of the file and of the copies made before are dropped."""
    tmpfs = MemoryFileFile(w.memory, b"t" * 2 * PAGE)
    pieces = [Extent(w.memory, tmpfs.start, PAGE), Extent(w.memory, tmpfs.start + PAGE, PAGE)]
    monkeypatch.setattr(tmpfs, "extents", lambda *_, **__: pieces)
    before = w.memory.ranges()
    allocate = w.memory.allocate
    left = [1]

    def fail(length: int, kind: int, *, top_down: bool = False) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise ENOMEM
        return allocate(length, kind, top_down=top_down)

    monkeypatch.setattr(w.memory, "allocate", fail)
    monkeypatch.setattr(w.memory, "allocate_at", lambda *_: False)
    with pytest.raises(ENOMEM):
        w.mm.mmap(0, 2 * PAGE, RW, MAP_PRIVATE, tmpfs)
    assert (w.memory.ranges(), tmpfs.used) == (before, False)
    tmpfs.close()


def test_shared_anonymous_memory_ends_with_its_last_mapping(w: World) -> None:
    """A waiter may hold the object, which is a futex key; the pages go with the last VMA of all address spaces."""
    at = w.mm.mmap(0, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS)
    key = w.mm.shared_key(at)
    child = w.fork()
    w.mm.munmap(at, PAGE)
    w.mm.munmap(at + PAGE, PAGE)
    child.copy_out(at, b"x")
    assert key is not None
    assert key == child.shared_key(at)
    child.release()
    assert w.memory.ranges() == []


def test_a_host_that_refuses_a_file_page(w: World) -> None:
    """A page of a grown file that cannot be mapped kills the guest and leaves the lists as they were."""
    tmpfs = MemoryFileFile(w.memory, b"t" * 2 * PAGE)
    tmpfs.size = PAGE
    w.mm.mmap(BASE, 2 * PAGE, RW, MAP_SHARED | MAP_FIXED, tmpfs)
    tmpfs.size = 2 * PAGE
    w.space.fail_at = 0
    assert w.mm.handle_fault(BASE + PAGE, FAULT_READ) == (9, 0)
    w.space.fail_at = 0
    with pytest.raises(EFAULT):
        w.mm.copy_in(BASE + PAGE, 1)
    assert w.load(BASE + PAGE) == ord("t")
    tmpfs.close()


# -- guest memory -------------------------------------------------------------------------------------------------


def test_kernel_access_at_the_exact_byte(w: World) -> None:
    """Pieces end at the first bad byte; what lies before it is done."""
    w.anon(2)
    w.anon(1, BASE + 2 * PAGE, PROT_READ)
    assert w.mm.copy_out_partial(BASE + 2 * PAGE - 3, b"abcdef") == 3
    with pytest.raises(EFAULT):
        w.mm.copy_out(BASE + 2 * PAGE - 3, b"xyzdef")
    assert w.mm.copy_in(BASE + 2 * PAGE - 3, 6) == b"xyz" + bytes(3)
    assert sum(map(len, w.mm.readable(BASE, 5 * PAGE))) == 3 * PAGE
    assert sum(map(len, w.mm.writable(BASE, 5 * PAGE))) == 2 * PAGE
    for call in (w.mm.readable, w.mm.writable):
        with pytest.raises(EFAULT):
            call(BASE + 3 * PAGE, 1)
        assert call(0, 0) == []
    w.mm.zero_out(BASE, 2 * PAGE)
    with pytest.raises(EFAULT):
        w.mm.zero_out(BASE, 3 * PAGE)
    assert w.mm.copy_in(BASE + 2 * PAGE - 3, 3) == bytes(3)


def test_c_strings_across_pieces(w: World) -> None:
    """Over page and file borders, at the limit, into a hole; short and long."""
    file = HostFile(b"q" * 4090 + b"file\0")
    w.anon(1)
    w.mm.mmap(BASE + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file)
    w.mm.copy_out(BASE + PAGE - 3, b"abc")
    assert w.mm.cstring(BASE + PAGE - 3, 5000) == b"abc" + b"q" * 4090 + b"file"
    assert w.mm.cstring(BASE + PAGE - 3, 5000).startswith(b"abcq")
    w.mm.copy_out(BASE, b"short\0")
    assert [w.mm.cstring(BASE, 100) for _ in range(2)] == [b"short", b"short"]
    for limit in (3, 5):
        with pytest.raises(ENAMETOOLONG):
            w.mm.cstring(BASE, limit)
    w.mm.copy_out(BASE, b"z" * 600)
    with pytest.raises(ENAMETOOLONG):
        w.mm.cstring(BASE, 500)
    w.anon(1, BASE + 8 * PAGE)
    w.mm.copy_out(BASE + 9 * PAGE - 2, b"ab")
    with pytest.raises(EFAULT):
        w.mm.cstring(BASE + 9 * PAGE - 2, 100)
    file.close()


def test_words(w: World) -> None:
    """Atomics on writable memory, loads from files, and nothing else."""
    file = HostFile((77).to_bytes(4, "little") * 1024)
    w.anon(1)
    w.mm.mmap(BASE + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file)
    w.mm.store_u32(BASE, 5)
    assert w.mm.cas_u32(BASE, 5, 6) == 5
    assert w.mm.swap_u32(BASE, 7) == 6
    assert w.mm.add_u32(BASE, 1) == 7
    assert w.mm.load_u32(BASE) == 8
    assert w.mm.load_u32(BASE + PAGE) == 77
    w.mm.store_u64(BASE + 8, 1 << 40)
    assert w.mm.load_u64(BASE + 8) == 1 << 40
    for call in (lambda: w.mm.store_u32(BASE + PAGE, 1), lambda: w.mm.load_u32(BASE + 2 * PAGE)):
        with pytest.raises(EFAULT):
            call()
    w.mm.mmap(BASE + 4 * PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, file)
    with pytest.raises(EFAULT):
        w.mm.cas_u32(BASE + 4 * PAGE, 77, 78)
    file.close()


def test_kernel_writes_to_shared_host_files(w: World) -> None:
    """They go into the file, up to its last page."""
    file = HostFile(b"x" * 5000)
    w.mm.mmap(BASE, 4 * PAGE, RW, MAP_SHARED | MAP_FIXED, file)
    w.mm.copy_out(BASE + 4094, b"over")
    assert file.pread(6, 4093) == b"xoverx"
    os.ftruncate(file.fd, 10)
    with pytest.raises(EFAULT):
        w.mm.copy_out(BASE + PAGE, b"x")
    with pytest.raises(EFAULT):
        w.mm.copy_in(BASE + PAGE, 1)
    file.close()


def test_the_caches_are_bounded(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that touches everything does not make the kernel grow."""
    monkeypatch.setattr(access_module, "_CACHE", 4)
    w.anon(32)
    for page in range(32):
        w.mm.copy_out(BASE + page * PAGE, b"x")
        assert w.mm.copy_in(BASE + page * PAGE, 1) == b"x"
    assert len(w.mm.read_pages) <= 4
    assert len(w.mm.write_pages) <= 4


def test_futex_keys(w: World) -> None:
    """Private memory has none, shared memory the same one in every space."""
    at = w.mm.mmap(0, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS)
    w.anon(1)
    assert w.mm.shared_key(BASE) is None
    child = w.fork()
    key = w.mm.shared_key(at + PAGE + 4)
    assert key == child.shared_key(at + PAGE + 4)
    assert key is not None
    assert key[1] == PAGE + 4
    assert isinstance(key[0], SharedMemory)
    assert key[0].mapped_size() == 2 * PAGE
    child.release()
    for addr in (BASE + PAGE, 0):
        with pytest.raises(EFAULT):
            w.mm.shared_key(addr)


# -- advice -------------------------------------------------------------------------------------------------------


def test_dontneed_gives_zeros(w: World) -> None:
    """Small ranges in place, large ones by new pages, shared ones of a fork without touching the sibling."""
    w.anon(1024)
    for page in (0, 1, 1023):
        w.store(BASE + page * PAGE, 9)
    w.mm.madvise(BASE, PAGE, MADV_DONTNEED)
    assert (w.load(BASE), w.load(BASE + PAGE)) == (0, 9)
    w.mm.madvise(BASE, 1024 * PAGE, MADV_DONTNEED)
    assert (w.load(BASE + PAGE), w.load(BASE + 1023 * PAGE)) == (0, 0)
    w.store(BASE, 5)
    child = w.fork()
    space = child.space
    assert isinstance(space, FakeSpace)
    w.store(BASE + 100 * PAGE, 1)
    w.mm.madvise(BASE, 50 * PAGE, MADV_DONTNEED)
    assert w.load(BASE) == 0
    assert space.load(child, BASE) == 5
    w.mm.madvise(BASE, 1024 * PAGE, MADV_DONTNEED)
    child.release()
    file = HostFile(b"f" * 40 * PAGE)
    w.mm.mmap(BASE, 40 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, file)
    w.store(BASE, 1)
    w.store(BASE + 20 * PAGE, 1)
    w.mm.madvise(BASE, 40 * PAGE, MADV_DONTNEED)
    assert (w.load(BASE), w.load(BASE + 20 * PAGE)) == (ord("f"), ord("f"))
    w.anon(600)
    w.mm.mprotect(BASE, 600 * PAGE, 0)
    w.mm.madvise(BASE, 600 * PAGE, MADV_DONTNEED)
    file.close()


def test_dontneed_that_the_host_refuses(w: World) -> None:
    """Nothing has changed then."""
    w.anon(1024)
    w.store(BASE, 9)
    w.space.fail_at = 0
    with pytest.raises(ENOMEM):
        w.mm.madvise(BASE, 1024 * PAGE, MADV_DONTNEED)
    assert w.load(BASE) == 9


def test_advice_is_checked(w: World) -> None:
    """Unknown advice, misaligned ranges, holes, locked memory, and advice that does not fit the memory."""
    w.anon(2)
    for addr, length, advice in ((BASE, PAGE, 999), (BASE + 1, PAGE, 4), (BASE, 1 << 64, 4), (BASE, (1 << 64) - 1, 4)):
        with pytest.raises(EINVAL):
            w.mm.madvise(addr, length, advice)
    w.mm.madvise(BASE, 0, MADV_DONTNEED)
    with pytest.raises(ENOMEM):
        w.mm.madvise(BASE - PAGE, 2 * PAGE, MADV_WILLNEED)
    w.mm.madvise(BASE, PAGE, MADV_FREE)
    w.mm.mlock(BASE, PAGE)
    with pytest.raises(EINVAL):
        w.mm.madvise(BASE, PAGE, MADV_DONTNEED)
    with pytest.raises(EINVAL):
        w.mm.madvise(BASE, PAGE, MADV_REMOVE)
    shared = w.mm.mmap(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS)
    w.store(shared, 4)
    with pytest.raises(EINVAL):
        w.mm.madvise(shared, PAGE, MADV_FREE)
    with pytest.raises(EINVAL):
        w.mm.madvise(shared, PAGE, MADV_WIPEONFORK)
    w.mm.madvise(shared, PAGE, MADV_DONTNEED)
    assert w.load(shared) == 4
    w.mm.madvise(shared, PAGE, MADV_REMOVE)
    assert w.load(shared) == 0


def test_advice_on_reading_divides_a_vma(w: World) -> None:
    """RANDOM and SEQUENTIAL exclude each other and are flags of a VMA, so mremap sees two; NORMAL takes both back."""
    w.anon(2, BASE)
    for advice in (MADV_RANDOM, MADV_SEQUENTIAL):
        w.mm.madvise(BASE + PAGE, PAGE, advice)
        assert [vma.start for vma in w.mm.vmas.within(BASE, BASE + 2 * PAGE)] == [BASE, BASE + PAGE]
        with pytest.raises(EFAULT):
            w.mm.mremap(BASE, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE)
    w.mm.madvise(BASE, PAGE, MADV_SEQUENTIAL)
    assert [vma.start for vma in w.mm.vmas.within(BASE, BASE + 2 * PAGE)] == [BASE]
    w.mm.madvise(BASE, 2 * PAGE, MADV_RANDOM)
    w.mm.madvise(BASE, PAGE, MADV_NORMAL)
    assert [vma.start for vma in w.mm.vmas.within(BASE, BASE + 2 * PAGE)] == [BASE, BASE + PAGE]
    w.mm.madvise(BASE + PAGE, PAGE, MADV_NORMAL)
    assert [vma.start for vma in w.mm.vmas.within(BASE, BASE + 2 * PAGE)] == [BASE]


def test_advice_for_forks(w: World) -> None:
    """DONTFORK is not there in the child, WIPEONFORK is zero there, locks are not inherited."""
    for n in range(3):
        w.anon(2, BASE + 4 * n * PAGE)
        w.store(BASE + 4 * n * PAGE, 8)
    w.mm.madvise(BASE, 2 * PAGE, MADV_DONTFORK)
    w.mm.madvise(BASE + 4 * PAGE, 2 * PAGE, MADV_WIPEONFORK)
    w.mm.madvise(BASE + 8 * PAGE, 2 * PAGE, MADV_DONTDUMP)
    w.mm.mlock(BASE + 8 * PAGE, PAGE)
    child = w.fork()
    space = child.space
    assert isinstance(space, FakeSpace)
    check(child, space)
    with pytest.raises(Signal):
        space.load(child, BASE)
    assert space.load(child, BASE + 4 * PAGE) == 0
    assert space.load(child, BASE + 8 * PAGE) == 8
    assert child.locked_bytes == 0
    child.release()
    w.mm.madvise(BASE, 2 * PAGE, MADV_DOFORK)
    w.mm.madvise(BASE + 8 * PAGE, 2 * PAGE, MADV_DODUMP)


def test_populate(w: World) -> None:
    """Writable pages are copied in advance; permissions and ends of files are errors."""
    file = HostFile(b"p" * 40 * PAGE)
    w.mm.mmap(BASE, 40 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, file)
    w.mm.madvise(BASE, 40 * PAGE, MADV_POPULATE_READ)
    w.mm.madvise(BASE, 40 * PAGE, MADV_POPULATE_WRITE)
    applies = w.space.applies
    w.store(BASE + 39 * PAGE, 1)
    assert w.space.applies == applies
    w.mm.mprotect(BASE, PAGE, PROT_READ)
    with pytest.raises(EINVAL):
        w.mm.madvise(BASE, PAGE, MADV_POPULATE_WRITE)
    w.mm.mmap(BASE, 50 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file)
    with pytest.raises(EFAULT):
        w.mm.madvise(BASE, 50 * PAGE, MADV_POPULATE_READ)
    file.close()


def test_msync(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags, holes, locked memory, and the host's own trouble."""
    file = HostFile(b"m" * PAGE)
    w.mm.mmap(BASE, PAGE, RW, MAP_SHARED | MAP_FIXED, file)
    w.mm.msync(BASE, PAGE, MS_SYNC)
    w.mm.msync(BASE, 0, MS_SYNC)
    for addr, flags in ((BASE, 8), (BASE, MS_SYNC | MS_ASYNC), (BASE + 1, MS_SYNC)):
        with pytest.raises(EINVAL):
            w.mm.msync(addr, PAGE, flags)
    with pytest.raises(ENOMEM):
        w.mm.msync(BASE, 2 * PAGE, MS_ASYNC)
    with pytest.raises(ENOMEM):
        w.mm.msync(BASE, (1 << 64) - PAGE, MS_ASYNC)
    w.mm.mlock(BASE, PAGE)
    with pytest.raises(EBUSY):
        w.mm.msync(BASE, PAGE, MS_INVALIDATE)

    def fail(_: int) -> None:
        raise OSError(5, "no")

    monkeypatch.setattr("os.fdatasync", fail)
    with pytest.raises(EIO):
        w.mm.msync(BASE, PAGE, MS_SYNC)
    file.close()


def test_mincore(w: World) -> None:
    """Touched pages of the memory file, all pages of host files."""
    file = HostFile(b"c" * PAGE)
    w.anon(3)
    w.mm.mmap(BASE + 3 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file)
    w.store(BASE + PAGE, 1)
    assert w.mm.mincore(BASE, 4 * PAGE) == b"\0\1\0\1"
    with pytest.raises(EINVAL):
        w.mm.mincore(BASE + 1, PAGE)
    for length in (5 * PAGE, 1 << 60):
        with pytest.raises(ENOMEM):
            w.mm.mincore(BASE, length)
    file.close()


# -- life ---------------------------------------------------------------------------------------------------------


class Program:
    """Counts its owners."""

    def __init__(self) -> None:
        """Begin with one."""
        self.owners = 1

    def incref(self) -> None:
        """Count."""
        self.owners += 1

    def decref(self) -> None:
        """Count."""
        self.owners -= 1


def test_the_program_is_counted(w: World) -> None:
    """By each address space of a family, until it ends or runs another one."""
    program = w.mm.exe = Program()
    child = w.fork()
    assert (child.exe, program.owners) == (program, 2)
    child.retain()
    child.release()
    assert program.owners == 2
    child.begin()
    child.reset()
    child.commit()
    assert (child.exe, program.owners) == (None, 1)
    child.release()
    w.fork().release()
    assert program.owners == 1


def test_several_vmas_are_moved_one_by_one(w: World) -> None:
    """MREMAP_FIXED of a range with a gap keeps the gap, as Linux 6.17 does; a file knows how many VMAs it has."""
    tmpfs = MemoryFileFile(w.memory, b"t" * 2 * PAGE)
    w.anon(2)
    w.store(BASE, 7)
    w.mm.mmap(BASE + 3 * PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, tmpfs)
    w.mm.mmap(BASE + 4 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, tmpfs)
    assert w.mm.vmas_of(tmpfs) == 2
    to = BASE + 64 * PAGE
    assert w.mm.mremap(BASE, 5 * PAGE, 5 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to
    assert w.shape() == [(64, 2, RW), (67, 1, RW), (68, 1, PROT_READ)]
    assert (w.load(to), w.load(to + 3 * PAGE)) == (7, ord("t"))
    assert (w.mm.vmas_of(tmpfs), tmpfs.mappers.lengths) == (2, {w.mm: 2 * PAGE})
    w.mm.munmap(to + 3 * PAGE, 2 * PAGE)
    assert not tmpfs.used
    tmpfs.close()


def test_users_are_counted(w: World) -> None:
    """The last user gives everything back."""
    w.anon(1)
    w.mm.retain()
    w.mm.release()
    assert not w.space.released
    assert w.mm.resident_bytes() == PAGE


def test_fork_that_fails_leaves_the_parent_as_good_as_before(w: World) -> None:
    """The platform refuses; or the child cannot be filled."""
    w.anon(4)
    w.store(BASE, 1)
    w.space.fail_fork = True
    with pytest.raises(EAGAIN):
        w.fork()
    w.space.fail_fork = False
    w.store(BASE, 2)
    w.mm.madvise(BASE, PAGE, MADV_WIPEONFORK)
    everything = w.memory.allocate(1 << 43, 1)
    rest = []
    size = 1 << 43
    while size >= PAGE:
        try:
            rest.append((w.memory.allocate(size, 1), size))
        except ENOMEM:
            size >>= 1
    for fork in (w.fork, w.mm.fork):
        with pytest.raises(ENOMEM):
            fork()
    with pytest.raises(ENOMEM):
        w.anon(1, BASE + (1 << 30))
    for offset, length in [*rest, (everything, 1 << 43)]:
        w.memory.decref(offset, length)
    assert w.load(BASE) == 2


def test_a_young_process_is_copied_at_once(w: World) -> None:
    """What is small and in use is copied when there is one user: neither side faults afterwards; the rest is shared."""
    w.anon(8)
    w.anon(64, BASE + 64 * PAGE)
    w.anon(1024, BASE + 1024 * PAGE)
    w.mm.map_stack(BASE + (1 << 30))
    for at in (BASE, BASE + PAGE, BASE + 1024 * PAGE, BASE + (1 << 30) - 1):
        w.store(at, 7)
    for page in range(20):
        w.store(BASE + (64 + page) * PAGE, 7)
    child = w.mm.fork()
    space = child.space
    assert isinstance(space, FakeSpace)
    check(child, space)
    applies = w.space.applies + space.applies
    for at in (BASE, BASE + (1 << 30) - 1):
        assert space.load(child, at) == 7
        space.store(child, at, 8)
        w.store(at, 9)
        assert space.load(child, at) == 8
    assert w.space.applies + space.applies == applies
    for at in (BASE + 64 * PAGE, BASE + 1024 * PAGE):
        space.store(child, at, 8)
        assert w.load(at) == 7
    assert w.space.applies + space.applies == applies + 2
    check(child, space)
    child.release()


def test_a_batch_is_one_apply(w: World) -> None:
    """Operations are joined, references are dropped after the host's unmap, and a failure is an error."""
    w.anon(1)
    w.mm.begin()
    assert w.mm.batch is not None
    w.mm.reset()
    for n in range(4):
        w.anon(1, BASE + n * PAGE)
    w.mm.mprotect(BASE, PAGE, PROT_READ)
    w.mm.commit()
    assert w.space.applies == 2
    assert w.mm.batch is None
    w.mm.begin()
    w.mm.commit()
    assert w.space.applies == 2
    w.mm.reset()
    w.anon(1)
    w.space.fail_at = 0
    with pytest.raises(ENOMEM):
        w.mm.commit()
    w.space.mappings = []
    w.mm.munmap(BASE, PAGE)


@pytest.mark.parametrize(
    "step",
    [
        lambda w: w.mm.munmap(BASE, PAGE),
        lambda w: w.mm.mprotect(BASE, PAGE, PROT_READ),
        lambda w: w.mm.mremap(BASE, PAGE, 2 * PAGE, MREMAP_MAYMOVE),
        lambda w: w.mm.mmap(BASE, PAGE, PROT_READ, ANON | MAP_FIXED),
        lambda w: w.mm.mprotect(BASE + 8 * PAGE, PAGE, RW),
    ],
)
def test_a_host_that_refuses_changes_nothing(w: World, step: Callable[[World], object]) -> None:
    """VMAs, PMAs and contents are what they were."""
    w.anon(4)
    w.anon(4, BASE + 8 * PAGE, 0)
    w.store(BASE, 5)
    before = w.shape()
    w.space.fail_at = 0
    with pytest.raises(ENOMEM):
        step(w)
    assert w.shape() == before
    assert w.load(BASE) == 5


def test_areas_show_themselves(w: World) -> None:
    """For debugging and for /proc."""
    file = HostFile(b"n" * PAGE)
    w.mm.mmap(BASE, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, file, name=b"/bin/x")
    assert repr(w.mm.vmas.items[0]) == "2000000000-2000001000 r-xs 0 b'/bin/x'"
    assert w.mm.vmas.items[0].shared
    assert "host+0 S" in repr(w.mm.pmas.items[0])
    assert w.mm.name_of(w.mm.vmas.items[0]) == b"/bin/x"
    assert len(list(w.mm.vmas)) == 1
    file.close()


def test_limits_are_not_needed() -> None:
    """Without a limits object nothing is limited."""
    memory = MemoryFile(1 << 36)
    manager = MemoryManager(FakeSpace(), memory)
    at = manager.mmap(0, PAGE, RW, ANON)
    assert manager.copy_in(at, 1) == b"\0"
    assert manager.mmap_base < TASK_SIZE // 4
    manager.release()
    memory.close()
