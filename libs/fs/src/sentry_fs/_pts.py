"""devpts: opening `ptmx` makes a pseudo terminal, whose slave appears here under its number.

Terminals are imported when the first one is made: most programs have none.

Source: Linux fs/devpts/inode.c; pts(4).
"""

from typing import TYPE_CHECKING, ClassVar, Final

from sentry_abi.errors import ENOSPC
from sentry_abi.stat import S_IFCHR, makedev
from sentry_fs._generated import GeneratedDirectory
from sentry_host import KeptDescriptors
from sentry_vfs import Dentry, FileDescription, Filesystem, Inode, KernelWide, Path

if TYPE_CHECKING:
    from sentry_fs._slave import SlaveInode
    from sentry_tty import JobControl, Output, PtyMasterFile

DEVPTS_MAGIC: Final = 0x1CD1
MAX_TERMINALS: Final = 4096
_PTMX: Final = makedev(5, 2)
_DT_CHR: Final = 2


class MultiplexerInode(Inode):
    """ptmx."""

    __slots__ = ()
    fs: "Devpts"

    def __init__(self, fs: "Devpts") -> None:
        """Make the node."""
        super().__init__(fs, fs.new_ino(), S_IFCHR | 0o666)
        self.rdev = _PTMX

    def open(self, where: Path, flags: int) -> FileDescription:
        """Make a pseudo terminal; return its master. Raises: ENOSPC."""
        with KeptDescriptors():
            from sentry_tty import PtyMasterFile  # noqa: PLC0415  (most programs have no terminal)

        index = self.fs.free_index()
        master = PtyMasterFile(flags, where, self)
        self.fs.add(index, master)
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

    def __init__(self, vfs: KernelWide, control: "JobControl") -> None:
        """Make it without terminals."""
        super().__init__(vfs, b"devpts", b"rw,mode=620,ptmxmode=666")
        self.control = control
        self.slaves: dict[int, SlaveInode] = {}
        self.inherited: dict[int, Inode] = {}
        """Terminals of the host that the guest has, by their number there: where ttyname(3) looks."""
        self.multiplexer = MultiplexerInode(self)
        self.root = Dentry(b"", None, PtsDirectory(self, 0o755))
        self.root.pinned = True

    def prune(self) -> None:
        """Drop terminals that were hung up."""
        for index in [index for index, inode in self.slaves.items() if inode.tty.hung]:
            del self.slaves[index]

    def free_index(self) -> int:
        """Return the lowest number that no terminal has. Raises: ENOSPC."""
        self.prune()
        for index in range(MAX_TERMINALS):
            if index not in self.slaves and index not in self.inherited:
                return index
        raise ENOSPC

    def add(self, index: int, master: "PtyMasterFile", uid: int = 0, gid: int = 0) -> "SlaveInode":
        """Make the terminal of a master, under a free index."""
        inode = self._make(index, master, master, uid, gid)
        master.tty = inode.tty
        return inode

    def add_host(self, output: "Output", uid: int, gid: int) -> "SlaveInode":
        """Make a terminal that is shown on one of the host. Raises: ENOSPC."""
        return self._make(self.free_index(), output, None, uid, gid)

    def _make(self, index: int, output: "Output", master: "PtyMasterFile | None", uid: int, gid: int) -> "SlaveInode":
        with KeptDescriptors():
            from sentry_fs._slave import SlaveInode  # noqa: PLC0415  (most programs have no terminal)
            from sentry_tty import Tty  # noqa: PLC0415  (as above)

        tty = Tty(index, self.control, output)
        inode = self.slaves[index] = SlaveInode(self, tty, master, uid, gid)
        return inode
