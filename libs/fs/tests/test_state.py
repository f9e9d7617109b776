"""Saving and loading file systems: trees in memory, the overlay, volumes, open files, inherited descriptors."""

import io
import os
from pathlib import Path as HostPath

import pytest

from sentry_abi.errors import EBADF
from sentry_abi.fcntl import F_SEAL_WRITE, O_CREAT, O_PATH, O_RDWR
from sentry_abi.mman import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE
from sentry_abi.structs import STAT
from sentry_fs import Devfs, HostFile, HostFilesystem, HostVolume, Overlay, Sysfs, Tmpfs, mount_at
from sentry_fs._state import register
from sentry_fs._tmpfs import Memfds
from sentry_fs.testing import World
from sentry_host import real_host
from sentry_mm import MemoryManager
from sentry_mm.testing import FakeSpace, check, registry
from sentry_pgalloc import MemoryFile
from sentry_state import Reader, Writer
from sentry_tty._state import register as register_tty
from sentry_vfs import (
    FDTable,
    FileDescription,
    FSContext,
    MountNamespace,
    PathRef,
    VirtualFilesystem,
    d_path,
    do_filp_open,
    do_mkdirat,
    do_symlinkat,
    do_unlinkat,
    filename_lookup,
)
from sentry_vfs._state import register as register_vfs
from sentry_waiter import Queue
from sentry_waiter._state import register as register_queues

PAGE = 4096
RW = PROT_READ | PROT_WRITE


@pytest.fixture
def vfs() -> VirtualFilesystem:
    """Give what all file systems of one test belong to."""
    return VirtualFilesystem(real_host())


@pytest.fixture
def over(vfs: VirtualFilesystem, memory: MemoryFile, tmp_path: HostPath) -> World:
    """Give a world over an empty directory of the host."""
    overlay = Overlay(vfs, memory, bytes(tmp_path))
    return World(MountNamespace(overlay, overlay.root))


class Watcher:
    """Notes what is watched."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.watched: list[int] = []

    def watch(self, fd: int, mask: int, queue: Queue) -> None:
        """See FdWatcher."""
        self.watched.append(fd)

    def unwatch(self, fd: int) -> None:
        """See FdWatcher."""


def copy_of(root: tuple[object, ...], externals: dict[str, object]) -> tuple[object, ...]:
    """Save a graph, and load it again."""
    known = registry()
    for declare in (register_queues, register_vfs, register_tty, register):
        declare(known)
    with Writer(file := io.BytesIO(), registry=known) as writer:
        writer.save("fs", root, externals)
    found: tuple[object, ...] = Reader(io.BytesIO(file.getvalue()), registry=known).load("fs", externals)
    return found


def opened(world: World, path: bytes, flags: int = 0) -> FileDescription:
    """Open a file, for one holder."""
    file = do_filp_open(None, path, flags, 0o644, world.ctx, world.creds)
    file.incref()
    return file


def content(file: FileDescription, size: int = 100) -> bytes:
    """Read from the beginning."""
    buffer = bytearray(size)
    return bytes(buffer[: file.pread([memoryview(buffer)], 0)])


def files_of(table: object) -> list[FileDescription]:
    """Return the files of a loaded table."""
    assert isinstance(table, FDTable)
    return [file for _, file in table]


def test_a_tree_in_memory(vfs: VirtualFilesystem) -> None:
    """Names, contents, seals, attributes, mappings; an unlinked file lives on with its users, and ends with them."""
    own = MemoryFile(1 << 36)
    fs = Tmpfs(vfs, own)
    world = World(MountNamespace(fs, fs.root))
    do_mkdirat(None, b"d", 0o755, world.ctx, world.creds)
    do_symlinkat(None, b"d/link", b"f", world.ctx, world.creds)
    file = opened(world, b"d/f", O_CREAT | O_RDWR)
    file.write([b"x" * PAGE])
    file.seek(5, 0)
    inode = file.inode
    assert inode is not None
    inode.setxattr(None, b"user.a", b"b", 0)
    gone = opened(world, b"gone", O_CREAT | O_RDWR)
    gone.write([b"gone"])
    do_unlinkat(None, b"gone", world.ctx, world.creds)
    mm = MemoryManager(FakeSpace(), own)
    at = mm.mmap(0, PAGE, RW, MAP_SHARED, inode)  # type: ignore[arg-type]  # a regular file
    mm.exe = PathRef(filename_lookup(None, b"d/link", world.ctx, world.creds))
    table = FDTable()
    table.install(file)
    table.install(gone)
    file.decref()
    gone.decref()

    ctx, mnt, files, loaded = copy_of((world.ctx, world.mnt, table, mm), {"memory": own, "host": vfs.host})
    assert isinstance(ctx, FSContext)
    assert isinstance(mnt, MountNamespace)
    assert isinstance(loaded, MemoryManager)
    first, second = files_of(files)
    place = filename_lookup(None, b"d/link", ctx, world.creds)
    assert place.dentry.inode is first.inode
    assert (place.dentry.count, first.pos, content(second)) == (2, 5, b"gone")
    assert isinstance(loaded.exe, PathRef)
    assert d_path(loaded.exe.path) == b"/d/f"
    loaded.attach(space := FakeSpace())
    check(loaded, space)
    loaded.copy_out(at, b"seen")
    assert content(first, 4) == b"seen"
    assert place.dentry.positive().getxattr(b"user.a") == b"b"
    assert isinstance(files, FDTable)
    files.release()
    loaded.release()
    ctx.release()
    assert own.ranges()
    mnt.release()
    assert own.ranges() == []


def test_the_overlay(vfs: VirtualFilesystem, over: World, memory: MemoryFile, tmp_path: HostPath) -> None:
    """Unchanged files are the host's again, changed ones ours; open and mapped host files are opened again."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/clean").write_bytes(b"clean")
    (tmp_path / "changed").write_bytes(b"before")
    (tmp_path / "removed").write_bytes(b"")
    (tmp_path / "lost").write_bytes(b"lost")
    writer = opened(over, b"changed", O_RDWR)
    writer.write([b"AFTER"])
    do_unlinkat(None, b"removed", over.ctx, over.creds)
    table = FDTable()
    for path, flags in ((b"dir/clean", 0), (b"changed", 0), (b"lost", 0), (b"dir", O_PATH)):
        table.install(opened(over, path, flags))
    mm = MemoryManager(FakeSpace(), memory)
    reader = table.get(0)
    at = mm.mmap(0, PAGE, PROT_READ, MAP_PRIVATE, reader.mappable())  # type: ignore[arg-type]  # a regular file
    (tmp_path / "lost").unlink()

    ctx, files, loaded = copy_of((over.ctx, table, mm), {"memory": memory, "host": vfs.host})
    assert isinstance(ctx, FSContext)
    assert isinstance(loaded, MemoryManager)
    clean, changed, lost, folder = files_of(files)
    assert (content(clean), content(changed)) == (b"clean", b"AFTERe")
    assert STAT.unpack(clean.stat()) == STAT.unpack(reader.stat())
    with pytest.raises(EBADF):
        content(lost)
    assert folder.path() == b"/dir"
    loaded.attach(FakeSpace())
    assert loaded.copy_in(at, 5) == b"clean"
    (tmp_path / "dir/clean").write_bytes(b"other")
    names = {name for name, *_ in ctx.root.dentry.positive().entries(ctx.root.dentry)}
    assert names == {b"dir", b"changed"}
    assert content(do_filp_open(None, b"/dir/clean", 0, 0, ctx, over.creds)) == b"other"


