"""The default root: the host's tree, read-only, under an overlay in memory; own /dev, /tmp and /sys.

The working directory is always visible: when one of our own mounts hides it (it is below the host's /tmp), the
overlay's directory is bound to the same path.
"""

from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from sentry_abi.errors import ENOENT, ENOTDIR, ENXIO
from sentry_abi.stat import S_IFCHR, S_IFDIR, SYSFS_MAGIC
from sentry_fs import _device
from sentry_fs._data import Memory
from sentry_fs._generated import build
from sentry_fs._overlay import Overlay
from sentry_fs._pts import Devpts
from sentry_fs._tmpfs import Memfds, Tmpfs
from sentry_vfs import (
    Dentry,
    FileDescription,
    Filesystem,
    Inode,
    Mount,
    MountNamespace,
    Path,
    VirtualFilesystem,
    follow_mount,
)

if TYPE_CHECKING:
    from sentry_fs._hostfile import HostFile

_NOSUID_NODEV: Final = 2 | 4
_NODES: Final = (
    (b"null", _device.NULL),
    (b"zero", _device.ZERO),
    (b"full", _device.FULL),
    (b"random", _device.RANDOM),
    (b"urandom", _device.URANDOM),
    (b"tty", _device.TTY),
)
_LINKS: Final = (
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
    (b"core", b"/proc/kcore"),
    (b"ptmx", b"pts/ptmx"),
)


class Terminal(Protocol):
    """What /dev/tty opens."""

    def again(self, flags: int, where: Path) -> FileDescription:
        """Open the caller's terminal. Raises: ENXIO if it has none."""


class Devfs(Tmpfs):
    """/dev: a tmpfs with the usual nodes in it. `terminal` is what /dev/tty opens, if there is one."""

    __slots__ = ("terminal",)

    name: ClassVar[bytes] = b"devtmpfs"

    def __init__(self, vfs: VirtualFilesystem, memory: Memory) -> None:
        """Make all nodes."""
        super().__init__(vfs, memory, 0o755, source=b"devtmpfs")
        self.terminal: Terminal | None = None
        root = self.root
        directory = root.positive()
        for name, number in _NODES:
            directory.mknod(Dentry(name, root, None), S_IFCHR | 0o666, number, 0, 0)
        for name, target in _LINKS:
            directory.symlink(Dentry(name, root, None), target, 0, 0)
        for name, mode in ((b"shm", 0o1777), (b"pts", 0o755), (b"mqueue", 0o1777)):
            directory.mkdir(Dentry(name, root, None), S_IFDIR | mode, 0, 0)

    def open_tty(self, where: Path, flags: int) -> FileDescription:
        """Open the caller's terminal. Raises: ENXIO where there is none."""
        if self.terminal is None:
            raise ENXIO
        return self.terminal.again(flags, where)

    def show(self, path: bytes, inode: Inode) -> None:
        """Enter a node under a path below /dev; nothing happens where its directory does not exist."""
        directory, _, name = path.rpartition(b"/")
        parent = directory_in(self.root, directory)
        if parent is not None:
            Dentry(name, parent, None).instantiate(inode)


class Sysfs(Filesystem):
    """/sys: the few files that programs look for."""

    __slots__ = ("root",)

    name: ClassVar[bytes] = b"sysfs"
    magic: ClassVar[int] = SYSFS_MAGIC

    def __init__(self, vfs: VirtualFilesystem) -> None:
        """Make the tree."""
        super().__init__(vfs, b"sysfs")
        count = vfs.host.online_cpus
        cpus = b"0-%d\n" % (count - 1) if count > 1 else b"0\n"
        per_cpu: dict[str, object] = {f"cpu{index}": {"online": b"1\n", "topology": {}} for index in range(count)}
        cpu = {**per_cpu, "online": cpus, "possible": cpus, "present": cpus, "offline": b"\n", "kernel_max": b"8191\n"}
        tree: dict[str, object] = {
            "block": {},
            "bus": {},
            "class": {"net": {}, "block": {}, "tty": {}},
            "dev": {"block": {}, "char": {}},
            "devices": {"system": {"cpu": cpu, "node": {"online": b"0\n", "possible": b"0\n"}}},
            "firmware": {},
            "fs": {"cgroup": {}},
            "kernel": {"mm": {"transparent_hugepage": {"enabled": b"always madvise [never]\n"}}, "ostype": b"Linux\n"},
            "module": {},
            "power": {},
        }
        self.root = Dentry(b"", None, build(self, tree))
        self.root.pinned = True


