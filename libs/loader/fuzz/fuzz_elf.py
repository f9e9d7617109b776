"""Mutated executables at length: 20,000 damaged headers of /bin/sh are refused, or load consistently."""

import os
import random
from pathlib import Path
from typing import Literal

from sentry_abi.errors import LinuxError
from sentry_abi.memory import page_up
from sentry_loader import prepare
from sentry_mm import Extent, MemoryManager, Uncounted
from sentry_mm.testing import FakeSpace, check
from sentry_pgalloc import MemoryFile

ROUNDS = 20_000
HEADERS = 64 + 13 * 56
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x1000, 0x400000, 1 << 31, 1 << 47, 1 << 63, (1 << 64) - 1)


class Program(Uncounted):
    """A file whose first bytes differ from those of a host file."""

    kind: Literal["host"] = "host"
    where = b""

    def __init__(self, fd: int, head: bytes, number: int) -> None:
        """Put head over the beginning of fd."""
        self.fd = fd
        self.head = head
        self.number = number

    def pread(self, size: int, offset: int) -> bytes:
        """Read, the head changed."""
        data = os.pread(self.fd, size, offset)
        return (self.head[offset : offset + size] + data[max(0, len(self.head) - offset) :])[: len(data)]

    def identity(self) -> tuple[int, int, int, int]:
        """Return a number of its own."""
        return 0, self.number, 0, 0

    def mappable(self) -> "Program":
        """Return itself."""
        return self

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """Return the host file's pages."""
        length = min(length, page_up(os.fstat(self.fd).st_size) - offset)
        return [Extent(self, offset, length)] if length > 0 else []

    def mapped_size(self) -> int:
        """Return the host file's size."""
        return os.fstat(self.fd).st_size

    def mapping_identity(self) -> object:
        """Return itself."""
        return self


def damaged(head: bytes, chance: random.Random) -> bytes:
    """Return head with up to eight fields overwritten."""
    content = bytearray(head)
    for _ in range(chance.randint(1, 8)):
        size = chance.choice((1, 2, 4, 8))
        at = chance.randrange(16, len(content) - size)
        value = chance.choice((chance.getrandbits(64), chance.choice(INTERESTING), chance.getrandbits(16)))
        content[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return bytes(content)


def main() -> None:
    """Load them all."""
    chance = random.Random(1)
    head = Path("/bin/sh").read_bytes()[:HEADERS]
    fd = os.open("/bin/sh", os.O_RDONLY)
    loaded = 0
    with MemoryFile() as memory:
        for number in range(ROUNDS):
            program = Program(fd, damaged(head, chance), number)
            space = FakeSpace()
            mm = MemoryManager(space, memory)
            try:
                prepare(program, b"/bin/sh", [b"sh"], [], lambda _: Program(fd, head, -1), random=bytes(56)).map_into(
                    mm
                )
                check(mm, space)
                loaded += 1
            except LinuxError:
                pass
            mm.release()
            left = memory.ranges()
            assert left == [], left
    os.close(fd)
    print(f"{ROUNDS} files: {loaded} loaded, {ROUNDS - loaded} refused, nothing leaked")


if __name__ == "__main__":
    main()
