"""The one way to the platform.

Every change goes the same way: work out the operations, let the platform do them in one `apply`, then change the lists.
When the platform refuses, the lists are untouched and what it had done already is put back from them.

Between `begin` and `commit` operations are collected instead, for exec: a dozen mappings are one apply. References
dropped meanwhile are kept until the host no longer maps what they count.
"""

from typing import TYPE_CHECKING

from sentry_abi.errors import BY_NUMBER, ENOMEM, LinuxError
from sentry_platform import MapError, Op

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_mm._mappable import Pages
    from sentry_mm._mm import MMState
    from sentry_mm._pma import Pma


def coalesce(ops: "Sequence[Op]") -> list[Op]:
    """Join neighbouring operations that one host call can do."""
    joined: list[Op] = []
    for op in ops:
        if joined:
            last = joined[-1]
            if (
                last.addr + last.length == op.addr
                and last.kind == op.kind
                and last.prot == op.prot
                and last.backing is op.backing
                and last.populate == op.populate
                and (op.kind != "map" or last.offset + last.length == op.offset)
            ):
                joined[-1] = last._replace(length=last.length + op.length)
                continue
        joined.append(op)
    return joined


def begin(mm: "MMState") -> None:
    """Collect operations from now on. Requires: no guest thread of this space runs until `commit`."""
    mm.batch = []


def commit(mm: "MMState") -> None:
    """Apply what was collected, at once.

    Raises: LinuxError; the space is then in no known state and the guest must not run in it.
    """
    ops, mm.batch = mm.batch or [], None
    try:
        if ops:
            mm.space.apply(coalesce(ops))
    except MapError as error:
        raise BY_NUMBER.get(error.errno, ENOMEM) from error
    finally:
        drop_deferred(mm)
        mm.memory.reclaim()


def apply(mm: "MMState", ops: list[Op]) -> None:
    """Let the platform do ops. Raises: LinuxError; the old mappings are back then."""
    if not ops:
        return
    if mm.batch is not None:
        mm.batch += ops
        return
    if len(ops) > 1:
        ops = coalesce(ops)
    try:
        mm.space.apply(ops)
    except MapError as error:
        _put_back(mm, ops[: error.index + 1])
        raise BY_NUMBER.get(error.errno, ENOMEM) from error


def apply_for(mm: "MMState", ops: list[Op], pmas: "Iterable[Pma]") -> None:
    """Let the platform do ops for new PMAs; if it refuses, their references are dropped. Raises: LinuxError."""
    try:
        apply(mm, ops)
    except LinuxError:
        for pma in pmas:
            drop(mm, pma)
        raise


def _put_back(mm: "MMState", ops: list[Op]) -> None:
    """Make the host agree with the lists again where ops went; a fault repairs what cannot be put back now."""
    for op in ops:
        try:
            mm.space.apply([Op("unmap", op.addr, op.length), *map_ops(mm, op.addr, op.addr + op.length)])
        except MapError:
            continue


def map_ops(mm: "MMState", start: int, end: int) -> list[Op]:
    """Return the operations that map what the lists have in [start, end)."""
    ops = []
    for vma in mm.vmas.within(start, end):
        if vma.prot:
            low, high = max(vma.start, start), min(vma.end, end)
            ops += [map_op(pma, vma.prot, low, high) for pma in mm.pmas.within(low, high)]
    return ops


def map_op(pma: "Pma", prot: int, low: int, high: int) -> Op:
    """Return the operation that maps what a PMA has in [low, high), for a VMA with prot."""
    low, high = max(low, pma.start), min(high, pma.end)
    return Op("map", low, high - low, pma.host_prot(prot), pma.backing, pma.offset + low - pma.start)


def drop_range(mm: "MMState", backing: "Pages", offset: int, length: int) -> None:
    """Drop a reference of each page of a range; during a batch only when the host no longer maps it."""
    if mm.batch is not None:
        mm.dropped.append((backing, offset, length))
    else:
        backing.decref(offset, length)


def drop(mm: "MMState", pma: "Pma") -> None:
    """Drop the references of a PMA that has left the lists and the host's mappings."""
    length = pma.end - pma.start
    drop_range(mm, pma.backing, pma.offset, length)
    if pma.shadow >= 0:
        drop_range(mm, mm.memory, pma.shadow, length)


def drop_deferred(mm: "MMState") -> None:
    """Drop the references that waited for the batch."""
    for backing, offset, length in mm.dropped:
        backing.decref(offset, length)
    mm.dropped.clear()
