"""tmpfs: a file system in memory, and the files without a name that memfd_create(2) makes. Source: Linux mm/shmem.c."""

from typing import ClassVar

from sentry_abi.fcntl import O_LARGEFILE, O_RDWR
from sentry_abi.stat import S_IFDIR, S_IFREG, TMPFS_MAGIC
from sentry_abi.structs import STATFS
from sentry_fs._data import Memory
from sentry_fs._memtree import MemoryTree
from sentry_fs._regular import Sealable
from sentry_vfs import Dentry, FileDescription, KernelWide, Mount, Path


class Tmpfs(MemoryTree):
    """A file system in memory."""

    __slots__ = ()

    name: ClassVar[bytes] = b"tmpfs"
    magic: ClassVar[int] = TMPFS_MAGIC

    def __init__(
        self,
        vfs: KernelWide,
        memory: Memory,
        mode: int = 0o777,
        *,
        source: bytes = b"tmpfs",
        uid: int = 0,
        gid: int = 0,
        limit: int | None = None,
    ) -> None:
        """Make an empty file system whose root has a mode and an owner; limit is in bytes, as `MemoryFilesystem`'s."""
        super().__init__(vfs, memory, limit, source)
        self.root = Dentry(b"", None, self.new_directory(S_IFDIR | mode, uid, gid))
        self.root.pinned = True

    def new_regular(self, mode: int, uid: int, gid: int) -> Sealable:
        """Return a new, empty regular file."""
        return Sealable(self, self.new_ino(), mode, uid, gid)

    def statfs(self) -> bytes:
        """Return struct statfs: the limit and what is left of it."""
        quota = self.quota
        if quota is None:
            return super().statfs()
        fsid = self.dev.to_bytes(8, "little")
        blocks, free = quota.limit >> 12, quota.left() >> 12
        return STATFS.pack(self.magic, 4096, blocks, free, free, blocks, free, fsid, 255, 4096, 0x1020)


class MemfdInode(Sealable):
    """A file of memfd_create(2)."""

    __slots__ = ()

    def is_written(self) -> bool:
        """Return False: Linux does not count the descriptor that it was made with, so it can be executed."""
        return False


class Memfds(Tmpfs):
    """Where memfd_create(2) makes files: never mounted (shm_mnt)."""

    __slots__ = ()

    def __init__(self, vfs: KernelWide, memory: Memory) -> None:
        """Make it, without a limit; it never ends."""
        super().__init__(vfs, memory, source=b"memfd", limit=-1)
        self.active += 1

    def new_memfd(self, name: bytes, uid: int, gid: int, *, sealable: bool) -> FileDescription:
        """Return a new file without a name, open for reading and writing."""
        inode = MemfdInode(self, self.new_ino(), S_IFREG | 0o777, uid, gid)
        inode.nlink = 0
        if sealable:
            inode.seals = 0
        dentry = Dentry(b"memfd:" + name, self.root, inode)
        return inode.open(Path(Mount(self, self.root), dentry), O_RDWR | O_LARGEFILE)