def test_a_volume(vfs: VirtualFilesystem, tmp_path: HostPath, memory: MemoryFile) -> None:
    """Its open files are the host's, for writing too."""
    volume = HostVolume(vfs, bytes(tmp_path))
    world = World(MountNamespace(volume, volume.root))
    table = FDTable()
    table.install(opened(world, b"f", O_CREAT | O_RDWR))
    table.get(0).write([b"one"])
    ctx, files = copy_of((world.ctx, table), {"memory": memory, "host": vfs.host})
    assert isinstance(ctx, FSContext)
    [file] = files_of(files)
    file.write([b"two"])
    assert (tmp_path / "f").read_bytes() == b"onetwo"
    do_mkdirat(None, b"/new", 0o755, ctx, world.creds)
    assert (tmp_path / "new").is_dir()


def test_the_rest(vfs: VirtualFilesystem, over: World, memory: MemoryFile) -> None:
    """Devices, generated files, memfds and inherited descriptors."""
    own = MemoryFile(1 << 36)
    devfs, sysfs = Devfs(vfs, own), Sysfs(vfs)
    mount_at(over.mnt, b"/dev", (devfs, devfs.root), 0)
    mount_at(over.mnt, b"/sys", (sysfs, sysfs.root), 0)
    watcher = Watcher()
    read_end, write_end = os.pipe()
    table = FDTable()
    table.install(opened(over, b"dev/zero"))
    table.install(opened(over, b"sys/kernel/ostype"))
    table.install(HostFile(read_end, watcher, HostFilesystem(vfs)))
    memfd = Memfds(vfs, own).new_memfd(b"m", 0, 0, sealable=True)
    memfd.write([b"sealed"])
    inode = memfd.inode
    assert inode is not None
    inode.add_seals(F_SEAL_WRITE)
    table.install(memfd)
    externals = {"memory": memory, "own": own, "host": vfs.host, "watcher": watcher}
    [files] = copy_of((table,), externals)
    zero, ostype, pipe, loaded = files_of(files)
    assert (content(zero, 3), content(ostype)) == (bytes(3), b"Linux\n")
    assert loaded.inode is not None
    assert (content(loaded), loaded.inode.get_seals()) == (b"sealed", F_SEAL_WRITE)
    assert loaded.path() == b"/memfd:m (deleted)"
    os.write(write_end, b"in")
    assert pipe.readiness() & 1
    os.close(read_end)
    os.close(write_end)
