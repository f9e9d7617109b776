"""fsnotify: the points at which operations report what they did to files.

`Filesystem.watched` is empty while nothing is watched, and callers test it first. Source: Linux fs/notify/fsnotify.c,
include/linux/fsnotify.h.
"""

from typing import Protocol

from sentry_abi.poll import (
    IN_ACCESS,
    IN_ATTRIB,
    IN_CLOSE_NOWRITE,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_ISDIR,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
)
from sentry_vfs._node import Dentry, Filesystem, Inode, Path


class NotifyingFile(Protocol):
    """An open file, as far as its events need it."""

    where: Path | None
    inode: Inode | None

    @property
    def writable(self) -> bool:
        """Return whether it was opened for writing."""
        ...


def fsnotify_dentry(dentry: Dentry | None, inode: Inode, mask: int) -> None:
    """Report an event of a file: to its directory's watches, with its name, then to its own."""
    if inode.is_dir:
        mask |= IN_ISDIR
    if dentry is not None and dentry.parent is not dentry:
        parent = dentry.parent.inode
        if parent is not None and parent.watches is not None:
            parent.watches.handle_event(mask, 0, dentry.name, unlinked=dentry.dead)
    if inode.watches is not None:
        inode.watches.handle_event(mask, 0, b"", unlinked=dentry is not None and dentry.dead)


def fsnotify_file(file: NotifyingFile, mask: int) -> None:
    """Report an event of an open file."""
    if file.inode is not None:
        fsnotify_dentry(file.where.dentry if file.where is not None else None, file.inode, mask)


def fsnotify_access(file: NotifyingFile) -> None:
    """Report a read."""
    fsnotify_file(file, IN_ACCESS)


def fsnotify_modify(file: NotifyingFile) -> None:
    """Report a write."""
    fsnotify_file(file, IN_MODIFY)


def fsnotify_close(file: NotifyingFile) -> None:
    """Report the last close."""
    fsnotify_file(file, IN_CLOSE_WRITE if file.writable else IN_CLOSE_NOWRITE)


def fsnotify_name(directory: Dentry, mask: int, name: bytes, cookie: int = 0) -> None:
    """Report an event of a name to its directory's watches."""
    inode = directory.inode
    if inode is not None and inode.watches is not None:
        inode.watches.handle_event(mask, cookie, name, unlinked=False)


def fsnotify_create(dentry: Dentry, mask: int = 0) -> None:
    """Report a new name; mask is IN_ISDIR for a directory's."""
    directory = dentry.parent.inode
    if directory is not None and directory.fs.watched:
        fsnotify_name(dentry.parent, IN_CREATE | mask, dentry.name)


def fsnotify_link_count(inode: Inode) -> None:
    """Report that a file has gained or lost a link."""
    if inode.watches is not None:
        inode.watches.handle_event(IN_ATTRIB | (IN_ISDIR if inode.is_dir else 0), 0, b"", unlinked=False)


def fsnotify_inoderemove(inode: Inode) -> None:
    """Report that a file no longer exists; its watches are removed."""
    if inode.watches is not None:
        inode.watches.inode_delete()


def fsnotify_unlink(dentry: Dentry, inode: Inode) -> None:
    """Report that a name of anything but a directory was removed."""
    fsnotify_link_count(inode)
    if inode.nlink <= 0 and not inode.in_use():
        fsnotify_inoderemove(inode)
    fsnotify_name(dentry.parent, IN_DELETE, dentry.name)


def fsnotify_rmdir(dentry: Dentry, inode: Inode) -> None:
    """Report that a directory was removed."""
    fsnotify_inoderemove(inode)
    fsnotify_name(dentry.parent, IN_DELETE | IN_ISDIR, dentry.name)


def fsnotify_move(source: Dentry, old: bytes, target: Dentry, new: bytes, moved: Inode, victim: Inode | None) -> None:
    """Report a rename: one cookie ties the two names together; victim is the file that lost its name to it."""
    cookie = moved.fs.vfs.fsnotify_get_cookie()
    kind = IN_ISDIR if moved.is_dir else 0
    fsnotify_name(source, IN_MOVED_FROM | kind, old, cookie)
    fsnotify_name(target, IN_MOVED_TO | kind, new, cookie)
    if victim is not None:
        fsnotify_link_count(victim)
    if moved.watches is not None:
        moved.watches.handle_event(IN_MOVE_SELF, 0, b"", unlinked=False)
    if victim is not None and victim.nlink <= 0 and not victim.in_use():
        fsnotify_inoderemove(victim)


def fsnotify_unmount(fs: Filesystem) -> None:
    """Report that a file system is no longer mounted; all its watches are removed."""
    for watches in tuple(fs.watched):
        watches.unmount()
