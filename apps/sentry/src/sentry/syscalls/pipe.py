"""pipe(2). Source: Linux fs/pipe.c."""

from typing import TYPE_CHECKING

from sentry.kernel.pending import Result
from sentry.syscalls.binder import Calls, Int, Ptr
from sentry.syscalls.files import put_pair
from sentry_abi.errors import EINVAL
from sentry_abi.fcntl import O_CLOEXEC, O_DIRECT, O_NONBLOCK
from sentry_vfs import make_pipe

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("pipes")


@calls.call
def pipe2(t: "Task", fds: Ptr, flags: Int) -> Result:
    """pipe2(2)."""
    if flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT):
        raise EINVAL
    ends = make_pipe(t.kernel.vfs.pipes, t.creds.fsuid, t.creds.fsgid, flags & (O_NONBLOCK | O_DIRECT))
    ends[0].flags &= ~O_DIRECT
    put_pair(t, ends, fds, flags)
    return 0


@calls.call
def pipe(t: "Task", fds: Ptr) -> Result:
    """pipe(2)."""
    return pipe2(t, fds, 0)
