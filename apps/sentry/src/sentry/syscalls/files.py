"""Giving new descriptions a number."""

from typing import TYPE_CHECKING

from sentry_abi.errors import (
    EFAULT,
    EMFILE,
)
from sentry_abi.fcntl import (
    O_CLOEXEC,
)
from sentry_abi.resource import RLIMIT_NOFILE
from sentry_vfs import (
    FileDescription,
)

if TYPE_CHECKING:
    from sentry.kernel.state import Task


def put(t: "Task", file: FileDescription, flags: int, minimum: int = 0) -> int:
    """Give a new description the lowest free number; it is released when there is none. Raises: EMFILE."""
    try:
        return t.files.install(file, minimum, bool(flags & O_CLOEXEC), t.limits.soft(RLIMIT_NOFILE))
    except EMFILE:
        if not file.refs:
            file.discard()
        raise


def put_pair(t: "Task", pair: tuple[FileDescription, FileDescription], fds: int, flags: int) -> None:
    """Give two new descriptions numbers and write those to fds, or give them none. Raises: EMFILE, EFAULT."""
    first = put(t, pair[0], flags)
    try:
        second = put(t, pair[1], flags)
    except EMFILE:
        t.files.close(first)
        raise
    try:
        t.mm.copy_out(fds, first.to_bytes(4, "little") + second.to_bytes(4, "little"))
    except EFAULT:
        t.files.close(first)
        t.files.close(second)
        raise
