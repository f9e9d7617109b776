"""Mutated images: whatever is done to one, reading it ends soon, in a graph or in one clear error.

Bytes of a whole image are changed, cut, doubled: the checksums should find all of it. Or, three times out of four, the
image is taken apart, the payloads of its blocks are changed, and it is sealed again with right checksums, as an
attacker would: then the reader itself must cope. `libs/state/fuzz/images.py [COUNT]` runs 100,000.
"""

# ruff: noqa: ANN401  (graphs of anything)

import io
import random
import resource
import struct
import sys
import time
import zlib
from collections import deque
from itertools import pairwise
from typing import Any, Final, NamedTuple

from sentry_state import Limits, LoadError, Reader, Registry, Writer

COUNT: Final = 100_000
GROWTH: Final = 64 << 20
HEAD: Final = 16
LIMITS: Final = Limits(objects=1 << 17, blob=1 << 22, hashing=1 << 20)

registry = Registry()


@registry.savable("fuzz.Node", version=2, fields=("name", "next", "bag"), fresh={"lock": list}, waits=("next",))
class Node:
    """An object with everything: fields, a fresh one, a wait, a hook."""

    __slots__ = ("bag", "lock", "name", "next")

    def __init__(self, name: Any, bag: Any) -> None:
        """Take a name."""
        self.name, self.bag = name, bag
        self.next: Any = None

    def after_load(self) -> None:
        """Do what a hook does: look at fields, which may hold anything."""
        if isinstance(self.next, Node) and self.next.name == 0:
            raise ValueError(self.name)


@registry.savable("fuzz.Key", version=3, fields=("name",), upgrade=lambda _, fields: {"name": fields.get("old")})
class Key:
    """An object whose hash depends on a field, and which knows older versions."""

    __slots__ = ("name",)

    def __init__(self, name: Any) -> None:
        """Take a name."""
        self.name = name

    def __eq__(self, other: object) -> bool:
        """Compare names."""
        return isinstance(other, Key) and bool(self.name == other.name)

    def __hash__(self) -> int:
        """Hash the name."""
        return hash(self.name)


@registry.savable("fuzz.Pair")
class Pair(NamedTuple):
    """A record."""

    one: Any
    two: Any


registry.named("fuzz.len")(len)
LIVE: Final = Node("live", None)


def sample(rng: random.Random) -> Any:
    """Return a graph that uses every part of the format."""
    nodes = [Node(rng.choice([place, f"n{place}", b"%20d" % place]), []) for place in range(8)]
    for one, two in pairwise(nodes):
        one.next = two
        one.bag += [nodes, two, LIVE, (one, two), {Key((1, 2)): one, (3, "x"): two}, frozenset([1, (2, 3)])]
    nodes[-1].bag = [
        deque([1, 2], maxlen=9), deque(["a"]), bytearray(b"bytes" * 5), {1, 2, 70000, b"x" * 30}, Pair(nodes, ()), 1.5,
        None, True, False, -1, 2**40, 2**70, 2**200, "text" * 80, b"\0" * 400, len, {Key("k"), Key("l")},
        rng.randbytes(70_000) if rng.random() < 0.2 else b"",
    ]  # fmt: skip
    return nodes


def image(rng: random.Random) -> bytes:
    """Return an image with a graph and bulk bytes."""
    file = io.BytesIO()
    with Writer(file, {"made": "here"}, registry=registry) as writer:
        writer.save("graph", sample(rng), {"live": LIVE})
        writer.raw("bulk", [rng.randbytes(50), rng.randbytes(20)])
    return file.getvalue()


def read(data: bytes) -> None:
    """Read a whole image."""
    reader = Reader(io.BytesIO(data), registry=registry, limits=LIMITS)
    reader.load("graph", {"live": LIVE})
    for _ in reader.raw("bulk"):
        pass
    reader.finish()


