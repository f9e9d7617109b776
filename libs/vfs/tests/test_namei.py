"""Walks, the path cache in virtual time, names, mounts and numbers, over a small file system in memory."""

from collections.abc import Callable

import pytest

from sentry_abi.errors import (
    EACCES,
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EROFS,
    ETXTBSY,
    EXDEV,
    LinuxError,
)
from sentry_abi.fcntl import (
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_NOFOLLOW,
    O_PATH,
    O_RDWR,
    O_WRONLY,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
)
from sentry_abi.stat import S_IFBLK, S_IFDIR, S_IFREG, S_IFSOCK
from sentry_host.testing import FakeHost
from sentry_vfs import (
    BENEATH,
    FOLLOW,
    IN_ROOT,
    NO_LINKS,
    NO_MOUNTS,
    WRITE,
    Dentry,
    FileDescription,
    Filesystem,
    FSContext,
    Inode,
    MountNamespace,
    Path,
    VirtualFilesystem,
    chmod_common,
    chown_common,
    d_path,
    do_filp_open,
    do_linkat,
    do_mkdirat,
    do_mknodat,
    do_renameat2,
    do_rmdir,
    do_symlinkat,
    do_unlinkat,
    filename_lookup,
    path_lookup,
    path_permission,
    vfs_truncate,
)
from sentry_vfs._pathcache import MAX_AGE_NS


class Ramfs(Filesystem):
    """A file system whose dentries are its content."""

    __slots__ = ("root",)

    def __init__(self, vfs: VirtualFilesystem) -> None:
        """Make an empty root."""
        super().__init__(vfs)
        self.root = Dentry(b"", None, Folder(self, self.new_ino(), S_IFDIR | 0o755))
        self.root.pinned = True

    def rename(self, old: Dentry, new: Dentry, *, exchange: bool = False) -> None:
        """Move the dentries."""
        source, name = (old.parent, old.name), new.name
        target = new.parent
        old.unhash()
        if new.inode is not None:
            new.unhash()
        if exchange:
            new.parent, new.name = source
            new.hash()
        old.parent, old.name = target, name
        old.hash()


