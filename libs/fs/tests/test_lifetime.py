"""What keeps an entry, a file's contents and a file system, and that each ends with its last reference."""

import os
from pathlib import Path as HostPath

import pytest

from sentry_abi.errors import EPERM
from sentry_abi.fcntl import F_SEAL_SHRINK, O_CREAT, O_PATH, O_RDWR, O_TRUNC
from sentry_abi.mman import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE
from sentry_abi.stat import S_IFREG
from sentry_fs import HostFile, HostFilesystem, HostVolume, Overlay, Regular, Tmpfs
from sentry_fs.testing import VFS, World
from sentry_mm import MemoryManager
from sentry_mm.testing import FakeSpace
from sentry_pgalloc import MemoryFile
from sentry_vfs import (
    FOLLOW,
    Dentry,
    FileDescription,
    FSContext,
    InotifyFile,
    MountNamespace,
    Path,
    PathRef,
    do_filp_open,
    do_mknodat,
    do_unlinkat,
    filename_lookup,
)
from sentry_waiter import Queue

PAGE = 4096
RW = PROT_READ | PROT_WRITE


def find(world: World, path: bytes) -> Path:
    """Walk."""
    return filename_lookup(None, path, world.ctx, world.creds, FOLLOW)


def opened(world: World, path: bytes, flags: int = 0) -> FileDescription:
    """Open a file, for one holder."""
    file = do_filp_open(None, path, flags, 0o644, world.ctx, world.creds)
    file.incref()
    return file


def overlay_of(world: World) -> Overlay:
    """Return the file system at the root."""
    fs = world.mnt.root_mount.fs
    assert isinstance(fs, Overlay)
    return fs


@pytest.fixture
def own() -> MemoryFile:
    """Return a memory file in which nothing is allocated."""
    return MemoryFile(1 << 36)


def manager(memory: MemoryFile) -> MemoryManager:
    """Return an empty address space."""
    return MemoryManager(FakeSpace(), memory)


# -- entries of the host ------------------------------------------------------------------------------------------


