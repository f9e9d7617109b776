"""Truncation of mapped files."""

from typing import TYPE_CHECKING

from sentry_abi.memory import page_up
from sentry_mm._apply import apply, drop
from sentry_mm._lists import flush_translations
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_mm._mappable import Mappable
    from sentry_mm._mm import MMState


def invalidate(mm: "MMState", file: "Mappable", from_offset: int) -> None:
    """Unmap the pages of file from from_offset (bytes, rounded up to a page) on: they are beyond its end now.

    Shared and private views alike, as Linux does; private copies of such pages go too. An access is then SIGBUS,
    or maps the pages again if the file has grown meanwhile. Linux: mm/truncate.c truncate_pagecache,
    unmap_mapping_range(even_cows).
    """
    edge = page_up(from_offset)
    identity = file.mapping_identity()
    ops = []
    gone = []
    for vma in mm.vmas.items:
        if vma.file is None or vma.file.mapping_identity() != identity:
            continue
        low = max(vma.start, vma.start + edge - vma.offset)
        if low < vma.end and mm.pmas.within(low, vma.end):
            gone.append((low, vma.end))
            if vma.prot:
                ops.append(Op("unmap", low, vma.end - low))
    apply(mm, ops)
    for low, high in gone:
        for pma in mm.pmas.take(low, high):
            drop(mm, pma)
    if gone:
        flush_translations(mm)
