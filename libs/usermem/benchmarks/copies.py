"""What copies, scatter lists and atomics cost. Run with the workspace's Python; prints microseconds."""

import struct
import timeit
from collections.abc import Callable

from sentry_usermem import ByteMemory, SharedWords, gather, import_iovec, load_u32, read_strings, read_struct

ROUNDS = 50_000
AT = 0x10000
PAIR = struct.Struct("<QQ")


def show(what: str, function: Callable[[], object]) -> None:
    """Print the best of three."""
    print(f"{what:32}{min(timeit.repeat(function, number=ROUNDS, repeat=3)) / ROUNDS * 1e6:6.2f}")


memory, data = ByteMemory(1 << 16, AT), bytearray(4096)
memory.copy_out(AT, PAIR.pack(AT + 4096, 4096) * 8)
texts = 20
memory.copy_out(AT + 512, b"".join(struct.pack("<Q", AT + 1024) for _ in range(texts)) + bytes(8) + b"")
memory.copy_out(AT + 1024, b"argument\0")
words = SharedWords(data)
show("copy_in of 16 bytes", lambda: memory.copy_in(AT, 16))
show("read_struct", lambda: read_struct(memory, AT, PAIR))
show("import_iovec of 8", lambda: import_iovec(memory, AT, 8))
pieces = import_iovec(memory, AT, 8)
show("gather of 8", lambda: gather(memory, pieces))
show(f"read_strings of {texts}", lambda: read_strings(memory, AT + 512, 1 << 20, 4096))
show("SharedWords.load", lambda: words.load(8))
address = words._base  # noqa: SLF001  (an address that is surely mapped)
show("load_u32", lambda: load_u32(address))