def test_trim_keeps_what_is_used(over: World, memory: MemoryFile, tmp_path: HostPath) -> None:
    """Open files and places, directories that are entered, programs, watches, mappings; each until it ends."""
    for name in ("open", "place", "program", "watched", "mapped", "unused", "dir/cwd/deep/leaf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(PAGE))
    names = [b"open", b"place", b"program", b"watched", b"mapped", b"dir/cwd"]
    file, place = opened(over, b"open"), opened(over, b"place", O_PATH)
    program = PathRef(find(over, b"program"))
    program.incref()
    inotify = InotifyFile(VFS.anonymous, 0)
    inotify.incref()
    inotify.add(find(over, b"watched").dentry, 2)
    mm = manager(memory)
    mapping = opened(over, b"mapped")
    mm.mmap(0, PAGE, PROT_READ, MAP_PRIVATE, mapping.mappable())  # type: ignore[arg-type]  # an overlay's inode
    mapping.decref()
    task = FSContext(over.mnt.root, find(over, b"dir/cwd"))
    dentries: dict[bytes, Dentry] = {name: find(over, name).dentry for name in names}
    for gone in (b"unused", b"dir/cwd/deep/leaf"):
        dentries[gone] = find(over, gone).dentry

    def dead() -> list[bytes]:
        overlay_of(over).trim()
        return [name for name, dentry in dentries.items() if dentry.dead]

    assert dead() == [b"unused", b"dir/cwd/deep/leaf"]
    assert all(find(over, name).dentry is dentries[name] for name in names)
    child = task.fork()
    task.release()
    program.decref()
    assert len(dead()) == 2
    for n, end in enumerate((file.decref, place.decref, program.decref, inotify.decref, mm.release, child.release)):
        end()
        assert len(dead()) == 3 + n
    assert all(find(over, name).dentry is not dentries[name] for name in names)


def test_trim_waits_for_the_end_of_a_call(over: World, tmp_path: HostPath, monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk that enters one name too many drops nothing: its own results are not counted."""
    monkeypatch.setattr(overlay_of(over).host, "limit", 3)
    for n in range(6):
        (tmp_path / f"f{n}").write_bytes(b"")
    found = [find(over, b"f%d" % n).dentry for n in range(6)]
    assert not any(dentry.dead for dentry in found)
    assert overlay_of(over) in VFS.untrimmed
    VFS.trim()
    assert all(dentry.dead for dentry in found)
    assert not VFS.untrimmed


def test_names_of_one_file_are_one_inode_while_it_is_used(over: World, tmp_path: HostPath) -> None:
    """After a trim a hard link finds the inode of an open file again, and a new one when nothing uses the old."""
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    file = opened(over, b"a")
    overlay_of(over).trim()
    assert find(over, b"b").dentry.inode is file.inode
    (tmp_path / "a").unlink()
    overlay_of(over).trim()
    assert find(over, b"b").dentry.inode is file.inode
    before = file.inode
    file.decref()
    overlay_of(over).trim()
    (tmp_path / "a").hardlink_to(tmp_path / "b")
    assert find(over, b"b").dentry.inode is not before


# -- contents -----------------------------------------------------------------------------------------------------


def test_contents_end_with_the_last_mapping(own: MemoryFile) -> None:
    """Mapped, closed and unlinked: the pages stay until the last address space unmaps them."""
    fs = Tmpfs(VFS, own)
    world = World(MountNamespace(fs, fs.root))
    file = opened(world, b"f", O_CREAT | O_RDWR)
    file.write([b"x" * 5 * PAGE])
    inode = file.inode
    assert isinstance(inode, Regular)
    mm = manager(own)
    at = mm.mmap(0, 5 * PAGE, RW, MAP_SHARED, inode)
    file.decref()
    do_unlinkat(None, b"f", world.ctx, world.creds)
    child = mm.fork()
    mm.release()
    child.munmap(at, 4 * PAGE)
    assert child.copy_in(at + 4 * PAGE, 1) == b"x"
    assert own.ranges()
    assert fs.quota is not None
    assert fs.quota.used
    child.munmap(at + 4 * PAGE, PAGE)
    assert own.ranges() == []
    assert fs.quota.used == 0
    child.release()


def test_a_file_system_ends_with_its_last_mount_and_file(own: MemoryFile, over: World, tmp_path: HostPath) -> None:
    """Unmounted while a file is open, a directory entered, and a file mapped: its pages go after all three."""
    (tmp_path / "m").mkdir()
    fs = Tmpfs(VFS, own)
    over.mnt.attach(fs, fs.root, find(over, b"m"))
    (tmp_path / "n").mkdir()
    over.mnt.attach(fs, fs.root, find(over, b"n"))
    files = [opened(over, b"m/%d" % n, O_CREAT | O_RDWR) for n in range(3)]
    for file in files:
        file.write([b"x" * PAGE])
    inode = files[2].inode
    assert isinstance(inode, Regular)
    mm = manager(own)
    mm.mmap(0, PAGE, RW, MAP_SHARED, inode)
    files[1].decref()
    files[2].decref()
    task = FSContext(over.mnt.root, find(over, b"m"))
    held = own.allocated()
    over.mnt.detach(find(over, b"n"))
    over.mnt.detach(find(over, b"m"))
    assert own.allocated() == held
    ends = [files[0].decref, task.release, mm.release]
    for end in ends:
        assert own.ranges()
        end()
    assert own.ranges() == []


def test_a_namespace_that_ends(own: MemoryFile) -> None:
    """All its file systems end, but for files that are open."""
    fs = Tmpfs(VFS, own)
    world = World(MountNamespace(fs, fs.root))
    file = opened(world, b"f", O_CREAT | O_RDWR)
    file.write([b"x"])
    world.mnt.release()
    world.ctx.release()
    assert own.ranges()
    file.decref()
    assert own.ranges() == []


def test_an_open_that_fails_late(own: MemoryFile) -> None:
    """A description that cannot truncate its file leaves no user behind."""
    fs = Tmpfs(VFS, own)
    world = World(MountNamespace(fs, fs.root))
    file = opened(world, b"f", O_CREAT | O_RDWR)
    file.write([b"x"])
    inode = file.inode
    assert isinstance(inode, Regular)
    inode.seals = F_SEAL_SHRINK
    with pytest.raises(EPERM):
        opened(world, b"f", O_RDWR | O_TRUNC)
    assert (inode.users, inode.writers) == (1, 1)
    count = find(world, b"f").dentry.count
    assert count == 1


# -- descriptors of the host --------------------------------------------------------------------------------------


def descriptors() -> int:
    """Return how many are open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (a count)


def test_host_files_are_closed_by_their_last_user(over: World, tmp_path: HostPath, own: MemoryFile) -> None:
    """The overlay keeps a few open for a while; an open file, and every page that is mapped, keeps its own."""
    (tmp_path / "f").write_bytes(b"x" * 4 * PAGE)
    before = descriptors()
    file = opened(over, b"f")
    mm = manager(own)
    at = mm.mmap(0, 4 * PAGE, PROT_READ, MAP_PRIVATE, file.mappable())  # type: ignore[arg-type]  # an overlay's inode
    assert descriptors() == before + 1
    overlay_of(over).host.tree.forget(file.inode)
    file.decref()
    child = mm.fork()
    mm.release()
    child.munmap(at + PAGE, PAGE)
    child.mprotect(at, PAGE, 0)
    assert descriptors() == before + 1
    child.release()
    assert descriptors() == before


def test_copied_files_are_closed_at_once(over: World, tmp_path: HostPath) -> None:
    """After the first change only files that were open before hold the host's file."""
    (tmp_path / "f").write_bytes(b"x")
    before = descriptors()
    reader = opened(over, b"f")
    writer = opened(over, b"f", O_RDWR)
    writer.write([b"y"])
    assert descriptors() == before + 1
    reader.decref()
    writer.decref()
    assert descriptors() == before


def test_a_volume_opens_what_is_used(tmp_path: HostPath, own: MemoryFile) -> None:
    """Created, opened twice, written, mapped, unlinked, truncated by path: nothing stays open."""
    volume = HostVolume(VFS, bytes(tmp_path))
    world = World(MountNamespace(volume, volume.root))
    before = descriptors()
    do_mknodat(None, b"made", S_IFREG | 0o200, 0, world.ctx, world.creds)
    do_mknodat(None, b"next", S_IFREG | 0o644, 0, world.ctx, world.creds)
    assert descriptors() == before + 1
    writer = opened(world, b"f", O_CREAT | O_RDWR)
    reader = opened(world, b"f")
    writer.write([b"x" * 2 * PAGE])
    inode = writer.inode
    assert inode is not None
    mm = manager(own)
    at = mm.mmap(0, 2 * PAGE, RW, MAP_SHARED, writer.mappable())  # type: ignore[arg-type]  # a volume's inode
    writer.decref()
    reader.decref()
    mm.copy_out(at, b"mapped")
    do_unlinkat(None, b"f", world.ctx, world.creds)
    assert inode.size() == 2 * PAGE
    mm.munmap(at, PAGE)
    assert mm.copy_in(at + PAGE, 1) == b"x"
    mm.release()
    find(world, b"next").dentry.positive().truncate(find(world, b"next").dentry, 100)
    volume.host.tree.forget(inode)
    assert descriptors() == before
    world.mnt.release()
    world.ctx.release()
    assert descriptors() == before - 2


def test_an_inherited_file_is_never_closed(tmp_path: HostPath, own: MemoryFile) -> None:
    """A mapping of it borrows the descriptor, which is the sentry's."""
    (tmp_path / "f").write_bytes(b"x" * PAGE)
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    before = descriptors()
    file = HostFile(fd, NoWatcher(), HostFilesystem(VFS))
    file.incref()
    mm = manager(own)
    for _ in range(3):
        at = mm.mmap(0, PAGE, PROT_READ, MAP_PRIVATE, file.mappable())
    assert mm.copy_in(at, 1) == b"x"
    file.decref()
    mm.release()
    assert descriptors() == before
    os.close(fd)


class NoWatcher:
    """Watches nothing."""

    def watch(self, fd: int, mask: int, queue: Queue) -> None:
        """See FdWatcher."""

    def unwatch(self, fd: int) -> None:
        """See FdWatcher."""
