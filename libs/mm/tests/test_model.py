"""Random programs of several processes against a page-by-page model: what is read, what faults, what leaks."""
# ruff: noqa: D102, D107, FBT001  (a model: the names of its steps say it)

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sentry_abi.errors import EFAULT, ENOMEM, LinuxError
from sentry_mm import MemoryManager
from sentry_mm.testing import FakeSpace, HostFile, MemoryFileFile, Signal, check
from sentry_pgalloc import MemoryFile

BASE = 0x10_0000_0000
PAGES = 24
PAGE = 4096
FIXED = 0x10
SHARED, PRIVATE, ANONYMOUS = 1, 2, 0x20


class Page:
    """What the model knows of one page of one process."""

    def __init__(
        self, prot: int, cell: list[int] | None, shared: bool, beyond: bool, history: list[int] | None
    ) -> None:
        self.prot = prot
        self.cell = (
            cell  # the value, in a box that a shared mapping has in common with others; None: a private view of a file
        )
        self.shared = shared
        self.beyond = beyond
        self.history = history  # every value the file's page ever had: a private view may show any of them

    def copy(self) -> "Page":
        cell = self.cell if self.shared or self.cell is None else list(self.cell)
        return Page(self.prot, cell, self.shared, self.beyond, self.history)


class File:
    """A file in the model: one box and one history per page."""

    def __init__(self, real: HostFile | MemoryFileFile, pages: int) -> None:
        self.real = real
        self.cells = [[1 + i] for i in range(pages)]
        self.history = [[1 + i] for i in range(pages)]


class World:
    """Processes, files, and their models side by side."""

    def __init__(self) -> None:
        self.memory = MemoryFile(1 << 36)
        content = b"".join(bytes([1 + i]) * PAGE for i in range(6))
        self.files = [
            File(HostFile(content[: 5 * PAGE + 100]), 6),
            File(MemoryFileFile(self.memory, content[: 3 * PAGE + 1]), 4),
        ]
        self.processes: list[tuple[MemoryManager, FakeSpace, dict[int, Page]]] = []
        space = FakeSpace()
        self.processes.append((MemoryManager(space, self.memory), space, {}))

    def close(self) -> None:
        for manager, _, _ in self.processes:
            manager.release()
        used = [file.real.used for file in self.files]
        self.files[1].real.close()
        left = self.memory.ranges()
        self.files[0].real.close()
        self.memory.close()
        assert (left, used) == ([], [False, False])

    def check(self) -> None:
        for manager, space, model in self.processes:
            check(manager, space)
            mapped = {
                (a.start + i * PAGE - BASE) // PAGE for a in manager.vmas for i in range((a.end - a.start) // PAGE)
            }
            assert mapped == set(model)

    # -- steps --------------------------------------------------------------------------------------------------------

    def mmap(self, who: int, page: int, count: int, prot: int, what: int, fpage: int, shared: bool) -> None:
        manager, _, model = self.processes[who % len(self.processes)]
        count = min(count, PAGES - page)
        kind = SHARED if shared else PRIVATE
        addr = BASE + page * PAGE
        if what == 0:
            manager.mmap(addr, count * PAGE, prot, kind | ANONYMOUS | FIXED)
            for i in range(count):
                model[page + i] = Page(prot, [0], shared, beyond=False, history=None)
            return
        file = self.files[what - 1]
        manager.mmap(addr, count * PAGE, prot, kind | FIXED, file.real, fpage * PAGE)
        for i in range(count):
            at = fpage + i
            beyond = at >= len(file.cells)
            cell = file.cells[at] if shared and not beyond else None
            model[page + i] = Page(prot, cell, shared, beyond, None if beyond else file.history[at])

    def munmap(self, who: int, page: int, count: int) -> None:
        manager, _, model = self.processes[who % len(self.processes)]
        manager.munmap(BASE + page * PAGE, count * PAGE)
        for i in range(count):
            model.pop(page + i, None)

    def mprotect(self, who: int, page: int, count: int, prot: int) -> None:
        manager, _, model = self.processes[who % len(self.processes)]
        whole = True
        for i in range(count):
            if page + i not in model:
                whole = False
                break
            model[page + i].prot = prot
        if whole:
            manager.mprotect(BASE + page * PAGE, count * PAGE, prot)
        else:
            with pytest.raises(ENOMEM):
                manager.mprotect(BASE + page * PAGE, count * PAGE, prot)

    def store(self, who: int, page: int, value: int, by_kernel: bool) -> None:
        manager, space, model = self.processes[who % len(self.processes)]
        known = model.get(page)
        addr = BASE + page * PAGE
        fine = known is not None and known.prot & 2 and not known.beyond
        with self._fails(not fine):
            if by_kernel:
                manager.copy_out(addr, bytes([value]))
            else:
                space.store(manager, addr, value)
        if known is None or not fine:
            return
        if known.cell is None:
            known.cell = [value]
        known.cell[0] = value
        if known.shared and known.history is not None:
            known.history.append(value)

    def load(self, who: int, page: int, by_kernel: bool) -> None:
        manager, space, model = self.processes[who % len(self.processes)]
        known = model.get(page)
        addr = BASE + page * PAGE
        fine = known is not None and known.prot and not known.beyond
        value = -1
        with self._fails(not fine):
            value = manager.copy_in(addr, 1)[0] if by_kernel else space.load(manager, addr)
        if known is not None and fine:
            if known.cell is not None:
                assert value == known.cell[0]
            else:
                assert known.history is not None
                assert value in known.history

    @contextmanager
    def _fails(self, fails: bool) -> Iterator[None]:
        if not fails:
            yield
            return
        with pytest.raises((Signal, EFAULT)):
            yield

    def fork(self, who: int, alone: bool) -> None:
        if len(self.processes) >= 4:
            return
        manager, _, model = self.processes[who % len(self.processes)]
        manager.users += not alone  # with another user nothing is copied in advance
        child = manager.fork()
        manager.users = 1
        space = child.space
        assert isinstance(space, FakeSpace)
        self.processes.append((child, space, {page: known.copy() for page, known in model.items()}))

    def exit(self, who: int) -> None:
        if len(self.processes) > 1:
            manager, space, _ = self.processes.pop(who % len(self.processes))
            manager.release()
            assert space.released

    def dontneed(self, who: int, page: int, count: int) -> None:
        manager, _, model = self.processes[who % len(self.processes)]
        whole = all(page + i in model for i in range(count))
        try:
            manager.madvise(BASE + page * PAGE, count * PAGE, 4)
            assert whole
        except ENOMEM:
            assert not whole
        for i in range(count):
            known = model.get(page + i)
            if known is not None and not known.shared:
                known.cell = None if known.history is not None or known.beyond else [0]

    def mremap(self, who: int, page: int, count: int, to: int) -> None:
        manager, _, model = self.processes[who % len(self.processes)]
        if to < page + count and page < to + count:
            return
        vma = manager.vmas.at(BASE + page * PAGE)
        if vma is None or vma.end < BASE + (page + count) * PAGE:
            return
        manager.mremap(BASE + page * PAGE, count * PAGE, count * PAGE, 3, BASE + to * PAGE)
        moved = [model.pop(page + i) for i in range(count)]
        for i, known in enumerate(moved):
            model[to + i] = known

    def fail(self, who: int, step: tuple[object, ...]) -> None:
        """Let the host refuse: nothing may have changed."""
        manager, space, model = self.processes[who % len(self.processes)]
        page, count, prot = step[0], step[1], step[2]
        assert isinstance(page, int)
        assert isinstance(count, int)
        assert isinstance(prot, int)
        if not all(page + i in model for i in range(count)):
            return
        before = [(a.start, a.end, a.prot) for a in manager.vmas]
        space.fail_at = 0
        try:
            manager.mmap(BASE + page * PAGE, count * PAGE, prot | 1, PRIVATE | ANONYMOUS | FIXED)
        except LinuxError:
            assert before == [(a.start, a.end, a.prot) for a in manager.vmas]
        else:
            raise AssertionError
        finally:
            space.fail_at = -1


