"""The part of protobuf's wire format that events need: varints and fields of lengths, written by hand.

The protobuf package takes 11 ms to import, more than a tenth of a sandbox's start; the messages here have 36 fields.
"""

from collections.abc import Iterator
from typing import Final

from sentry_eventchannel._errors import UsageError, WireError

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5

MAX_VARINT: Final = 10
"""Bytes of the longest varint."""

MASK64: Final = (1 << 64) - 1


def varint(value: int) -> bytes:
    """Return an unsigned integer of up to 64 bits, seven at a time, the lowest first. Raises: UsageError."""
    if not 0 <= value <= MASK64:
        message = f"{value} does not fit an unsigned integer of 64 bits"
        raise UsageError(message)
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer_field(number: int, value: int) -> bytes:
    """Return a field of an int32, int64, uint32 or uint64; nothing for 0, as proto3 has it. Raises: UsageError."""
    if not value:
        return b""
    if -(1 << 63) <= value < 0:
        value &= MASK64
    return varint(number << 3 | VARINT) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """Return a field of bytes, text or a message, empty ones too."""
    return varint(number << 3 | LENGTH) + varint(len(value)) + value


def read_varint(data: bytes, pos: int) -> tuple[int, int]:
    """Return the integer at pos and the place after it. Raises: WireError."""
    value = 0
    for shift in range(0, 7 * MAX_VARINT, 7):
        if pos >= len(data):
            message = "the bytes end inside of an integer"
            raise WireError(message)
        byte = data[pos]
        pos += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value > MASK64:
                break
            return value, pos
    message = "an integer of more than 64 bits"
    raise WireError(message)


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a message; integers unsigned. Raises: WireError."""
    pos = 0
    while pos < len(data):
        key, pos = read_varint(data, pos)
        number, kind = key >> 3, key & 7
        if not 1 <= number < 1 << 29:
            message = f"a field with the number {number}"
            raise WireError(message)
        if kind == VARINT:
            value, pos = read_varint(data, pos)
            yield number, value
            continue
        if kind == LENGTH:
            length, pos = read_varint(data, pos)
        elif kind in {FIXED64, FIXED32}:
            length = 8 if kind == FIXED64 else 4
        else:
            message = f"a field of the kind {kind}"
            raise WireError(message)
        if length > len(data) - pos:
            message = "the bytes end inside of a field"
            raise WireError(message)
        yield number, data[pos : pos + length]
        pos += length