def build_default_root(
    vfs: VirtualFilesystem, memory: Memory, *, cwd: bytes, host_root: bytes = b"/", devfs: Devfs | None = None
) -> MountNamespace:
    """Return the mounts, with devfs (None: a new one) on /dev; the caller mounts /proc with `mount_at`.

    Raises: LinuxError if host_root or cwd cannot be reached.
    """
    overlay = Overlay(vfs, memory, host_root)
    tree = MountNamespace(overlay, overlay.root)
    vfs.memfds = Memfds(vfs, memory)
    sysfs = Sysfs(vfs)
    mount_at(tree, b"/sys", (sysfs, sysfs.root), 1 | 2 | 4 | 8)
    devfs = devfs or Devfs(vfs, memory)
    mount_at(tree, b"/dev", (devfs, devfs.root), 2)
    shm = Tmpfs(vfs, memory, 0o1777, source=b"shm")
    mount_at(tree, b"/dev/shm", (shm, shm.root), _NOSUID_NODEV)
    if directory_in(overlay.root, b"/tmp") is None or cwd != b"/tmp":
        tmp = Tmpfs(vfs, memory, 0o1777, source=b"tmpfs")
        mount_at(tree, b"/tmp", (tmp, tmp.root), _NOSUID_NODEV)
    show(tree, overlay, cwd)
    return tree


def show_terminal(devfs: Devfs, devpts: Devpts, terminal: "HostFile") -> None:
    """Show an inherited terminal under the name it has on the host, where ttyname(3) looks for it."""
    inode = terminal.inode
    if inode is None:
        return
    path = terminal.path()
    number = path.removeprefix(b"/dev/pts/")
    if number.isdigit():
        devpts.inherited[int(number)] = inode
    elif path.startswith(b"/dev/"):
        devfs.show(path.removeprefix(b"/dev/"), inode)


def directory_in(start: Dentry, path: bytes) -> Dentry | None:
    """Return the directory at a path without links below start, mounts not counted; None if there is none."""
    here = start
    for name in path.split(b"/"):
        if not name:
            continue
        if here.children is None:
            return None
        here = here.children.get(name) or here.positive().lookup(here, name)
        if here.inode is None:
            return None
    return here if here.children is not None else None


def mount_at(tree: MountNamespace, path: bytes, what: tuple[Filesystem, Dentry], flags: int = 0) -> Mount:
    """Mount a file system at an absolute path without links, making the directories that are missing."""
    mount, dentry = tree.root
    for name in path.split(b"/"):
        if not name:
            continue
        inode = dentry.positive()
        children = dentry.children
        if children is None:
            raise ENOTDIR
        child = children.get(name)
        if child is None:
            child = inode.lookup(dentry, name)
        if child.inode is not None and child.children is None:
            inode.unlink(child)
            child = Dentry(name, dentry, None)
        if child.inode is None:
            inode.mkdir(child, S_IFDIR | 0o755, 0, 0)
        mount, dentry = follow_mount(mount, child)
    return tree.attach(what[0], what[1], Path(mount, dentry), flags)


def show(tree: MountNamespace, overlay: Overlay, cwd: bytes) -> None:
    """Bind the overlay's directory of that path over the mount that hides it.

    Raises: ENOENT.
    """
    mount, dentry = tree.root
    for name in cwd.split(b"/"):
        if not name:
            continue
        if dentry.children is None:
            break
        child = dentry.children.get(name)
        if child is None:
            child = dentry.positive().lookup(dentry, name)
        mount, dentry = follow_mount(mount, child)
        if mount is not tree.root_mount:
            break
    if mount is tree.root_mount:
        return
    below = directory_in(overlay.root, cwd)
    if below is None:
        raise ENOENT
    made = mount_at(tree, cwd, (overlay, below))
    made.source = overlay.source
