"""eventfd(2). Source: Linux fs/eventfd.c."""

from typing import TYPE_CHECKING

from sentry.kernel.pending import Result
from sentry.syscalls.binder import Calls, Int, UInt
from sentry.syscalls.files import put
from sentry_abi.errors import EINVAL
from sentry_abi.fcntl import O_CLOEXEC, O_NONBLOCK
from sentry_abi.poll import EFD_SEMAPHORE
from sentry_vfs import EventFile

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("eventfd")


@calls.call
def eventfd2(t: "Task", count: UInt, flags: Int) -> Result:
    """eventfd(2) with flags."""
    if flags & ~(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE):
        raise EINVAL
    file = EventFile(t.kernel.vfs.anonymous, count, flags & O_NONBLOCK, semaphore=bool(flags & EFD_SEMAPHORE))
    return put(t, file, flags)


@calls.call
def eventfd(t: "Task", count: UInt) -> Result:
    """eventfd(2)."""
    return eventfd2(t, count, 0)