class Plain(Inode):
    """A file without content."""

    __slots__ = ()

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open it."""
        return FileDescription(flags, where, self)

    def truncate(self, dentry: Dentry | None, length: int) -> None:
        """Do nothing."""


class SymbolicLink(Inode):
    """A symbolic link."""

    __slots__ = ("target",)

    is_symlink = True

    def __init__(self, fs: Filesystem, ino: int, target: bytes) -> None:
        """Make a link."""
        super().__init__(fs, ino, 0o120777)
        self.target = target

    def readlink(self) -> bytes:
        """Return the target."""
        return self.target


class Folder(Inode):
    """A directory."""

    __slots__ = ()

    is_dir = True
    fs: Ramfs

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open it."""
        return FileDescription(flags, where, self)

    def entries(self, dentry: Dentry) -> list[tuple[bytes, int, int]]:
        """Return the children."""
        return [(name, 1, 8) for name in dentry.children or ()]

    def create(self, dentry: Dentry, mode: int, uid: int, gid: int) -> Inode:
        """Make a file."""
        made = Plain(self.fs, self.fs.new_ino(), mode, uid, gid)
        dentry.instantiate(made)
        return made

    def mkdir(self, dentry: Dentry, mode: int, uid: int, gid: int) -> Inode:
        """Make a directory."""
        made = Folder(self.fs, self.fs.new_ino(), mode, uid, gid)
        dentry.instantiate(made)
        return made

    def mknod(self, dentry: Dentry, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        """Make a special file."""
        return self.create(dentry, mode, uid, gid)

    def symlink(self, dentry: Dentry, target: bytes, uid: int, gid: int) -> Inode:
        """Make a link."""
        made = SymbolicLink(self.fs, self.fs.new_ino(), target)
        dentry.instantiate(made)
        return made

    def link(self, dentry: Dentry, old: Dentry) -> None:
        """Add a name."""
        inode = old.positive()
        inode.nlink += 1
        dentry.instantiate(inode)

    def unlink(self, dentry: Dentry) -> None:
        """Remove a name."""
        dentry.positive().nlink -= 1
        dentry.unhash()

    def rmdir(self, dentry: Dentry) -> None:
        """Remove a directory."""
        dentry.unhash()


class User:
    """Credentials: user 0 has all capabilities."""

    def __init__(self, uid: int = 0) -> None:
        """Make a user."""
        self.fsuid = self.fsgid = uid
        self.groups: tuple[int, ...] = ()

    def capable(self, capability: int, /) -> bool:
        """Return whether it is user 0."""
        return self.fsuid == 0


class Box:
    """A namespace with a few files on a host of its own."""

    def __init__(self) -> None:
        """Make /d/e/f, /link to d, /loop, /abs to /d/e, /up to .., /end to d/."""
        self.host = FakeHost()
        self.host.step_ns = 0
        self.vfs = VirtualFilesystem(self.host.record, self)
        self.fs = Ramfs(self.vfs)
        self.mnt = MountNamespace(self.fs, self.fs.root)
        self.ctx = FSContext(self.mnt.root, umask=0o22)
        self.root = User()
        self.running: Inode | None = None
        for path in (b"d", b"d/e"):
            do_mkdirat(None, path, 0o777, self.ctx, self.root)
        self.make(b"d/e/f")
        for path, target in ((b"link", b"d"), (b"loop", b"loop"), (b"abs", b"/d/e"), (b"up", b".."), (b"end", b"new/")):
            do_symlinkat(None, path, target, self.ctx, self.root)

    def is_executed(self, inode: Inode) -> bool:
        """Return whether it is the one that runs."""
        return inode is self.running

    def schedule_trim(self) -> None:
        """Do nothing: a Ramfs has nothing to trim."""

    def make(self, path: bytes, mode: int = 0o644) -> None:
        """Make a file."""
        do_filp_open(None, path, O_CREAT | O_RDWR, mode, self.ctx, self.root)

    def find(self, path: bytes, flags: int = FOLLOW, user: User | None = None) -> Path:
        """Return the place of a file."""
        return filename_lookup(None, path, self.ctx, user or self.root, flags)

    def error(self, call: Callable[..., object], *args: object) -> type[LinuxError]:
        """Return the class of the error of a call as user 0."""
        with pytest.raises(LinuxError) as caught:
            call(*args, self.ctx, self.root)
        return type(caught.value)


@pytest.fixture
def box() -> Box:
    """Return a fresh box."""
    return Box()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/", b"/"),
        (b"d/e/f", b"/d/e/f"),
        (b"//d/./e//", b"/d/e"),
        (b"d/e/../../../d", b"/d"),
        (b"link/e/f", b"/d/e/f"),
        (b"d/../link", b"/d"),
        (b"abs/f", b"/d/e/f"),
        (b"up/up/d", b"/d"),
    ],
)
def test_paths(box: Box, path: bytes, found: bytes) -> None:
    """Names, dots, slashes and links lead to one place."""
    assert d_path(box.find(path)) == found
    assert d_path(box.find(path)) == found, "from the cache, too"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (b"", ENOENT),
        (b"none", ENOENT),
        (b"none/x", ENOENT),
        (b"d/e/f/", ENOTDIR),
        (b"d/e/f/x", ENOTDIR),
        (b"d/e/f/.", ENOTDIR),
        (b"loop", ELOOP),
        (b"n" * 256, ENAMETOOLONG),
        (b"d/" * 2048, ENAMETOOLONG),
        (b"end", ENOENT),
    ],
)
def test_errors_of_walks(box: Box, path: bytes, error: type[LinuxError]) -> None:
    """The first thing that is wrong."""
    assert box.error(filename_lookup, None, path) is error


