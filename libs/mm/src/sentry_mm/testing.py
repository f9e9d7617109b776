"""A platform space and a file that exist only in this process: for tests of mm and of its users.

`FakeSpace` keeps what the host would map and behaves as a guest: `load` and `store` go through the mappings, fault
into the address space and try again, as a CPU does. `check` compares the host's view with the address space's own.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from sentry_abi.memory import PAGE_SIZE
from sentry_mm._mappable import Extent, Mappers
from sentry_platform import FAULT_READ, FAULT_WRITE, MapError, Op
from sentry_state import Registry

if TYPE_CHECKING:
    from sentry_mm._manager import MemoryManager
    from sentry_mm._mappable import Mapper
    from sentry_mm._pma import Pma
    from sentry_mm._sorted import Sorted
    from sentry_mm._vma import Vma
    from sentry_pgalloc import MemoryFile
    from sentry_platform import Backing


class Mapping(NamedTuple):
    """What the host has at [start, end)."""

    start: int
    end: int
    prot: int
    backing: "Backing"
    offset: int


class Signal(Exception):  # noqa: N818  (not an error: what a guest gets)
    """The guest was sent a signal."""

    def __init__(self, signo: int, code: int) -> None:
        """Store both."""
        super().__init__(f"signal {signo} code {code}")
        self.signo = signo
        self.code = code


class FakeSpace:
    """An AddressSpace without a host."""

    def __init__(self, mappings: Sequence[Mapping] = ()) -> None:
        """Begin with these mappings."""
        self.mappings: list[Mapping] = list(mappings)
        self.released = False
        self.applies = 0
        self.ops = 0
        self.fail_at = -1  # the operation, counted from now, that fails with ENOMEM
        self.fail_fork = False

    def apply(self, ops: Sequence[Op]) -> None:
        """Do ops; raise MapError where `fail_at` says so, or where the host would."""
        self.applies += 1
        for index, op in enumerate(ops):
            self.ops += 1
            if self.fail_at == 0:
                self.fail_at = -1
                raise MapError(index, 12)
            self.fail_at -= self.fail_at > 0
            self._do(index, op)

    def _do(self, index: int, op: Op) -> None:
        start, end = op.addr, op.addr + op.length
        if op.length <= 0 or (op.addr | op.length | op.offset) & (PAGE_SIZE - 1):
            raise MapError(index, 22)
        inside = [m for m in self.mappings if m.start < end and start < m.end]
        kept = [m for m in self.mappings if not (m.start < end and start < m.end)]
        for m in inside:
            if m.start < start:
                kept.append(m._replace(end=start))
            if m.end > end:
                kept.append(m._replace(start=end, offset=m.offset + end - m.start))
        if op.kind == "protect":
            if sum(min(m.end, end) - max(m.start, start) for m in inside) != op.length:
                raise MapError(index, 12)
            for m in inside:
                low, high = max(m.start, start), min(m.end, end)
                self._forbid_private_write(m.backing, op.prot)
                kept.append(Mapping(low, high, op.prot, m.backing, m.offset + low - m.start))
        elif op.kind == "map":
            if op.backing is None:
                raise MapError(index, 22)
            self._forbid_private_write(op.backing, op.prot)
            kept.append(Mapping(start, end, op.prot, op.backing, op.offset))
        self.mappings = merged(kept)

    @staticmethod
    def _forbid_private_write(backing: "Backing", prot: int) -> None:
        if backing.kind in {"host", "image"} and prot & 2:
            message = "a private mapping of a host file must never be writable"
            raise AssertionError(message)

    def fork(self) -> "FakeSpace":
        """Return a copy."""
        if self.fail_fork:
            from sentry_abi.errors import EAGAIN  # noqa: PLC0415  (only here)

            raise EAGAIN
        return FakeSpace(self.mappings)

    def resident_bytes(self) -> int:
        """Return the mapped bytes."""
        return sum(m.end - m.start for m in self.mappings)

    def release(self) -> None:
        """Unmap everything."""
        self.released = True
        self.mappings = []

    # -- as a guest ---------------------------------------------------------------------------------------------------

    def _walk(self, manager: "MemoryManager", addr: int, access: int) -> Mapping:
        need = 2 if access == FAULT_WRITE else 7
        for _ in range(4):
            for m in self.mappings:
                if m.start <= addr < m.end and m.prot & need:
                    return m
            outcome = manager.handle_fault(addr, access)
            if outcome:
                raise Signal(*outcome)
        message = f"the guest faults for ever at {addr:#x}"
        raise AssertionError(message)

    def load(self, manager: "MemoryManager", addr: int) -> int:
        """Read a byte as guest code does."""
        m = self._walk(manager, addr, FAULT_READ)
        data = os.pread(m.backing.fd, 1, m.offset + addr - m.start)
        return data[0] if data else 0  # the rest of a file's last page

    def store(self, manager: "MemoryManager", addr: int, value: int) -> None:
        """Write a byte as guest code does."""
        m = self._walk(manager, addr, FAULT_WRITE)
        os.pwrite(m.backing.fd, bytes([value]), m.offset + addr - m.start)


def registry() -> Registry:
    """Return a registry that knows address spaces and what they hold, but for files and the memory file."""
    from sentry_futex._state import register as register_futexes  # noqa: PLC0415  (only tests of saving need it)
    from sentry_mm._state import register  # noqa: PLC0415  (the same)

    made = Registry()
    register_futexes(made)
    register(made)
    return made


def merged(mappings: Sequence[Mapping]) -> list[Mapping]:
    """Return the mappings in order with neighbours joined, as the host joins its own."""
    found: list[Mapping] = []
    for m in sorted(mappings):
        if found:
            last = found[-1]
            if (
                last.end == m.start
                and last.prot == m.prot
                and last.backing is m.backing
                and last.offset + last.end - last.start == m.offset
            ):
                found[-1] = last._replace(end=m.end)
                continue
        found.append(m)
    return found


def expected(manager: "MemoryManager") -> list[Mapping]:
    """Return what the host should have, from the address space's own lists."""
    found = []
    for vma in manager.vmas:
        for pma in manager.pmas.within(vma.start, vma.end) if vma.prot else ():
            low, high = max(vma.start, pma.start), min(vma.end, pma.end)
            found.append(Mapping(low, high, pma.host_prot(vma.prot), pma.backing, pma.offset + low - pma.start))
    return merged(found)


