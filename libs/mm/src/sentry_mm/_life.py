"""How an address space ends: the last user goes, or another program takes it over."""

from typing import TYPE_CHECKING, TypeVar

from sentry_abi.memory import TASK_SIZE
from sentry_mm._apply import apply, drop, drop_deferred, map_ops
from sentry_mm._limits import MMAP_MIN_ADDR
from sentry_mm._lists import close_vmas, flush_translations
from sentry_mm._mm import MMState
from sentry_mm._place import set_layout
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_platform import AddressSpace

M = TypeVar("M", bound=MMState)


def retain(mm: M) -> M:
    """Count one more user (CLONE_VM); return mm."""
    mm.users += 1
    return mm


def release(mm: MMState) -> None:
    """Count one user less; the last one gives everything back."""
    mm.users -= 1
    if mm.users:
        return
    mm.space.release()
    mm.batch = None
    empty(mm)
    _drop_exe(mm)
    mm.memory.reclaim()


def empty(mm: MMState) -> None:
    """Empty both lists. Requires: the host no longer maps it, or a batch is open that unmaps it."""
    vmas, pmas = mm.vmas.items, mm.pmas.items
    for owned in (mm.pmas, mm.vmas):
        owned.starts = []
    mm.pmas.items, mm.vmas.items = [], []
    flush_translations(mm)
    for pma in pmas:
        drop(mm, pma)
    if mm.batch is None:
        drop_deferred(mm)
    close_vmas(mm, vmas)


def _drop_exe(mm: MMState) -> None:
    exe, mm.exe = mm.exe, None
    if exe is not None:
        exe.decref()


def attach(mm: MMState, space: "AddressSpace") -> None:
    """Give a loaded address space an empty platform space, and map what the lists have. Raises: LinuxError."""
    mm.space = space
    mm.view = mm.memory.view
    apply(mm, map_ops(mm, 0, TASK_SIZE))


def reset(mm: MMState) -> None:
    """Unmap everything, for exec in place. Begins a batch: with the new program's mappings it is one apply."""
    if mm.batch is None:
        mm.batch = []
    mm.batch.append(Op("unmap", MMAP_MIN_ADDR, TASK_SIZE - MMAP_MIN_ADDR))
    empty(mm)
    _drop_exe(mm)
    mm.clear_accounts()
    set_layout(mm, 0, 0)
