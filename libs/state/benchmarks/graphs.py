"""How fast a tree of objects is saved and loaded, and what one record costs."""

import io
import os
import timeit
from typing import Any, NamedTuple

from sentry_state import Reader, Writer, decode_record, encode_record, savable

OBJECTS = 100_000
ROUNDS = 20_000


@savable("bench.Node", fields=("children", "flags", "name", "parent", "tid"))
class Node:
    """Five fields, as a small kernel object has."""

    __slots__ = ("children", "flags", "name", "parent", "tid")

    def __init__(self, tid: int, parent: "Node | None") -> None:
        """Take a place in the tree."""
        self.tid, self.parent, self.flags, self.name = tid, parent, tid * 1000, b"task-%d" % tid
        self.children: list[Node] = []


@savable("bench.Call")
class Call(NamedTuple):
    """What a parked call remembers."""

    file: Any
    address: int
    length: int
    done: int
    deadline: int | None


class File:
    """A live object."""


nodes = [Node(0, None)]
for number in range(1, OBJECTS):
    parent = nodes[number >> 1]
    nodes.append(Node(number, parent))
    parent.children.append(nodes[-1])
file = io.BytesIO()
with Writer(file) as writer:
    saved = writer.save("tree", nodes[0])
file.seek(0)
reader = Reader(file)
reader.load("tree")
for what, stats in (("save", saved), ("load", reader.stats)):
    print(f"{what}: {OBJECTS / stats.seconds / 1000:.0f} thousand objects/s with a list each, {stats.size} bytes")

with open(os.devnull, "wb") as sink, Writer(sink) as writer:  # noqa: PTH123  (a device)
    chunk = bytes(1 << 20)
    seconds = timeit.timeit(lambda: writer.raw("bulk", (chunk for _ in range(256))), number=1)
    print(f"bulk bytes: {256 / seconds:.0f} MiB/s written")

call, live = Call(File(), 0x7FFF12345678, 4096, 0, None), list[Any]()
data = encode_record(call, live)
seconds = min(timeit.repeat(lambda: encode_record(call, []), number=ROUNDS, repeat=3)) / ROUNDS
print(f"a record of five: encode {seconds * 1e6:.1f} us", end=", ")
seconds = min(timeit.repeat(lambda: decode_record(data, live), number=ROUNDS, repeat=3)) / ROUNDS
print(f"decode {seconds * 1e6:.1f} us, {len(data)} bytes")
