"""Bytes that no writer would write: each ends in one clear error, soon and in little memory."""

# ruff: noqa: ANN401  (graphs of anything)

import struct
import tracemalloc
from typing import Any, NamedTuple

import pytest

from sentry_state import LimitError, LoadError, MalformedError, Registry, UnknownTypeError, decode_record

registry = Registry()


@registry.savable("Node", fields=("name",))
class Node:
    """Hashed by its field, and strict about it."""

    __slots__ = ("name",)

    name: Any

    def __eq__(self, other: object) -> bool:
        """Compare names, badly."""
        return bool(self.name == other.name)  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        """Hash the name; a bad one must not harm."""
        if self.name == 99:
            raise MalformedError(self.name)
        return hash(self.name)


@registry.savable("Old", version=2, fields=("name",), upgrade=lambda _, fields: {"name": 1 // fields["name"]})
class Old:
    """Has been another one."""

    __slots__ = ("name",)


@registry.savable("Pair")
class Pair(NamedTuple):
    """A record."""

    one: Any
    two: Any


NODE = b"\x34" + struct.pack("<I", 11) + b"Node\x001\x00name"
PAIR = b"\x34" + struct.pack("<I", 14) + b"Pair\x001\x00one\x00two"


def decode(data: bytes) -> Any:
    """Decode, with one live object."""
    return decode_record(data, ["alive"], registry)


def described(text: bytes) -> bytes:
    """Return an object of a class described in this way."""
    return b"\x34" + struct.pack("<I", len(text)) + text + b"\x35\x00\x80"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x28",
        b"\x28\x02\x80",
        b"\x12\x01",
        b"\x04\0\0",
        b"\x05\x05abc",
        b"\x06\xff\xff\xff\xffabc",
        b"\x05\x01\xff",
        b"\x08\0\0",
        b"\x09\xff\xff\xff\xff",
        b"\x0a" + struct.pack("<Q", 5) + b"12345",
        b"\x0a" + struct.pack("<Q", 5),
        b"\x0d",
        b"\x20",
        b"\x25",
        b"\x7f",
        b"\x10",
        b"\x21\x00",
        b"\x24\xff\xff\xff\xff",
        b"\x29\xff\xff\xff\xff\x80",
        b"\x2c\xff\xff\xff\xff\x80",
        b"\x2e\xff\xff\xff\xff\x80",
        b"\x30\xff\xff\xff\xff\x80",
        b"\x31\xff\xff\xff\xff\x80",
        b"\x32" + struct.pack("<IQ", 3, 2) + b"\x80" * 3,
        b"\x32" + struct.pack("<IQ", 0, 2**64 - 1),
        b"\x2d\x02\x80\x80\x80\x80",
        b"\x2f\x02\x80\x80",
        b"\x2f\x02\x81\x01",
        b"\x2a\x02\0\0\0\x80\x80",
        b"\x2a\x01\0\0\0\x2b\0",
        b"\x2d\x01\x2b\0\x80",
        b"\x2f\x01\x2d\0",
        b"\x33\x80",
        b"\x33",
        b"\x35\x00",
        b"\x36\0\0\0\0",
        b"\x37\x00",
        b"\x38\0\0\0\0",
        b"\x3a\x01\0\0\0k",
        b"\x39\x01\0\0\0\xff",
        b"\x3b\x01\0\0\0",
        b"\x80\x80",
        b"\x80\x11",
        b"\x28\x01\x80\x80",
        NODE,
        NODE + b"\x35\x01\x80",
        NODE + b"\x37\x00\x80",
        PAIR + b"\x35\x00\x80\x80",
        PAIR + b"\x37\x00\x80",
        NODE + b"\x2f\x01\x35\x00\x2b\x00",
        NODE + b"\x2f\x01\x35\x00\xe3",
        NODE + b"\x2f\x02\x35\x00\x35\x00\x80\x80",
        NODE + b"\x2f\x02\x35\x00\x81\x81",
        NODE + b"\x2a\x01\0\0\0\x35\x00\x80",
        described(b"Node\x00x\x00name"),
        described(b"Node\x00-1\x00name"),
        described(b"Node\x00\xc2\xb2\x00name"),
        described(b"Node\x001000000000\x00name"),
        described(b"Node\x001\x00name\x00name"),
        described(b"Node\x001\x00other"),
        described(b"Node\x001"),
        described(b"Node"),
        described(b""),
        described(b"\x01"),
        described(b"\xff"),
        described(b"Node\x000\x00name"),
        described(b"Node\x002\x00name"),
        described(b"Node\x001\x00name\x01Node\x001\x00name"),
        described(b"Old\x001\x00name"),
    ],
)
def test_one_clear_error(data: bytes) -> None:
    """Cut off, too long, of no known kind, or against the rules."""
    with pytest.raises(LoadError):
        decode(data)


def test_nothing_named_is_run() -> None:
    """Names of real functions and classes mean nothing unless they are registered."""
    for name in (b"os.system", b"builtins.eval", b"sentry_state.Registry"):
        with pytest.raises(UnknownTypeError):
            decode(b"\x39" + struct.pack("<I", len(name)) + name)
        with pytest.raises(UnknownTypeError):
            decode(described(name + b"\x001"))


def test_long_names_make_short_messages() -> None:
    """However long the name is."""
    with pytest.raises(UnknownTypeError) as caught:
        decode(described(b"x" * 60_000 + b"\x001"))
    assert len(str(caught.value)) < 200


def test_deep_nesting() -> None:
    """A million tuples inside each other are no problem of the reader; as a key they are refused."""
    assert decode(b"\x28\x01" * 1_000_000 + b"\x80")
    with pytest.raises(LimitError, match="too long to hash"):
        decode(b"\x2f\x01" + b"\x28\x01" * 100_000 + b"\x80")
    with pytest.raises(LimitError):
        decode(b"\x2a\x01\0\0\0" + b"\x28\x01" * 100_000 + b"\x80")
    with pytest.raises(MalformedError):
        decode(b"\x28\x01" * 1_000_000)
    with pytest.raises(LimitError):
        decode(NODE + b"\x35\x00" + b"\x28\x01" * 20_000 + b"\x80")


def test_a_small_key_that_is_a_giant() -> None:
    """Each of 60 tuples holds the one before twice: hashing the last would take for ever."""
    data = b"\x28\x02\x80\x80"
    for place in range(60):
        data += b"\x28\x02" + (b"\x21" + bytes((place,))) * 2
    whole = b"\x28" + bytes((61,)) + data
    assert len(decode(whole)) == 61
    with pytest.raises(LimitError):
        decode(b"\x28\x02" + whole + b"\x2f\x01\x21\x3c")


def test_the_same_heavy_key_again_and_again() -> None:
    """The work of all keys together is bounded as well."""
    heavy = b"\x29" + struct.pack("<I", 9_000) + b"\x80" * 9_000
    keys = b"".join(b"\x28\x02\x21\x00" + b"\x13" + n.to_bytes(3, "little") for n in range(8_000))
    with pytest.raises(LimitError):
        decode(b"\x28\x02" + heavy + b"\x30" + struct.pack("<I", 8_000) + keys)


def test_counts_cost_nothing() -> None:
    """A count is a promise, not an order: nothing is allocated for it."""
    tracemalloc.start()
    for tag in (b"\x29", b"\x2a", b"\x2c", b"\x2e", b"\x30", b"\x31", b"\x06", b"\x08", b"\x09"):
        with pytest.raises(LoadError):
            decode(tag + b"\xfe\xff\xff\xff")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
