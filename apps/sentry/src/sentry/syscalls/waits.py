"""What handlers of file calls share: waiting for readiness, and paths from registers.

`wait_io` is the one way in which a file call waits: the attempt that just raised EAGAIN is entered again when the
file's queue says so. A file without a queue never waits.
"""

from typing import TYPE_CHECKING, Final, Protocol

from sentry.kernel.pending import Attempt, Pending
from sentry.kernel.pending import attempt as registered
from sentry_abi.errors import EAGAIN, EBADF, ENOTDIR, ERESTARTSYS
from sentry_abi.fcntl import AT_FDCWD, O_NONBLOCK, PATH_MAX
from sentry_vfs import FileDescription, Path, Start
from sentry_waiter import ERR, HUP, IN, OUT, RDHUP, RDNORM, WRNORM

if TYPE_CHECKING:
    from sentry.kernel.state import Task

FOR_READ: Final = IN | RDNORM | HUP | ERR | RDHUP
FOR_WRITE: Final = OUT | WRNORM | HUP | ERR


class Progress(Protocol):
    """The record of a call that counts what it has done."""

    @property
    def done(self) -> int:
        """Bytes, messages or whatever the call returns."""
        ...


@registered
def done_or_restart(t: "Task", state: Progress) -> int:
    """Return what was done when a signal ends the wait. Raises: ERESTARTSYS if nothing was."""
    del t
    if state.done:
        return state.done
    raise ERESTARTSYS


def wait_io(
    t: "Task",
    attempt: Attempt,
    state: Progress,
    file: FileDescription,
    mask: int,
) -> Pending:
    """Return the wait for file to be ready; state has `done`, what a signal makes the call return.

    Raises: EAGAIN if the file was opened nonblocking or never waits.
    """
    queue = file.queue
    if file.flags & O_NONBLOCK or queue is None:
        raise EAGAIN
    if file.timed:
        limit = file.wait_limit(mask)
        if limit:
            deadline = t.kernel.clock.monotonic_ns() + limit
            return Pending(attempt, state, ((queue, mask),), deadline, ERESTARTSYS, done_or_restart, limited=True)
    return Pending(attempt, state, ((queue, mask),), None, ERESTARTSYS, done_or_restart)


def path_at(t: "Task", pointer: int) -> bytes:
    """Return the path text at a guest address. Raises: EFAULT, ENAMETOOLONG."""
    return t.mm.cstring(pointer, PATH_MAX)


def start_at(t: "Task", dirfd: int, path: bytes) -> Start:
    """Return the place that path is relative to, None for the working directory or an absolute path.

    EBADF and ENOTDIR are returned, for the walk to raise when it gets there.
    """
    if dirfd == AT_FDCWD or path[:1] == b"/":
        return None
    try:
        where = t.files.get_any(dirfd).where
    except EBADF as error:
        return error
    if where is None or where.dentry.children is None:
        return ENOTDIR()
    return where


def place_of(file: FileDescription) -> Path:
    """Return where a description was opened. Raises: EBADF if it has no place (a pipe)."""
    where = file.where
    if where is None:
        raise EBADF
    return where
