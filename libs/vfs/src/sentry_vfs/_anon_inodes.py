"""The inode of files that have no name: eventfd, epoll and the like. Source: Linux fs/anon_inodes.c."""

from sentry_abi.stat import ANON_INODE_FS_MAGIC
from sentry_vfs._node import Filesystem, Inode, KernelWide


class AnonymousFilesystem(Filesystem):
    """The file system of the one inode that all anonymous files share."""

    __slots__ = ("inode",)
    name = b"anon_inodefs"
    magic = ANON_INODE_FS_MAGIC

    def __init__(self, vfs: KernelWide) -> None:
        """Make the file system and its inode."""
        super().__init__(vfs)
        self.inode = Inode(self, self.new_ino(), 0o600)
