"""Trees and files in memory: names, link counts, seals, holes, extended attributes, device nodes."""

import pytest

from sentry_abi.errors import (
    EBADF,
    EBUSY,
    EEXIST,
    EINVAL,
    ENODATA,
    ENOSPC,
    ENOTEMPTY,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
)
from sentry_abi.fcntl import (
    F_SEAL_EXEC,
    F_SEAL_GROW,
    F_SEAL_SEAL,
    F_SEAL_SHRINK,
    F_SEAL_WRITE,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
    O_APPEND,
    O_CREAT,
    O_RDWR,
    O_TMPFILE,
    O_WRONLY,
    RENAME_EXCHANGE,
    SEEK_DATA,
    SEEK_HOLE,
)
from sentry_abi.mman import MAP_SHARED, PROT_READ
from sentry_abi.stat import S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK, makedev
from sentry_fs import Tmpfs
from sentry_fs._tmpfs import Memfds
from sentry_fs.testing import VFS, World
from sentry_mm import MemoryManager
from sentry_mm.testing import FakeSpace
from sentry_pgalloc import MemoryFile
from sentry_vfs import (
    FileDescription,
    Inode,
    MountNamespace,
    do_filp_open,
    do_linkat,
    do_mkdirat,
    do_mknodat,
    do_renameat2,
    do_rmdir,
    do_unlinkat,
    filename_lookup,
)

PAGE = 4096


@pytest.fixture
def own() -> MemoryFile:
    """Return a memory file in which nothing is allocated."""
    return MemoryFile(1 << 36)


@pytest.fixture
def w(own: MemoryFile) -> World:
    """Return an empty tmpfs."""
    fs = Tmpfs(VFS, own)
    return World(MountNamespace(fs, fs.root))


def opened(w: World, path: bytes, flags: int = O_RDWR | O_CREAT) -> FileDescription:
    """Open a file, for one holder."""
    file = do_filp_open(None, path, flags, 0o644, w.ctx, w.creds)
    file.incref()
    return file


def inode_of(w: World, path: bytes) -> Inode:
    """Return what a path leads to."""
    return filename_lookup(None, path, w.ctx, w.creds).dentry.positive()


def write(w: World, path: bytes, content: bytes = b"x") -> None:
    """Make a file."""
    file = opened(w, path)
    file.write([content])
    file.decref()


def content(file: FileDescription, size: int = 64) -> bytes:
    """Read from the beginning."""
    buffer = bytearray(size)
    return bytes(buffer[: file.pread([memoryview(buffer)], 0)])


def rename(w: World, old: bytes, new: bytes, flags: int = 0) -> None:
    """Rename."""
    do_renameat2(None, old, None, new, flags, w.ctx, w.creds)


def test_renames_count_links(w: World, own: MemoryFile) -> None:
    """Directories count their subdirectories; what is replaced loses a name, and its contents with the last."""
    for path in (b"a", b"a/sub", b"b", b"b/empty"):
        do_mkdirat(None, path, 0o755, w.ctx, w.creds)
    write(w, b"a/f", b"new")
    write(w, b"b/f", b"old")
    do_linkat(filename_lookup(None, b"b/f", w.ctx, w.creds), None, b"b/g", w.ctx, w.creds)
    links = inode_of(w, b"a").nlink, inode_of(w, b"b").nlink
    assert links == (3, 3)
    rename(w, b"a/sub", b"b/empty")
    assert (inode_of(w, b"a").nlink, inode_of(w, b"b").nlink) == (2, 3)
    old = inode_of(w, b"b/f")
    before = own.allocated()
    rename(w, b"a/f", b"b/f")
    assert (old.nlink, own.allocated()) == (1, before)
    rename(w, b"b/f", b"b/g")
    assert (old.nlink, own.allocated() == before) == (0, False)
    rename(w, b"b/g", b"b/empty", RENAME_EXCHANGE)
    assert inode_of(w, b"b/g").is_dir
    rename(w, b"b/g", b"a/moved")
    rename(w, b"b/empty", b"a/moved", RENAME_EXCHANGE)
    assert (inode_of(w, b"a").nlink, inode_of(w, b"b").nlink) == (2, 3)
    with pytest.raises(ENOTEMPTY):
        do_rmdir(None, b"b", w.ctx, w.creds)
    do_rmdir(None, b"b/empty", w.ctx, w.creds)
    do_rmdir(None, b"b", w.ctx, w.creds)
    do_unlinkat(None, b"a/moved", w.ctx, w.creds)
    assert own.ranges() == []
    assert w.mnt.root_mount.root.positive().is_empty(filename_lookup(None, b"a", w.ctx, w.creds).dentry)