def check(manager: "MemoryManager", space: FakeSpace) -> None:
    """Assert that the host's view is the address space's, that lists are ordered and accounts right."""
    assert space.mappings == expected(manager), (space.mappings, expected(manager))
    lists: tuple[Sorted[Vma] | Sorted[Pma], ...] = (manager.vmas, manager.pmas)
    for pieces in lists:
        items = pieces.items
        assert [p.start for p in items] == pieces.starts
        assert all(p.start < p.end for p in items)
        assert all(items[i].end <= items[i + 1].start for i in range(len(items) - 1))
    for pma in manager.pmas:
        covered = sum(min(a.end, pma.end) - max(a.start, pma.start) for a in manager.vmas.within(pma.start, pma.end))
        assert covered == pma.end - pma.start, f"{pma} outside of VMAs"
        if pma.backing is manager.memory and pma.mode == 1:
            assert manager.memory.exclusive(pma.offset, pma.end - pma.start), pma
    assert manager.total_bytes == sum(a.end - a.start for a in manager.vmas)


class Counted:
    """Counts the bytes that PMAs refer to, and who maps the file."""

    counts_vmas = False

    def __init__(self) -> None:
        """Begin unused."""
        self.mappers = Mappers()
        self.references = 0

    def mapped(self, mm: "Mapper", length: int, *, writable: bool) -> None:
        """See Mappable."""
        self.mappers.add(mm, length, writable=writable)

    def unmapped(self, mm: "Mapper", length: int, *, writable: bool) -> None:
        """See Mappable."""
        self.mappers.remove(mm, length, writable=writable)

    def incref(self, offset: int, length: int, /) -> None:
        """See Pages."""
        del offset
        self.references += length

    def decref(self, offset: int, length: int, /) -> None:
        """See Pages."""
        del offset
        self.references -= length
        assert self.references >= 0

    @property
    def used(self) -> bool:
        """Whether a VMA or a PMA is left."""
        return bool(self.mappers) or self.mappers.writable != 0 or self.references != 0


class HostFile(Counted):
    """A mappable file over a host fd: private mappings see it read-only, shared ones are shared."""

    def __init__(self, content: bytes) -> None:
        """Make a host file with this content."""
        super().__init__()
        self.fd = os.memfd_create("file", os.MFD_CLOEXEC)
        os.write(self.fd, content)
        self.kind: Literal["host"] = "host"
        self.shared = HostShared(self.fd)

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """See Mappable."""
        size = (self.mapped_size() + PAGE_SIZE - 1) & -PAGE_SIZE
        length = min(length, size - offset)
        if length <= 0:
            return []
        return [Extent(self.shared if shared and write else self, offset, length)]

    def mapped_size(self) -> int:
        """See Mappable."""
        return os.fstat(self.fd).st_size

    def mapping_identity(self) -> object:
        """See Mappable."""
        return self

    def pread(self, size: int, offset: int) -> bytes:
        """Read; for the loader."""
        return os.pread(self.fd, size, offset)

    def close(self) -> None:
        """Close the host file."""
        os.close(self.fd)


class HostShared(Counted):
    """The same file to be mapped shared and writable."""

    kind: Literal["shared"] = "shared"

    def __init__(self, fd: int) -> None:
        """Use fd, which stays the caller's."""
        super().__init__()
        self.fd = fd


class MemoryFileFile(Counted):
    """A mappable file in the memory file, as tmpfs has them."""

    def __init__(self, memory: "MemoryFile", content: bytes) -> None:
        """Make a file with this content."""
        super().__init__()
        self.memory = memory
        self.size = len(content)
        self.length = max((self.size + PAGE_SIZE - 1) & -PAGE_SIZE, PAGE_SIZE)
        self.start = memory.allocate(self.length, 3)
        memory.view[self.start : self.start + self.size] = content

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """See Mappable."""
        length = min(length, ((self.size + PAGE_SIZE - 1) & -PAGE_SIZE) - offset)
        return [Extent(self.memory, self.start + offset, length)] if length > 0 else []

    def mapped_size(self) -> int:
        """See Mappable."""
        return self.size

    def mapping_identity(self) -> object:
        """See Mappable."""
        return self

    def close(self) -> None:
        """Give the pages back."""
        self.memory.decref(self.start, self.length)
