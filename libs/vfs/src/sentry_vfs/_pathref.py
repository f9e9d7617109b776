"""References of places: what an open file, a working directory or a program holds of a mount and a dentry.

A counted dentry stays in the tree, so that it remains the one name of its file (Linux: d_count). A counted mount keeps
its file system active after it was unmounted (mnt_count, s_active). The result of a walk is not counted: it is good
until the call that walked returns.
"""

from sentry_vfs._node import Mount, Path


def mntget(mount: Mount) -> None:
    """Count one more user of a mount; the first one keeps its file system active."""
    if not mount.count:
        mount.fs.active += 1
    mount.count += 1


def mntput(mount: Mount) -> None:
    """Count one user of a mount less; with the last mount in use the file system is shut down."""
    mount.count -= 1
    if not mount.count:
        mount.fs.deactivate()


def path_get(path: Path) -> None:
    """Count one more user of a place."""
    mount, dentry = path
    dentry.count += 1
    if not mount.count:
        mount.fs.active += 1
    mount.count += 1


def path_put(path: Path) -> None:
    """Count one user of a place less."""
    mount, dentry = path
    dentry.count -= 1
    mount.count -= 1
    if not mount.count:
        mount.fs.deactivate()


class PathRef:
    """A counted place that several owners share, such as the program of an address space and of its forks."""

    __slots__ = ("path", "refs")

    def __init__(self, path: Path) -> None:
        """Count the place, for one owner."""
        path_get(path)
        self.path = path
        self.refs = 1

    def incref(self) -> None:
        """Count one more owner."""
        self.refs += 1

    def decref(self) -> None:
        """Count one owner less; the last one releases the place."""
        self.refs -= 1
        if not self.refs:
            path_put(self.path)
