"""What the files of a task in /proc share: the task, and the permission to read."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sentry.kernel.state import ZOMBIE
from sentry_abi.capability import CAP_SYS_PTRACE
from sentry_abi.errors import EACCES, ENOENT, ESRCH
from sentry_fs import Generated
from sentry_vfs import Filesystem

if TYPE_CHECKING:
    from sentry.kernel.state import Task
    from sentry_mm import MemoryManager


Content = Callable[["Task"], bytes] | bytes
"""The content of a file: a function of its task, or bytes."""


def gone(task: "Task") -> bool:
    """Return whether a task has ended."""
    return task.state >= ZOMBIE


def memory_of(task: "Task") -> "MemoryManager | None":
    """Return a living task's address space."""
    return None if gone(task) else task.mm


class TaskFile(Generated):
    """A file about a task, with content that a function makes or that is always the same."""

    __slots__ = ("_make", "task")

    def __init__(self, fs: Filesystem, task: "Task", make: Content, mode: int) -> None:
        """Make the file; it belongs to the task's user."""
        super().__init__(fs, mode, task.creds.euid, task.creds.egid)
        self.task = task
        self._make = make

    def alive(self) -> bool:
        """Return whether the task is still known."""
        return self.task.state <= ZOMBIE

    def generate(self) -> bytes:
        """Return the content. Raises: ESRCH when the task is gone."""
        if not self.alive():
            raise ESRCH
        make = self._make
        return make if isinstance(make, bytes) else make(self.task)


def permit(task: "Task") -> None:
    """Check that the caller may read a task. Raises: EACCES, ENOENT for a zombie."""
    if gone(task):
        raise ENOENT
    current = task.kernel.current
    if current is None or current.group is task.group:
        return
    theirs, ours = task.creds, current.creds
    same = (
        ours.fsuid == theirs.euid == theirs.suid == theirs.uid
        and ours.fsgid == theirs.egid == theirs.sgid == theirs.gid
    )
    if not same and not ours.capable(CAP_SYS_PTRACE):
        raise EACCES