def test_start_and_resolve(box: Box) -> None:
    """Relative starts, the errors of bad ones when the walk needs them, and openat2's restrictions."""
    ctx, user = box.ctx, box.root
    start = box.find(b"d")
    assert d_path(filename_lookup(start, b"e", ctx, user)) == b"/d/e"
    assert d_path(filename_lookup(ENOTDIR(), b"/d", ctx, user)) == b"/d"
    with pytest.raises(ENOTDIR):
        filename_lookup(ENOTDIR(), b"e", ctx, user)
    with pytest.raises(ENOENT):
        filename_lookup(ENOTDIR(), b"", ctx, user)
    for path, flags, error in (
        (b"..", BENEATH, EXDEV),
        (b"/d", BENEATH, EXDEV),
        (b"link", NO_LINKS | FOLLOW, ELOOP),
    ):
        with pytest.raises(error):
            filename_lookup(start if path == b".." else None, path, ctx, user, flags)
    assert d_path(filename_lookup(start, b"../../e", ctx, user, IN_ROOT)) == b"/d/e"
    assert d_path(filename_lookup(start, b"/e", ctx, user, IN_ROOT)) == b"/d/e"


def test_search_permission(box: Box) -> None:
    """A directory that may not be searched ends the walk, for each identity by itself."""
    user = User(1000)
    assert box.find(b"d/e/f", user=user)
    chmod_common(box.find(b"d"), 0o700, box.root)
    with pytest.raises(EACCES):
        box.find(b"d/e/f", user=user)
    assert box.find(b"d/e/f")


def test_the_cache_expires(box: Box) -> None:
    """A path is walked once in MAX_AGE_NS, and again after a rename, for another user, or when its file is gone."""
    walks: list[bytes] = []

    def steps(path: bytes, user: User | None = None) -> int:
        before = len(walks)
        box.find(path, user=user)
        return len(walks) - before

    class Counted(dict[bytes, Dentry]):
        """Children that note each access."""

        def get(self, name: bytes, default: Dentry | None = None) -> Dentry | None:  # type: ignore[override]  # as used
            """Note it."""
            walks.append(name)
            return super().get(name, default)

    box.fs.root.children = Counted(box.fs.root.children or {})
    assert [steps(b"d/e/f"), steps(b"d/e/f")] == [1, 0]
    box.host.now_ns += MAX_AGE_NS
    assert steps(b"d/e/f") == 0
    box.host.now_ns += 1
    assert [steps(b"d/e/f"), steps(b"d/e/f")] == [1, 0]
    assert [steps(b"d/e/f", other := User()), steps(b"d/e/f", other)] == [1, 0]
    box.make(b"d/g")
    assert steps(b"d/e/f") == 1, "the identity changed back"
    do_renameat2(None, b"d/g", None, b"d/h", 0, box.ctx, box.root)
    assert steps(b"d/e/f") == 1
    do_unlinkat(None, b"d/e/f", box.ctx, box.root)
    with pytest.raises(ENOENT):
        box.find(b"d/e/f")
    assert box.find(b"d/e")
    box.ctx.cwd = box.find(b"d")
    assert d_path(box.find(b"e")) == b"/d/e", "another directory, another cache"


def test_contexts_share_their_cache_until_they_differ(box: Box) -> None:
    """A fork finds what its parent found."""
    child = box.ctx.fork()
    assert child.paths is box.ctx.paths
    child.cwd = box.find(b"d")
    assert child.paths is not box.ctx.paths
    assert (child.umask, d_path(child.cwd), d_path(box.ctx.cwd)) == (0o22, b"/d", b"/")


def test_walks_do_not_share_state(box: Box) -> None:
    """How one walk ended says nothing about another: a name after a slash is EISDIR for its own open only."""
    create = O_CREAT | O_WRONLY
    assert box.error(do_filp_open, None, b"end", create, 0o644) is EISDIR
    assert box.error(do_filp_open, None, b"none/x", create, 0o644) is ENOENT
    assert box.error(do_filp_open, None, b"d/e/f/", 0, 0) is ENOTDIR
    assert box.error(do_filp_open, None, b"loop", create, 0o644) is ELOOP


