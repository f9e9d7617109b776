"""Extended attributes in memory. As Linux's tmpfs has them since 6.6: user.*, trusted.*, security.*."""

from sentry_abi.errors import EEXIST, ENODATA, ENOSPC
from sentry_abi.fcntl import XATTR_CREATE, XATTR_REPLACE
from sentry_vfs import Dentry, Filesystem, Inode


class XattrInode(Inode):
    """An inode with extended attributes."""

    __slots__ = ("xattrs",)

    def __init__(self, fs: Filesystem, ino: int, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Make an inode without any."""
        super().__init__(fs, ino, mode, uid, gid)
        self.xattrs: dict[bytes, bytes] | None = None

    def getxattr(self, name: bytes) -> bytes:
        """Return an extended attribute. Raises: ENODATA."""
        if self.xattrs is None or name not in self.xattrs:
            raise ENODATA
        return self.xattrs[name]

    def setxattr(self, dentry: Dentry | None, name: bytes, value: bytes, flags: int) -> None:
        """Set an extended attribute. Raises: EEXIST, ENODATA, ENOSPC."""
        known = self.xattrs or {}
        if flags & XATTR_CREATE and name in known:
            raise EEXIST
        if flags & XATTR_REPLACE and name not in known:
            raise ENODATA
        if sum(map(len, known.values())) + len(value) > 1 << 20:
            raise ENOSPC
        self.change(dentry)
        if self.xattrs is None:
            self.xattrs = {}
        self.xattrs[name] = value
        self.ctime = self.fs.now()

    def listxattr(self) -> list[bytes]:
        """Return the names."""
        return sorted(self.xattrs or ())

    def removexattr(self, dentry: Dentry | None, name: bytes) -> None:
        """Remove an extended attribute. Raises: ENODATA."""
        if self.xattrs is None or name not in self.xattrs:
            raise ENODATA
        self.change(dentry)
        del self.xattrs[name]
