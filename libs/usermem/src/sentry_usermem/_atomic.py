"""Atomic operations on 32-bit words, at addresses of the sentry.

The functions are the compiled ones themselves, so that a futex word costs one C call (80 ns) and no Python frame.
Values are unsigned; a value outside 0..2^32-1 raises OverflowError. Requires: the address is a multiple of 4 and
mapped in the sentry for as long as the call takes; mm, which alone hands out such addresses, sees to that. Nothing is
checked: a wrong address ends the process. `SharedWords` are the same operations with every check.
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
"""cas_u32(address, expected, value) -> old value; it was set if that is what was expected"""


class SharedWords:
    """The 32-bit words of a writable buffer that others change at the same time: an `mmap`, a view of one.

    Offsets are in bytes. While this object lives the buffer is held: an mmap cannot be closed under it.
    All methods raise ValueError for an offset that is no multiple of 4 or outside of the buffer, OverflowError for a
    value that is not of 0..2^32-1. Sequentially consistent; 0.2 us each.
    """

    __slots__ = ("_base", "_hold", "_size")

    def __init__(self, buffer: object) -> None:
        """Hold buffer. Raises: TypeError or BufferError if it cannot be written, ValueError if its start is crooked."""
        self._hold = ffi.from_buffer("char[]", buffer, require_writable=True)
        self._base = int(ffi.cast("uintptr_t", self._hold))
        self._size = len(self._hold)
        if self._base & 3:
            message = "the buffer begins at an address that is no multiple of 4"
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
