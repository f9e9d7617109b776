"""Where mappings go: downwards from below the stack. Source: Linux mm/mmap.c vm_unmapped_area (6.1)."""

from typing import TYPE_CHECKING

from sentry_abi.errors import ENOMEM
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE
from sentry_abi.resource import RLIMIT_STACK
from sentry_mm._limits import MMAP_MIN_ADDR, STACK_GUARD_GAP
from sentry_mm._vma import VM_GROWSDOWN, Vma

if TYPE_CHECKING:
    from sentry_mm._mm import MMState


def set_layout(mm: "MMState", stack_slack: int, random_pages: int) -> None:
    """Choose where mappings are placed: downwards from below the stack.

    stack_slack: bytes that stack randomisation may take; random_pages: how many pages lower than need be.
    Linux: mm/util.c mmap_base.
    """
    limit = mm.limits.soft(RLIMIT_STACK)
    gap = limit + stack_slack + STACK_GUARD_GAP
    gap = max(128 << 20, min(gap, TASK_SIZE // 6 * 5))
    mm.mmap_base = (TASK_SIZE - gap - (random_pages << 12)) & -PAGE_SIZE
    mm.search_from = mm.mmap_base
    mm.skipped_hole = 0


def _low_edge(vma: Vma) -> int:
    return vma.start - STACK_GUARD_GAP if vma.vm_flags & VM_GROWSDOWN else vma.start


def is_free(mm: "MMState", start: int, end: int) -> bool:
    """Tell whether [start, end) is free, guard gap of a stack above included."""
    vmas = mm.vmas
    index = vmas.index_from(start)
    return index >= len(vmas) or _low_edge(vmas.items[index]) >= end


def find_free(mm: "MMState", length: int) -> int:
    """Return the highest free place below mmap_base. Raises: ENOMEM."""
    if length <= mm.skipped_hole:
        mm.search_from = mm.mmap_base
    if mm.search_from >= mm.mmap_base:
        mm.skipped_hole = 0
    found = _search_down(mm, length, mm.search_from, MMAP_MIN_ADDR)
    if found < 0 and mm.search_from < mm.mmap_base:
        mm.skipped_hole = 0
        found = _search_down(mm, length, mm.mmap_base, MMAP_MIN_ADDR)
    if found < 0:
        found = search_up(mm, length, mm.mmap_base, TASK_SIZE)
    else:
        mm.search_from = found
    return found


def _search_down(mm: "MMState", length: int, ceiling: int, floor: int) -> int:
    vmas = mm.vmas
    index = vmas.index_from(ceiling)
    if index < len(vmas):
        ceiling = min(ceiling, _low_edge(vmas.items[index]))
    while index > 0:
        index -= 1
        vma = vmas.items[index]
        hole = ceiling - vma.end
        if hole >= length:
            return ceiling - length
        mm.skipped_hole = max(mm.skipped_hole, hole)
        ceiling = min(ceiling, _low_edge(vma))
    return ceiling - length if ceiling - length >= floor else -1


def search_up(mm: "MMState", length: int, floor: int, ceiling: int) -> int:
    """Return the lowest free place in [floor, ceiling). Raises: ENOMEM."""
    vmas = mm.vmas
    for index in range(vmas.index_from(floor), len(vmas)):
        vma = vmas.items[index]
        if _low_edge(vma) - floor >= length:
            return floor
        floor = vma.end
    if ceiling - floor < length:
        raise ENOMEM
    return floor


def raise_search(mm: "MMState", end: int) -> None:
    """Look for free space from above the hole that [.., end) has just made or widened."""
    vmas = mm.vmas
    index = vmas.index_from(end)
    above = vmas.starts[index] if index < len(vmas) else TASK_SIZE
    mm.search_from = min(max(mm.search_from, above), mm.mmap_base)
