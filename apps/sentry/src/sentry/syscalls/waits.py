"""What handlers of file calls share: waiting for readiness, and paths from registers.

`wait_io` is the one way in which a file call waits: the attempt that just raised EAGAIN is entered again when the
file's queue says so. A file without a queue never waits.
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sentry.kernel.pending import Attempt, Pending, Result, attempts
from sentry.kernel.pending import attempt as registered
from sentry_abi.errors import EAGAIN, EBADF, EINTR, ENOTDIR, ERESTARTSYS
from sentry_abi.fcntl import AT_FDCWD, O_NONBLOCK, PATH_MAX
from sentry_vfs import FileDescription, Path, Start
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


def wait_io(
    t: "Task",
    attempt: Attempt,
    state: Any,  # noqa: ANN401  (a state record)
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
            name = f"{attempt.__module__}.{attempt.__qualname__}".encode()
            deadline = t.kernel.clock.monotonic_ns() + limit
            return Pending(
                limited_on, Limited(name, state, deadline), ((queue, mask),), deadline, EINTR, limited_interrupted
            )
    return Pending(attempt, state, ((queue, mask),), None, ERESTARTSYS, done_or_restart)


class Limited(NamedTuple):
    """A wait that a socket's own time limit ends: the attempt's name and state, and when the limit is."""

    attempt: bytes
    state: Any
    deadline: int


@registered
def limited_on(t: "Task", state: Limited) -> Result:
    """Enter the attempt; at the limit say what was done, or EAGAIN."""
    timed_out, t.timed_out = t.timed_out, False
    result = attempts[state.attempt.decode()](t, state.state)
    if not isinstance(result, Pending):
        return result
    inner = result.state.state if isinstance(result.state, Limited) else result.state
    if timed_out:
        if inner.done:
            return int(inner.done)
        raise EAGAIN
    again = Limited(state.attempt, inner, state.deadline)
    return Pending(limited_on, again, result.queues, state.deadline, EINTR, limited_interrupted)


@registered
def limited_interrupted(t: "Task", state: Limited) -> int:
    """Return what was done when a signal ends the wait. Raises: EINTR: a call with a limit is never restarted."""
    del t
    if state.state.done:
        return int(state.state.done)
    raise EINTR


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
