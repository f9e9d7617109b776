"""Robust lists: what a thread's end does to the locks that it still holds.

The list is in guest memory and can be anything: at most 2,048 entries are read, and the first bad address ends
the walk silently. Sources: Linux kernel/futex/core.c exit_robust_list (6.1),
Documentation/locking/robust-futex-ABI.rst.
"""

from typing import Final, Protocol

from sentry_abi.errors import LinuxError
from sentry_futex._futex import Manager, Target

LIMIT: Final = 2048
HEAD_SIZE: Final = 24
"""sizeof(struct robust_list_head): next, futex_offset, list_op_pending."""
_MASK: Final = (1 << 64) - 1


class ListTarget(Target, Protocol):
    """A Target whose list pointers can be read."""

    def load_u64(self, addr: int, /) -> int:
        """Return eight bytes as an integer. Raises: EFAULT."""
        ...


def walk_robust_list(manager: Manager, target: ListTarget, head: int, tid: int) -> None:
    """Mark the locks that tid holds, on the list at head, as a dead thread's; wake one waiter of each. Never raises.

    The pending entry is done last and only once. Bit 0 of a pointer says that the entry is a PI lock.
    """
    try:
        entry = target.load_u64(head)
        offset = target.load_u64(head + 8)
        pending = target.load_u64(head + 16)
        for _ in range(LIMIT):
            if entry & ~1 == head:
                break
            following = target.load_u64(entry & ~1)
            if entry & ~1 != pending & ~1:
                _release(manager, target, entry, offset, tid, pending=False)
            entry = following
    except LinuxError:
        return
    if pending & ~1:
        try:
            _release(manager, target, pending, offset, tid, pending=True)
        except LinuxError:
            return


def _release(manager: Manager, target: Target, entry: int, offset: int, tid: int, *, pending: bool) -> None:
    manager.release_robust(target, ((entry & ~1) + offset) & _MASK, tid, pi=bool(entry & 1), pending=pending)
