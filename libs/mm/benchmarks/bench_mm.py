"""What an address space costs beside the platform. Run with the workspace's Python; prints microseconds."""

import timeit
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sentry_mm import MemoryManager
from sentry_pgalloc import MemoryFile

if TYPE_CHECKING:
    from sentry_platform import Op

ROUNDS = 10_000


class NoSpace:
    """A platform's space that does nothing."""

    def apply(self, ops: "Sequence[Op]") -> None:
        """Do nothing."""

    def fork(self) -> "NoSpace":
        """Return another."""
        return NoSpace()

    def resident_bytes(self) -> int:
        """Return nothing."""
        return 0

    def release(self) -> None:
        """Do nothing."""


def show(name: str, function: Callable[[], object], rounds: int = ROUNDS) -> None:
    """Measure and print."""
    print(f"{name:<28}{timeit.timeit(function, number=rounds) / rounds * 1e6:8.2f}")


def main() -> None:
    """Measure guest memory access, mapping, the heap, and forks."""
    memory = MemoryFile()
    mm = MemoryManager(NoSpace(), memory)
    at = mm.mmap(0, 8 << 20, 3, 0x22)
    mm.copy_out(at, b"12345678")
    show("copy_in 8", lambda: mm.copy_in(at, 8))
    show("copy_out 8", lambda: mm.copy_out(at, b"12345678"))
    show("writable 4096", lambda: mm.writable(at + 100, 4096))
    show("cstring", lambda: mm.cstring(at, 4096))
    show("load_u32", lambda: mm.load_u32(at))
    show("cas_u32", lambda: mm.cas_u32(at, 0, 1))
    show("mmap + munmap 64 KiB", lambda: mm.munmap(mm.mmap(0, 65536, 3, 0x22), 65536))
    for n in range(31):
        mm.mmap(0, 65536, 3 if n & 1 else 1, 0x22)
    mm.brk_start = mm.brk_end = 0x5555_5500_0000

    def heap() -> None:
        mm.brk(0x5555_5502_1000)
        mm.brk(0x5555_5500_0000)

    show("brk up + down", heap)

    def protect() -> None:
        mm.mprotect(at, 4096, 1)
        mm.mprotect(at, 4096, 3)

    show("mprotect twice", protect)
    show("fork + release, 32 areas", lambda: mm.fork().release(), 1000)

    def cycle() -> None:
        mm.fork().release()
        mm.copy_out(at, b"x")

    show("the same, then a write", cycle, 1000)


if __name__ == "__main__":
    main()
