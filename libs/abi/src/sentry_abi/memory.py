"""Page and address arithmetic of x86-64: 4 KiB pages, 47-bit user addresses.

Sources: Linux arch/x86/include/asm/page_types.h, page_64_types.h (TASK_SIZE_MAX).
"""

from typing import Final

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
PAGE_MASK: Final = ~(PAGE_SIZE - 1)
HUGE_PAGE_SIZE: Final = 2 << 20

TASK_SIZE: Final = 0x7FFF_FFFF_0000
"""First address above guest memory. Linux has 0x7ffffffff000; the 60 KiB below that belong to the platforms' own pages
on all platforms, so that an image made on one restores on any other."""


def page_down(addr: int) -> int:
    """Round an address or length in bytes down to a page boundary."""
    return addr & -PAGE_SIZE


def page_up(addr: int) -> int:
    """Round an address or length in bytes up to a page boundary; not wrapped to 64 bits."""
    return (addr + PAGE_SIZE - 1) & -PAGE_SIZE