def test_extended_attributes(w: World) -> None:
    """Flags, names in order, removal, and a limit for all of a file together."""
    write(w, b"f")
    inode = inode_of(w, b"f")
    with pytest.raises(ENODATA):
        inode.getxattr(b"user.a")
    with pytest.raises(ENODATA):
        inode.setxattr(None, b"user.a", b"1", 2)
    inode.setxattr(None, b"user.b", b"1", 1)
    inode.setxattr(None, b"user.a", b"2", 0)
    with pytest.raises(EEXIST):
        inode.setxattr(None, b"user.a", b"3", 1)
    inode.setxattr(None, b"user.a", b"4", 2)
    with pytest.raises(ENOSPC):
        inode.setxattr(None, b"user.c", bytes(1 << 20), 0)
    assert (inode.listxattr(), inode.getxattr(b"user.a")) == ([b"user.a", b"user.b"], b"4")
    inode.removexattr(None, b"user.b")
    with pytest.raises(ENODATA):
        inode.removexattr(None, b"user.b")
    assert inode.listxattr() == [b"user.a"]


def test_seals(own: MemoryFile) -> None:
    """What each forbids; a mapping that may write keeps F_SEAL_WRITE out; F_SEAL_EXEC seals an executable's bytes."""
    file = Memfds(VFS, own).new_memfd(b"m", 0, 0, sealable=True)
    file.incref()
    inode = file.inode
    assert inode is not None
    file.write([b"x" * PAGE])
    mm = MemoryManager(FakeSpace(), own)
    at = mm.mmap(0, PAGE, PROT_READ, MAP_SHARED, file.mappable())  # type: ignore[arg-type]  # a regular file
    with pytest.raises(EBUSY):
        inode.add_seals(F_SEAL_WRITE)
    mm.munmap(at, PAGE)
    inode.add_seals(F_SEAL_SHRINK)
    with pytest.raises(EPERM):
        file.truncate(0)
    file.truncate(PAGE + 1)
    inode.add_seals(F_SEAL_GROW)
    for call in (
        lambda: file.truncate(2 * PAGE),
        lambda: file.pwrite([b"y"], 2 * PAGE),
        lambda: file.allocate(0, 0, 2 * PAGE),
    ):
        with pytest.raises(EPERM):
            call()
    file.pwrite([b"y"], 0)
    assert not inode.denies_writes()
    inode.add_seals(F_SEAL_WRITE)
    assert inode.denies_writes()
    for call in (
        lambda: file.pwrite([b"y"], 0),
        lambda: file.allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE),
    ):
        with pytest.raises(EPERM):
            call()
    inode.add_seals(F_SEAL_SEAL)
    with pytest.raises(EPERM):
        inode.add_seals(0)
    assert not inode.is_written()
    mm.release()
    file.decref()
    assert own.ranges() == []
    program = Memfds(VFS, own).new_memfd(b"p", 0, 0, sealable=True).inode
    assert program is not None
    program.add_seals(F_SEAL_EXEC)
    assert program.get_seals() & F_SEAL_WRITE
    assert Memfds(VFS, own).new_memfd(b"q", 0, 0, sealable=False).inode.get_seals() == F_SEAL_SEAL  # type: ignore[union-attr]


