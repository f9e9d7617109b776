"""devpts: opening `ptmx` makes a pseudo terminal, whose program's end appears here by its number.

Source: Linux fs/devpts/inode.c, drivers/tty/pty.c; pts(4).
"""

from typing import ClassVar, Final

from sentry_abi.errors import EIO, ENOSPC
from sentry_abi.stat import S_IFCHR, makedev
from sentry_fs._generated import GeneratedDirectory
from sentry_tty import JobControl, Output, PtyMasterFile, Tty, TtyFile
from sentry_vfs import Dentry, FileDescription, Filesystem, Inode, KernelWide, Path

DEVPTS_MAGIC: Final = 0x1CD1
MAX_TERMINALS: Final = 4096
_PTMX: Final = makedev(5, 2)
_SLAVE_MAJOR: Final = 136
_DT_CHR: Final = 2


class SlaveInode(Inode):
    """The node of one terminal."""

    __slots__ = ("master", "tty")

    def __init__(self, fs: Filesystem, tty: Tty, master: PtyMasterFile | None, uid: int, gid: int) -> None:
        """Make the node; a terminal of the host has no master."""
        super().__init__(fs, fs.new_ino(), S_IFCHR | 0o620, uid, gid)
        self.rdev = makedev(_SLAVE_MAJOR, tty.index)
        self.tty = tty
        self.master = master

    def alive(self) -> bool:
        """Return whether the terminal is still there."""
        return not self.tty.hung

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open the program's end. Raises: EIO after a hang-up or while the master has it locked."""
        if self.tty.hung or (self.master is not None and self.master.locked):
            raise EIO
        return SlaveFile(self, where, flags)


class SlaveFile(TtyFile):
    """An open program's end; the master is told of the first and the last."""

    __slots__ = ("_master",)

    def __init__(self, inode: SlaveInode, where: Path | None, flags: int) -> None:
        """Open it."""
        super().__init__(inode.tty, flags, where, inode)
        self._master = inode.master
        if self._master is not None:
            self._master.slave_opened()

    def release(self) -> None:
        """Tell the master."""
        if self._master is not None:
            self._master.slave_closed()


class MultiplexerInode(Inode):
    """ptmx."""

    __slots__ = ()
    fs: "Devpts"

    def __init__(self, fs: "Devpts") -> None:
        """Make the node."""
        super().__init__(fs, fs.new_ino(), S_IFCHR | 0o666)
        self.rdev = _PTMX

    def alive(self) -> bool:
        """Return True: it is always there."""
        return True

    def open(self, where: Path, flags: int) -> FileDescription:
        """Make a pseudo terminal; return its master. Raises: ENOSPC."""
        master = PtyMasterFile(flags, where, self)
        self.fs.add(master)
        return master


class PtsDirectory(GeneratedDirectory):
    """The directory: ptmx and the terminals there are."""

    __slots__ = ()
    fs: "Devpts"

    def find(self, name: bytes) -> Inode | None:
        """Return the node of a name."""
        if name == b"ptmx":
            return self.fs.multiplexer
        if name.isdigit() and name == b"%d" % int(name[:6]):
            index = int(name)
            return self.fs.slaves.get(index) or self.fs.inherited.get(index)
        return None

    def names(self) -> list[tuple[bytes, int]]:
        """Return all names."""
        self.fs.prune()
        numbers = sorted({*self.fs.slaves, *self.fs.inherited})
        return [(b"ptmx", _DT_CHR), *((b"%d" % index, _DT_CHR) for index in numbers)]


class Devpts(Filesystem):
    """The file system of pseudo terminals."""

    __slots__ = ("control", "inherited", "multiplexer", "root", "slaves")

    name: ClassVar[bytes] = b"devpts"
    magic: ClassVar[int] = DEVPTS_MAGIC

    def __init__(self, vfs: KernelWide, control: JobControl) -> None:
        """Make it without terminals."""
        super().__init__(vfs, b"devpts", b"rw,mode=620,ptmxmode=666")
        self.control = control
        self.slaves: dict[int, SlaveInode] = {}
        self.inherited: dict[int, Inode] = {}
        """Terminals of the host that the guest was given, by the number they have there: where ttyname(3) looks."""
        self.multiplexer = MultiplexerInode(self)
        self.root = Dentry(b"", None, PtsDirectory(self, 0o755))
        self.root.pinned = True

    def prune(self) -> None:
        """Forget terminals that were hung up."""
        for index in [index for index, inode in self.slaves.items() if inode.tty.hung]:
            del self.slaves[index]

    def _index(self) -> int:
        self.prune()
        for index in range(MAX_TERMINALS):
            if index not in self.slaves and index not in self.inherited:
                return index
        raise ENOSPC

    def add(self, master: PtyMasterFile, uid: int = 0, gid: int = 0) -> SlaveInode:
        """Make the terminal of a master. Raises: ENOSPC."""
        tty = Tty(self._index(), self.control, master)
        master.tty = tty
        inode = self.slaves[tty.index] = SlaveInode(self, tty, master, uid, gid)
        return inode

    def add_host(self, output: Output, uid: int, gid: int) -> SlaveInode:
        """Make a terminal that is shown on one of the host. Raises: ENOSPC."""
        tty = Tty(self._index(), self.control, output)
        inode = self.slaves[tty.index] = SlaveInode(self, tty, None, uid, gid)
        return inode
