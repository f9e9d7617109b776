"""RLIMIT_FSIZE: how large a file may become. Source: Linux fs/read_write.c generic_write_check_limits, fs/attr.c."""

from typing import TYPE_CHECKING

from sentry.kernel.signal import send_sig
from sentry_abi.errors import EFBIG
from sentry_abi.fcntl import O_APPEND
from sentry_abi.resource import RLIMIT_FSIZE
from sentry_abi.signal import SIGXFSZ
from sentry_abi.stat import S_IFMT, S_IFREG

if TYPE_CHECKING:
    from sentry.kernel.state import Task
    from sentry_vfs import FileDescription


def write_check_limits(t: "Task", file: "FileDescription", pos: int, count: int) -> int:
    """Return how much of a write at pos the limit allows; files that are not regular have none.

    Raises: EFBIG, with SIGXFSZ, if it allows nothing.
    """
    limit = t.limits.soft(RLIMIT_FSIZE)
    if limit >= 1 << 63 or not count or file.inode is None or file.inode.mode & S_IFMT != S_IFREG:
        return count
    if file.flags & O_APPEND:
        pos = file.size()
    if pos >= limit:
        send_sig(t, SIGXFSZ)
        raise EFBIG
    return min(count, limit - pos)


def inode_newsize_ok(t: "Task", length: int) -> None:
    """Check the size that a file is to get. Raises: EFBIG, with SIGXFSZ."""
    if length > t.limits.soft(RLIMIT_FSIZE):
        send_sig(t, SIGXFSZ)
        raise EFBIG
