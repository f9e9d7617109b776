"""Waiting for a file to be ready.

Every file call waits by `wait_io`: the attempt that raised EAGAIN is entered again when the file's queue is notified. A
file without a queue never blocks.
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel.pending import Attempt, Pending
from sentry.kernel.pending import attempt as registered
from sentry_abi.errors import EAGAIN, ERESTARTSYS
from sentry_abi.fcntl import O_NONBLOCK
from sentry_vfs import FileDescription
from sentry_waiter import ERR, HUP, IN, OUT, RDHUP, RDNORM, WRNORM

if TYPE_CHECKING:
    from sentry.kernel.state import Task

FOR_READ: Final = IN | RDNORM | HUP | ERR | RDHUP
FOR_WRITE: Final = OUT | WRNORM | HUP | ERR


def progress(state: object) -> int:
    """Return how much a call has done: `done` of its record, 0 for a call that waits before it does anything."""
    return int(getattr(state, "done", 0))


@registered
def done_or_restart(t: "Task", state: object) -> int:
    """Return what was done when a signal ends the wait. Raises: ERESTARTSYS if nothing was."""
    del t
    done = progress(state)
    if done:
        return done
    raise ERESTARTSYS


def wait_io(
    t: "Task",
    attempt: Attempt,
    state: object,
    file: FileDescription,
    mask: int,
) -> Pending:
    """Return the wait for file to be ready; a signal makes the call return `progress(state)`.

    Raises: EAGAIN if the file was opened nonblocking or never blocks.
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