@pytest.mark.parametrize(
    ("path", "flags", "error"),
    [
        (b"none", 0, ENOENT),
        (b"d", O_RDWR, EISDIR),
        (b"d", O_CREAT, EISDIR),
        (b"new/", O_CREAT, EISDIR),
        (b"d/e/f", O_CREAT | O_EXCL, EEXIST),
        (b"link", O_CREAT | O_EXCL, EEXIST),
        (b"..", O_CREAT | O_EXCL, EEXIST),
        (b"d/e/f", O_DIRECTORY, ENOTDIR),
        (b"link", O_NOFOLLOW, ELOOP),
        (b"sock", 0, None),
        (b"d/e/f", O_WRONLY, ETXTBSY),
    ],
)
def test_errors_of_open(box: Box, path: bytes, flags: int, error: type[LinuxError] | None) -> None:
    """do_open's checks in their order."""
    do_mknodat(None, b"sock", S_IFSOCK | 0o644, 0, box.ctx, box.root)
    running = box.find(b"d/e/f")
    chmod_common(running, 0o755, box.root)
    box.running = running.dentry.positive()
    found = box.error(do_filp_open, None, path, flags, 0o644)
    assert found is error or (error is None and found.errno == 6), found


def test_open(box: Box) -> None:
    """Creation takes the umask; O_PATH opens a place; set-id bits are dropped by writers without CAP_FSETID."""
    file = do_filp_open(None, b"new", O_CREAT | O_RDWR, 0o666, box.ctx, box.root)
    assert file.inode is not None
    assert (file.inode.mode, file.flags, file.path()) == (S_IFREG | 0o644, O_RDWR, b"/new")
    assert do_filp_open(None, b"link", O_PATH | O_NOFOLLOW, 0, box.ctx, box.root).is_place
    chown_common(box.find(b"new"), 1000, -1, box.root)
    chmod_common(box.find(b"new"), 0o4755, box.root)
    assert do_filp_open(None, b"new", O_RDWR, 0, box.ctx, User(1000)).drops_ids
    assert not do_filp_open(None, b"new", O_RDWR, 0, box.ctx, box.root).drops_ids
    vfs_truncate(box.find(b"new"), 0, User(1000))
    assert file.inode.mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    ("call", "args", "error"),
    [
        (do_mkdirat, (None, b"d", 0), EEXIST),
        (do_mkdirat, (None, b"none/d", 0), ENOENT),
        (do_mknodat, (None, b"d", S_IFREG, 0), EEXIST),
        (do_mknodat, (None, b"x/", S_IFREG, 0), ENOENT),
        (do_mknodat, (None, b"x", S_IFDIR, 0), EPERM),
        (do_mknodat, (None, b"x", 0o170000, 0), EINVAL),
        (do_symlinkat, (None, b"x", b""), ENOENT),
        (do_symlinkat, (None, b"x/", b"y"), ENOENT),
        (do_unlinkat, (None, b"d"), EISDIR),
        (do_unlinkat, (None, b"."), EISDIR),
        (do_unlinkat, (None, b"d/e/f/"), ENOTDIR),
        (do_rmdir, (None, b"d"), ENOTEMPTY),
        (do_rmdir, (None, b"d/."), EINVAL),
        (do_rmdir, (None, b"d/.."), ENOTEMPTY),
        (do_rmdir, (None, b"/"), EBUSY),
        (do_rmdir, (None, b"d/e/f"), ENOTDIR),
        (do_renameat2, (None, b"none", None, b"x", 0), ENOENT),
        (do_renameat2, (None, b"d", None, b"d/e/x", 0), EINVAL),
        (do_renameat2, (None, b"d/e", None, b"d", 0), ENOTEMPTY),
        (do_renameat2, (None, b"d/e/f", None, b"d", 0), ENOTEMPTY),
        (do_renameat2, (None, b"plain", None, b"d/e", 0), EISDIR),
        (do_renameat2, (None, b"d/e", None, b"plain", 0), ENOTDIR),
        (do_renameat2, (None, b"plain", None, b"d", RENAME_NOREPLACE), EEXIST),
        (do_renameat2, (None, b"plain", None, b"x", RENAME_EXCHANGE), ENOENT),
        (do_renameat2, (None, b"plain", None, b"x/", 0), ENOTDIR),
        (do_renameat2, (None, b".", None, b"x", 0), EBUSY),
        (do_renameat2, (None, b"plain", None, b"x", 64), EINVAL),
    ],
)
def test_errors_of_names(
    box: Box, call: Callable[..., object], args: tuple[object, ...], error: type[LinuxError]
) -> None:
    """What cannot be made, removed or moved."""
    box.make(b"plain")
    assert box.error(call, *args) is error