def test_holes(w: World) -> None:
    """Reserved, punched and zeroed ranges; data and holes are found; unknown modes are refused."""
    file = opened(w, b"f")
    file.write([b"x" * 3 * PAGE])
    file.allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE)
    assert file.seek(0, SEEK_HOLE) == PAGE
    assert file.seek(PAGE, SEEK_DATA) == 2 * PAGE
    file.allocate(FALLOC_FL_ZERO_RANGE, 2 * PAGE, 2 * PAGE)
    assert file.size() == 4 * PAGE
    file.allocate(FALLOC_FL_KEEP_SIZE, 0, 8 * PAGE)
    assert file.size() == 4 * PAGE
    file.allocate(0, 0, 5 * PAGE)
    assert (file.size(), content(file, 3)) == (5 * PAGE, b"xxx")
    for mode in (FALLOC_FL_PUNCH_HOLE, 1 << 20):
        with pytest.raises(EOPNOTSUPP):
            file.allocate(mode, 0, PAGE)
    empty = opened(w, b"empty")
    with pytest.raises(ENXIO):
        empty.seek(0, SEEK_DATA)


def test_how_a_file_was_opened_decides(w: World) -> None:
    """EBADF and EINVAL for what the mode forbids; O_APPEND writes at the end, positions or not."""
    write(w, b"f", b"one")
    reader, writer = opened(w, b"f", 0), opened(w, b"f", O_WRONLY | O_APPEND)
    for call in (
        lambda: reader.write([b"x"]),
        lambda: reader.pwrite([b"x"], 0),
        lambda: reader.allocate(0, 0, 1),
        lambda: content(writer),
        lambda: writer.read([memoryview(bytearray(1))]),
    ):
        with pytest.raises(EBADF):
            call()
    with pytest.raises(EINVAL):
        reader.truncate(0)
    assert writer.write([b"two"]) == 3
    assert writer.pwrite([b"three"], 0) == 5
    assert (writer.write([]), writer.pwrite([], 0)) == (0, 0)
    assert content(reader) == b"onetwothree"
    writer.drops_ids = True
    inode = inode_of(w, b"f")
    inode.set_mode(None, 0o6755)
    writer.write([b"."])
    assert inode.mode & 0o7777 == 0o755
    assert inode.is_written()
    writer.decref()
    assert not inode.is_written()
    reader.sync()


def test_nodes(w: World) -> None:
    """A device works if it is known; a FIFO is a pipe; a socket's name, a disk and /dev/tty here cannot be opened."""
    make = ((b"null", S_IFCHR, makedev(1, 3)), (b"tty", S_IFCHR, makedev(5, 0)), (b"what", S_IFCHR, makedev(99, 9)))
    for name, kind, number in (*make, (b"disk", S_IFBLK, 1), (b"socket", S_IFSOCK, 0), (b"fifo", S_IFIFO, 0)):
        do_mknodat(None, name, kind | 0o666, number, w.ctx, w.creds)
    null = opened(w, b"null", O_RDWR)
    assert (null.write([b"x"]), null.read([]), null.seek(5, 0), null.clamp(9)) == (1, 0, 0, 0)
    assert (null.pwrite([b"x"], 5), null.pread([], 5)) == (1, 0)
    with pytest.raises(EINVAL):
        null.sync()
    for name in (b"tty", b"what", b"disk", b"socket"):
        with pytest.raises(ENXIO):
            opened(w, name, O_RDWR)
    pipe = opened(w, b"fifo", O_RDWR)
    pipe.write([b"in"])
    buffer = bytearray(2)
    assert pipe.read([memoryview(buffer)]) == 2
    entries = w.mnt.root_mount.root.positive().entries(w.mnt.root_mount.root)
    assert {name: kind for name, _, kind in entries} == {
        b"null": 2, b"tty": 2, b"what": 2, b"disk": 6, b"socket": 12, b"fifo": 1,
    }  # fmt: skip


def test_a_file_that_never_had_a_name(w: World, own: MemoryFile) -> None:
    """O_TMPFILE: it can be linked; if it is not, it ends with its description."""
    file = opened(w, b".", O_TMPFILE | O_RDWR)
    file.write([b"kept"])
    where = file.where
    assert where is not None
    do_linkat(where, None, b"name", w.ctx, w.creds)
    file.decref()
    assert content(opened(w, b"name", 0)) == b"kept"
    other = opened(w, b".", O_TMPFILE | O_RDWR)
    other.write([b"gone"])
    held = len(own.ranges())
    before = sum(own.allocated())
    other.decref()
    assert (held, sum(own.allocated()) < before) == (1, True)