def blocks(data: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Take an image apart, by the description of the format: its metadata, then kind and payload of each block."""
    (length,) = struct.unpack_from("<I", data, 12)
    meta, pos, found = data[HEAD : HEAD + length], HEAD + length + 4, []
    while pos < len(data):
        kind, length = struct.unpack_from("<BI", data, pos)
        found.append((kind, data[pos + 5 : pos + 5 + length]))
        pos += 5 + length + 4
    return meta, found


def seal(meta: bytes, found: list[tuple[int, bytes]]) -> bytes:
    """Put an image together, with the checksums that belong there."""
    head = b"\x89SENTRY\n" + struct.pack("<HHI", 1, 0, len(meta))
    digest = struct.pack("<I", zlib.crc32(meta, zlib.crc32(head)))
    out = head + meta + digest
    for kind, payload in found:
        head = struct.pack("<BI", kind, len(payload))
        digest = struct.pack("<I", zlib.crc32(payload, zlib.crc32(head, zlib.crc32(digest))))
        out += head + payload + digest
    return out


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Change bytes in one of the ways that find mistakes."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        place = rng.randrange(len(out) + 1)
        kind = rng.randrange(8)
        if kind == 0 and place < len(out):
            out[place] ^= 1 << rng.randrange(8)
        elif kind == 1 and place < len(out):
            out[place] = rng.choice(
                [0, 1, 0x20, 0x22, 0x28, 0x2B, 0x2D, 0x31, 0x35, 0x7F, 0x80, 0xFF, rng.randrange(256)]
            )
        elif kind == 2:
            del out[place : place + rng.choice([1, 2, 7, 100])]
        elif kind == 3:
            out[place:place] = rng.randbytes(rng.choice([1, 2, 5, 40]))
        elif kind == 4:
            source = rng.randrange(len(out) + 1)
            out[place:place] = out[source : source + rng.choice([1, 4, 30])]
        elif kind == 5:
            out[place : place + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80"])
        elif kind == 6:
            out[place:place] = bytes((rng.choice([0x28, 0x2A, 0x2B, 0x2D, 0x2F, 0x29]), 1)) * rng.choice([1, 50, 1000])
        elif rng.random() < 0.3:
            del out[place:]
    return bytes(out)


def attempt(rng: random.Random, good: bytes) -> str:
    """Read one mutation of a good image; return the name of the error, or `loaded`."""
    if rng.random() < 0.25:
        data, sealed = mutate(rng, good), False
        if data == good:
            sealed = True
    else:
        sealed = True
        meta, found = blocks(good)
        chosen = rng.randrange(len(found)) if rng.random() < 0.2 else 1
        found[chosen] = (found[chosen][0], mutate(rng, found[chosen][1]))
        if rng.random() < 0.05:
            rng.shuffle(found)
        if rng.random() < 0.05:
            meta = mutate(rng, meta)
        if rng.random() < 0.05:
            found[chosen] = (rng.randrange(9), found[chosen][1])
        data = seal(meta, found)
    try:
        read(data)
    except LoadError as error:
        return type(error).__name__
    if not sealed and data[: len(good)] != good:
        message = "a changed image was loaded"
        raise AssertionError(message)
    return "loaded"


def resident() -> int:
    """Return the bytes of memory in use."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  (no import for it)
        return int(file.read().split()[1]) * resource.getpagesize()


def run(count: int, seed: int) -> dict[str, int]:
    """Read count mutations; return how often each error came. Raises whatever is no LoadError, with its seed."""
    ends: dict[str, int] = {}
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        if number % 500 == 0:
            good = image(rng)
        try:
            end = attempt(rng, good)
        except Exception as error:
            error.add_note(f"seed {seed}, number {number}")
            raise
        ends[end] = ends.get(end, 0) + 1
    return ends


def main() -> None:
    """Run all, watch time and memory."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    run(500, 0)
    before, begun = resident(), time.monotonic()
    slowest = 0.0
    ends: dict[str, int] = {}
    for seed in range(1, 1 + max(1, count // 500)):
        since = time.monotonic()
        for end, number in run(500, seed).items():
            ends[end] = ends.get(end, 0) + number
        slowest = max(slowest, time.monotonic() - since)
    grown = resident() - before
    print(f"{sum(ends.values())} mutations in {time.monotonic() - begun:.0f} s, the slowest 500 in {slowest:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"memory grown by {grown / (1 << 20):.1f} MiB, peak {peak} MiB")
    print(", ".join(f"{end} {number}" for end, number in sorted(ends.items(), key=lambda item: -item[1])))
    if grown > GROWTH:
        sys.exit("too much memory")


if __name__ == "__main__":
    main()