def test_names(box: Box) -> None:
    """Moving, exchanging, linking and removing change what paths find."""
    ctx, user = box.ctx, box.root
    box.make(b"a")
    do_linkat(box.find(b"a"), None, b"b", ctx, user)
    assert box.find(b"a").dentry.positive() is box.find(b"b").dentry.positive()
    do_renameat2(None, b"a", None, b"d/a", 0, ctx, user)
    assert d_path(box.find(b"d/a")) == b"/d/a"
    assert path_lookup(None, b"a", ctx, user).dentry.inode is None
    first, second = box.find(b"d/e").dentry.positive(), box.find(b"b").dentry.positive()
    do_renameat2(None, b"d/e", None, b"b", RENAME_EXCHANGE, ctx, user)
    assert (box.find(b"b").dentry.positive(), box.find(b"d/e").dentry.positive()) == (first, second)
    do_unlinkat(None, b"b/f", ctx, user)
    do_rmdir(None, b"b", ctx, user)
    with pytest.raises(ENOENT):
        box.find(b"b")


def test_devices_need_a_capability(box: Box) -> None:
    """A caller that may write to the directory cannot make a device in it."""
    chown_common(box.mnt.root, 1000, -1, box.root)
    with pytest.raises(EPERM):
        do_mknodat(None, b"blk", S_IFBLK, 1, box.ctx, User(1000))
    do_mknodat(None, b"plain", S_IFREG, 1, box.ctx, User(1000))


def test_the_sticky_bit(box: Box) -> None:
    """Only the owner of a file or of its directory removes it."""
    do_mkdirat(None, b"tmp", 0o1777, box.ctx, box.root)
    chmod_common(box.find(b"tmp"), 0o1777, box.root)
    box.make(b"tmp/f")
    with pytest.raises(EPERM):
        do_unlinkat(None, b"tmp/f", box.ctx, User(1000))
    chown_common(box.find(b"tmp/f"), 1000, -1, box.root)
    do_unlinkat(None, b"tmp/f", box.ctx, User(1000))


def test_mounts(box: Box) -> None:
    """A mount covers a place and can be covered; what is busy stays; a read-only one refuses."""
    first, second = Ramfs(box.vfs), Ramfs(box.vfs)
    place = box.find(b"d")
    mount = box.mnt.attach(first, first.root, place, 1)
    assert box.find(b"d").mount is mount
    assert box.error(do_mkdirat, None, b"d/x", 0o755) is EROFS
    with pytest.raises(EROFS):
        path_permission(box.find(b"d"), WRITE, box.root)
    with pytest.raises(EXDEV):
        box.find(b"d", NO_MOUNTS)
    above = box.mnt.attach(second, second.root, place)
    assert box.find(b"d").mount is above
    assert d_path(box.find(b"d/..")) == b"/"
    assert box.error(do_rmdir, None, b"d") is EBUSY
    assert box.error(do_renameat2, None, b"link", None, b"d/x", 0) is EXDEV
    with pytest.raises(EBUSY):
        box.mnt.detach(Path(mount, first.root))
    with pytest.raises(EINVAL):
        box.mnt.detach(place)
    with pytest.raises(ENOTDIR):
        box.mnt.attach(first, first.root, box.find(b"loop", 0))
    assert box.mnt.all_mounts() == [box.mnt.root_mount, mount, above]
    box.mnt.detach(Path(above, second.root))
    box.mnt.detach(Path(mount, first.root))
    assert d_path(box.find(b"d/e/f")) == b"/d/e/f"


def test_numbers_belong_to_one_kernel() -> None:
    """Two kernels on equal hosts give the same ids and times."""
    boxes = [Box(), Box()]
    seen = [
        (
            box.fs.dev,
            box.mnt.root_mount.id,
            box.vfs.pipes.dev,
            box.vfs.fsnotify_get_cookie(),
            box.find(b"d/e/f").dentry.positive().stat(),
        )
        for box in boxes
    ]
    assert seen[0] == seen[1]
    assert len({box.fs.dev for box in boxes}) == 1
    assert boxes[0].vfs.get_anon_bdev() != boxes[0].fs.dev
