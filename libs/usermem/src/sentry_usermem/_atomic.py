"""Atomic operations on 32-bit words, at addresses of the sentry.

The functions are the compiled ones, so that a futex word costs one C call (80 ns) and no Python frame. Values are
unsigned; a value outside 0..2^32-1 raises OverflowError. Requires: the address is a multiple of 4 and mapped in the
sentry during the call; mm, the only source of such addresses, guarantees it. Nothing is checked: a wrong address ends
the process. `SharedWords` has the same operations with all checks.
"""

from collections.abc import Callable
from typing import Final

from sentry_usermem._native._lib import ffi, lib

load_u32: Final[Callable[[int], int]] = lib.ks_usermem_load
"""load_u32(address) -> value"""
store_u32: Final[Callable[[int, int], None]] = lib.ks_usermem_store
"""store_u32(address, value)"""
swap_u32: Final[Callable[[int, int], int]] = lib.ks_usermem_swap
"""swap_u32(address, value) -> old value"""
add_u32: Final[Callable[[int, int], int]] = lib.ks_usermem_add
"""add_u32(address, value) -> old value; wraps"""
cas_u32: Final[Callable[[int, int, int], int]] = lib.ks_usermem_cas
"""cas_u32(address, expected, value) -> old value; the word was set if that equals expected"""


class SharedWords:
    """The 32-bit words of a writable buffer that is changed concurrently: an `mmap`, or a view of one.

    Offsets are in bytes. The object holds the buffer: an mmap cannot be closed while it exists. All methods raise
    ValueError for an offset that is not a multiple of 4 or is outside of the buffer, OverflowError for a value outside
    0..2^32-1. Sequentially consistent; 0.2 us each.
    """

    __slots__ = ("_base", "_hold", "_size")

    def __init__(self, buffer: object) -> None:
        """Hold buffer. Raises: TypeError or BufferError if it is read-only, ValueError if it is not aligned."""
        self._hold = ffi.from_buffer("char[]", buffer, require_writable=True)
        self._base = int(ffi.cast("uintptr_t", self._hold))
        self._size = len(self._hold)
        if self._base & 3:
            message = "the buffer begins at an address that is not a multiple of 4"
            raise ValueError(message)

    def _at(self, offset: int) -> int:
        if offset & 3 or not 0 <= offset <= self._size - 4:
            message = f"word at offset {offset}: the buffer has words at multiples of 4 up to {self._size - 4}"
            raise ValueError(message)
        return self._base + offset

    def load(self, offset: int) -> int:
        """Return the word."""
        return load_u32(self._at(offset))

    def store(self, offset: int, value: int) -> None:
        """Set the word."""
        store_u32(self._at(offset), value)

    def swap(self, offset: int, value: int) -> int:
        """Set the word; return what it was."""
        return swap_u32(self._at(offset), value)

    def add(self, offset: int, value: int) -> int:
        """Add to the word modulo 2^32; return what it was."""
        return add_u32(self._at(offset), value)

    def cas(self, offset: int, expected: int, value: int) -> int:
        """Set the word to value if it is expected; return what it was."""
        return cas_u32(self._at(offset), expected, value)
