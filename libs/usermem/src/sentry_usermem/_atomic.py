"""Atomic operations on 32-bit words, at addresses of the sentry.

The functions are the compiled ones themselves, so that a futex word costs one C call (80 ns) and no Python frame.
Values are unsigned; a value outside 0..2^32-1 raises OverflowError. Requires: the address is a multiple of 4 and
mapped in the sentry for as long as the call takes; mm, which alone hands out such addresses, sees to that.
"""

from collections.abc import Callable
from typing import Final

from sentry_usermem._native._lib import lib

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