who = st.integers(0, 3)
page = st.integers(0, PAGES - 1)
count = st.integers(1, 10)
prot = st.sampled_from([0, 1, 3, 3, 3, 5])
value = st.integers(10, 255)
steps = st.one_of(
    st.tuples(st.just("mmap"), who, page, count, prot, st.integers(0, 2), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("munmap"), who, page, count),
    st.tuples(st.just("mprotect"), who, page, count, prot),
    st.tuples(st.just("store"), who, page, value, st.booleans()),
    st.tuples(st.just("store"), who, page, value, st.booleans()),
    st.tuples(st.just("load"), who, page, st.booleans()),
    st.tuples(st.just("fork"), who, st.booleans()),
    st.tuples(st.just("exit"), who),
    st.tuples(st.just("dontneed"), who, page, count),
    st.tuples(st.just("mremap"), who, page, st.integers(1, 4), st.integers(0, PAGES - 4)),
    st.tuples(st.just("fail"), who, st.tuples(page, count, prot)),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=10, max_size=50))
@example(
    [
        ("mmap", 0, 0, 20, 3, 0, 0, False),
        ("store", 0, 3, 11, False),
        ("fork", 0, False),
        ("store", 1, 3, 12, False),
        ("load", 0, 3, True),
    ]
)
def test_processes_see_what_the_model_says(program: list[tuple[object, ...]]) -> None:
    """Run a program of steps, checking everything after each, and read every page at the end."""
    world = World()
    try:
        world.mmap(0, 2, 12, 3, 0, 0, shared=False)
        for name, *arguments in program:
            getattr(world, str(name))(*arguments)
            world.check()
        for index in range(len(world.processes)):
            for at in range(PAGES):
                world.load(index, at, by_kernel=False)
                world.load(index, at, by_kernel=True)
    finally:
        world.close()
