"""pidfd: a process as a file. Source: Linux kernel/pid.c, kernel/fork.c (pidfd_poll); pidfd_open(2)."""

from typing import TYPE_CHECKING

from sentry_abi.fcntl import O_RDWR
from sentry_vfs import FileDescription
from sentry_waiter import HUP, IN, RDNORM, Queue

if TYPE_CHECKING:
    from sentry.kernel.state import ThreadGroup


class PidFile(FileDescription):
    """A process: readable once it has ended."""

    __slots__ = ("group",)

    def __init__(self, group: "ThreadGroup", flags: int) -> None:
        """Refer to a process, whatever becomes of its id."""
        if group.exit_queue is None:
            group.exit_queue = Queue()
        super().__init__(flags | O_RDWR, None, group.kernel.vfs.anonymous.inode, group.exit_queue)
        self.group = group

    def readiness(self) -> int:
        """Readable when all threads have ended, hung up when it has been reaped."""
        group = self.group
        if not group.is_zombie:
            return 0
        reaped = group.pids.groups.get(group.tgid) is not group
        return IN | RDNORM | (HUP if reaped else 0)

    def path(self) -> bytes:
        """Return the link text."""
        return b"anon_inode:[pidfd]"
