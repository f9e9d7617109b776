"""Paths and directory descriptors from registers."""

from typing import TYPE_CHECKING

from sentry_abi.errors import EBADF, ENOTDIR
from sentry_abi.fcntl import AT_FDCWD, PATH_MAX
from sentry_vfs import FileDescription, Path, Start

if TYPE_CHECKING:
    from sentry.kernel.state import Task


def path_at(t: "Task", pointer: int) -> bytes:
    """Return the path text at a guest address. Raises: EFAULT, ENAMETOOLONG."""
    return t.mm.cstring(pointer, PATH_MAX)


def start_at(t: "Task", dirfd: int, path: bytes) -> Start:
    """Return the place that path is relative to, None for the working directory or an absolute path.

    EBADF and ENOTDIR are returned: the walk raises them when it needs the place.
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
