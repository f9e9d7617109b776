"""The slaves of pseudo terminals: their nodes in devpts, and open ones. Source: Linux drivers/tty/pty.c."""

from typing import Final

from sentry_abi.errors import EIO
from sentry_abi.stat import S_IFCHR, makedev
from sentry_tty import PtyMasterFile, Tty, TtyFile
from sentry_vfs import FileDescription, Filesystem, Inode, Path

_SLAVE_MAJOR: Final = 136


class SlaveInode(Inode):
    """The node of a terminal."""

    __slots__ = ("master", "tty")

    def __init__(self, fs: Filesystem, tty: Tty, master: PtyMasterFile | None, uid: int, gid: int) -> None:
        """Make the node; a terminal of the host has no master."""
        super().__init__(fs, fs.new_ino(), S_IFCHR | 0o620, uid, gid)
        self.rdev = makedev(_SLAVE_MAJOR, tty.index)
        self.tty = tty
        self.master = master

    def alive(self) -> bool:
        """Return whether the terminal was not hung up."""
        return not self.tty.hung

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open the slave. Raises: EIO after a hang-up or while the master has it locked."""
        if self.tty.hung or (self.master is not None and self.master.locked):
            raise EIO
        return SlaveFile(self, where, flags)


class SlaveFile(TtyFile):
    """An open slave; its master counts them."""

    __slots__ = ("_master",)

    def __init__(self, inode: SlaveInode, where: Path | None, flags: int) -> None:
        """Open it."""
        super().__init__(inode.tty, flags, where, inode)
        self._master = inode.master
        if self._master is not None:
            self._master.slave_opened()

    def release(self) -> None:
        """Count one slave less at the master."""
        if self._master is not None:
            self._master.slave_closed()
