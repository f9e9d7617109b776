"""Saving and loading address spaces."""

import io
from collections.abc import Iterator

import pytest

from sentry_abi.mman import MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, MCL_FUTURE, PROT_READ, PROT_WRITE
from sentry_mm import MemoryManager
from sentry_mm.testing import FakeSpace, check, registry
from sentry_pgalloc import MemoryFile
from sentry_state import Reader, Writer

PAGE = 4096
BASE = 0x20_0000_0000
RW = PROT_READ | PROT_WRITE


@pytest.fixture
def memory() -> Iterator[MemoryFile]:
    """Give a memory file."""
    made = MemoryFile(1 << 36)
    yield made
    made.close()


def copy_of(managers: list[MemoryManager], memory: MemoryFile) -> list[MemoryManager]:
    """Save address spaces, and load them over the same memory file."""
    known = registry()
    with Writer(file := io.BytesIO(), registry=known) as writer:
        writer.save("mm", managers, {"memory": memory})
    found: list[MemoryManager] = Reader(io.BytesIO(file.getvalue()), registry=known).load("mm", {"memory": memory})
    return found


def test_a_family_is_as_it_was(memory: MemoryFile) -> None:
    """VMAs, PMAs with shadows, what is shared between the two, and the accounts."""
    parent = MemoryManager(FakeSpace(), memory)
    parent.brk_start = parent.brk_end = BASE - (1 << 30)
    parent.brk(BASE - (1 << 30) + 3 * PAGE)
    parent.mmap(BASE, 64 << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
    shared = parent.mmap(0, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS)
    for page in range(64):
        parent.copy_out(BASE + (page << 20), b"p%d" % page)
    parent.retain()  # with two users nothing is copied by fork
    child = parent.fork()
    parent.users -= 1
    child.copy_out(BASE, b"child")
    child.munmap(shared + PAGE, PAGE)
    child.mprotect(BASE + (1 << 20), PAGE, PROT_READ)
    child.mlockall(MCL_FUTURE, privileged=True)

    managers = copy_of([parent, child], memory)
    for old, new in zip([parent, child], managers, strict=True):
        assert [repr(vma) for vma in new.vmas] == [repr(vma) for vma in old.vmas]
        assert [repr(pma) for pma in new.pmas] == [repr(pma) for pma in old.pmas]
        for name in ("total_bytes", "data_bytes", "def_flags", "brk_end", "mmap_base", "users"):
            assert getattr(new, name) == getattr(old, name)
        new.attach(space := FakeSpace())
        check(new, space)
        assert space.mappings == old.space.mappings  # type: ignore[attr-defined]  # a FakeSpace too
    first, second = managers
    files = {id(vma.file) for mm in managers for vma in mm.vmas if vma.file is not None}
    assert len(files) == 1
    assert second.copy_in(BASE, 5) == b"child"
    assert first.copy_in(BASE, 2) == b"p0"
    first.copy_out(BASE + (5 << 20), b"x5")
    assert second.copy_in(BASE + (5 << 20), 2) == b"p5"
    first.copy_out(shared, b"seen")
    assert second.copy_in(shared, 4) == b"seen"
    first.release()
    assert memory.ranges()
    second.release()
    assert memory.ranges() == []
