"""What handlers of file calls share: waiting for readiness, and paths from registers.

`wait_io` is the one way in which a file call waits: the attempt that just raised EAGAIN is entered again when the
file's queue says so. A file without a queue never waits.
"""

from typing import TYPE_CHECKING, Any, Final

from sentry.kernel.pending import Attempt, Pending
from sentry.kernel.pending import attempt as registered
from sentry_abi.errors import EAGAIN, EBADF, ENOENT, ENOTDIR, ERESTARTSYS
from sentry_abi.fcntl import AT_FDCWD, O_NONBLOCK, PATH_MAX
from sentry_vfs import FileDescription, Path
from sentry_waiter import ERR, HUP, IN, OUT, RDHUP, RDNORM, WRNORM

if TYPE_CHECKING:
    from sentry.kernel.task import Task

FOR_READ: Final = IN | RDNORM | HUP | ERR | RDHUP
FOR_WRITE: Final = OUT | WRNORM | HUP | ERR


@registered
def done_or_restart(t: "Task", state: Any) -> int:  # noqa: ANN401  (any state with `done`)
    """Return what was done when a signal ends the wait. Raises: ERESTARTSYS if nothing was."""
    del t
    if state.done:
        return int(state.done)
    raise ERESTARTSYS


def wait_io(attempt: Attempt, state: Any, file: FileDescription, mask: int) -> Pending:  # noqa: ANN401  (a state record)
    """Return the wait for file to be ready; state has `done`, what a signal makes the call return.

    Raises: EAGAIN if the file was opened nonblocking or never waits.
    """
    queue = file.queue
    if file.flags & O_NONBLOCK or queue is None:
        raise EAGAIN
    return Pending(attempt, state, ((queue, mask),), None, ERESTARTSYS, done_or_restart)


def path_at(t: "Task", pointer: int) -> bytes:
    """Return the path text at a guest address. Raises: EFAULT, ENAMETOOLONG."""
    return t.mm.cstring(pointer, PATH_MAX)


def start_at(t: "Task", dirfd: int, path: bytes) -> Path | None:
    """Return the place that path is relative to, None for the working directory or an absolute path.

    Raises: EBADF, ENOTDIR.
    """
    if dirfd == AT_FDCWD or path[:1] == b"/":
        return None
    file = t.files.get(dirfd)
    where = file.where
    if where is None or where.dentry.children is None:
        if not path:
            raise ENOENT
        raise ENOTDIR
    return where


def place_of(file: FileDescription) -> Path:
    """Return where a description was opened. Raises: EBADF if it has no place (a pipe)."""
    where = file.where
    if where is None:
        raise EBADF
    return where
