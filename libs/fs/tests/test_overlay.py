"""The overlay against a real directory: the same calls on both have the same results, and the host is untouched."""

# The calls themselves are compared, with bytes as paths:
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH208, PTH211

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path as HostPath
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentry_abi.errors import EACCES, EINVAL, EPERM, EROFS, EXDEV, LinuxError
from sentry_abi.fcntl import F_SEAL_SEAL, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR, O_TRUNC
from sentry_abi.stat import S_IFIFO
from sentry_abi.structs import STAT
from sentry_fs import HostVolume, Overlay, Tmpfs
from sentry_fs.testing import VFS, World
from sentry_pgalloc import MemoryFile
from sentry_vfs import (
    FOLLOW,
    MountNamespace,
    chmod_common,
    do_filp_open,
    do_linkat,
    do_mkdirat,
    do_mknodat,
    do_renameat2,
    do_rmdir,
    do_symlinkat,
    do_unlinkat,
    filename_lookup,
    vfs_truncate,
    vfs_utimes,
)

MEMORY = MemoryFile(1 << 36)
NAMES = st.sampled_from(["a", "b", "d", "d/a", "d/e", "d/e/a", "s", "t", "d/s", "n", "d/n", "d/e/n", "s/a", "t/a"])
TRAILING = st.sampled_from(["", "", "", "/", "/.", "/..", "//"])
PATHS = st.builds(lambda name, end: (name + end).encode(), NAMES, TRAILING)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), PATHS, st.sampled_from([O_TRUNC, O_APPEND, O_EXCL, O_NOFOLLOW, 0])),
        st.tuples(st.sampled_from(["mkdir", "rmdir", "unlink", "read", "stat", "list", "truncate"]), PATHS),
        st.tuples(st.sampled_from(["rename", "link"]), PATHS, PATHS),
        st.tuples(st.just("symlink"), st.sampled_from([b"a", b"d", b"n", b"s", b"../a", b"e/a", b""]), PATHS),
        st.tuples(st.just("chmod"), PATHS, st.sampled_from([0o644, 0o755, 0o600])),
    ),
    max_size=12,
)


def populate(root: HostPath) -> None:
    """Make the first state of both sides."""
    (root / "d/e").mkdir(parents=True)
    for name in ("a", "d/a", "d/e/a"):
        (root / name).write_bytes(name.encode() * 3)
    (root / "b").hardlink_to(root / "a")
    (root / "s").symlink_to("a")
    (root / "t").symlink_to("d")
    (root / "d/s").symlink_to("nowhere")
    for top, directories, _ in os.walk(root):
        for name in directories:
            HostPath(top, name).chmod(0o755)


class HostSide:
    """The calls on a real directory."""

    def __init__(self, root: HostPath) -> None:
        """Begin at root."""
        self.root = root

    def at(self, path: bytes) -> bytes:
        """Return the real path."""
        return bytes(self.root) + b"/" + path

    def write(self, path: bytes, flags: int) -> None:
        """Write to a file, making it."""
        fd = os.open(self.at(path), O_RDWR | O_CREAT | flags, 0o644)
        try:
            os.write(fd, b"written")
        finally:
            os.close(fd)

    def read(self, path: bytes) -> bytes:
        """Return the first bytes."""
        fd = os.open(self.at(path), os.O_RDONLY)
        try:
            return os.read(fd, 100)
        finally:
            os.close(fd)

    def stat(self, path: bytes) -> tuple[int, int, int]:
        """Return mode, size and links, as far as both sides must agree."""
        found = os.lstat(self.at(path))
        directory = stat.S_ISDIR(found.st_mode)
        return found.st_mode, 0 if directory else found.st_size, 0 if directory else found.st_nlink

    def list(self, path: bytes) -> list[bytes]:
        """Return the names."""
        return sorted(os.listdir(self.at(path)))

    def mkdir(self, path: bytes) -> None:
        """Make a directory."""
        os.mkdir(self.at(path), 0o755)

    def rmdir(self, path: bytes) -> None:
        """Remove a directory."""
        os.rmdir(self.at(path))

    def unlink(self, path: bytes) -> None:
        """Remove a name."""
        os.unlink(self.at(path))

    def truncate(self, path: bytes) -> None:
        """Cut."""
        os.truncate(self.at(path), 2)

    def rename(self, old: bytes, new: bytes) -> None:
        """Move."""
        os.rename(self.at(old), self.at(new))

    def link(self, old: bytes, new: bytes) -> None:
        """Make a second name."""
        os.link(self.at(old), self.at(new), follow_symlinks=False)

    def symlink(self, target: bytes, path: bytes) -> None:
        """Make a link."""
        os.symlink(target, self.at(path))

    def chmod(self, path: bytes, mode: int) -> None:
        """Set rights."""
        os.chmod(self.at(path), mode)


class OverlaySide:
    """The same calls on an overlay."""

    def __init__(self, root: HostPath) -> None:
        """Begin at root."""
        overlay = Overlay(VFS, MEMORY, bytes(root))
        self.world = World(MountNamespace(overlay, overlay.root))
        self.mnt, self.ctx, self.creds = self.world.mnt, self.world.ctx, self.world.creds

    def write(self, path: bytes, flags: int) -> None:
        """Write to a file, making it."""
        file = do_filp_open(None, path, O_RDWR | O_CREAT | flags, 0o644, self.ctx, self.creds)
        file.incref()
        file.write([b"written"])
        file.decref()

    def read(self, path: bytes) -> bytes:
        """Return the first bytes."""
        file = do_filp_open(None, path, 0, 0, self.ctx, self.creds)
        file.incref()
        buffer = bytearray(100)
        try:
            return bytes(buffer[: file.read([memoryview(buffer)])])
        finally:
            file.decref()

    def stat(self, path: bytes) -> tuple[int, int, int]:
        """Return mode, size and links, as far as both sides must agree."""
        fields = STAT.unpack(filename_lookup(None, path, self.ctx, self.creds, 0).dentry.positive().stat())
        directory = stat.S_ISDIR(fields[3])
        return fields[3], 0 if directory else fields[7], 0 if directory else fields[2]

    def list(self, path: bytes) -> list[bytes]:
        """Return the names."""
        file = do_filp_open(None, path, os.O_DIRECTORY, 0, self.ctx, self.creds)
        entries = file.entries()
        file.discard()
        return sorted(name for name, _, _ in entries if name not in {b".", b".."})

    def mkdir(self, path: bytes) -> None:
        """Make a directory."""
        do_mkdirat(None, path, 0o755, self.ctx, self.creds)

    def rmdir(self, path: bytes) -> None:
        """Remove a directory."""
        do_rmdir(None, path, self.ctx, self.creds)

    def unlink(self, path: bytes) -> None:
        """Remove a name."""
        do_unlinkat(None, path, self.ctx, self.creds)

    def truncate(self, path: bytes) -> None:
        """Cut."""
        vfs_truncate(filename_lookup(None, path, self.ctx, self.creds), 2, self.creds)

    def rename(self, old: bytes, new: bytes) -> None:
        """Move."""
        do_renameat2(None, old, None, new, 0, self.ctx, self.creds)

    def link(self, old: bytes, new: bytes) -> None:
        """Make a second name."""
        do_linkat(filename_lookup(None, old, self.ctx, self.creds, 0), None, new, self.ctx, self.creds)

    def symlink(self, target: bytes, path: bytes) -> None:
        """Make a link."""
        do_symlinkat(None, path, target, self.ctx, self.creds)

    def chmod(self, path: bytes, mode: int) -> None:
        """Set rights."""
        chmod_common(filename_lookup(None, path, self.ctx, self.creds), mode, self.creds)


class VolumeSide(OverlaySide):
    """The same calls on a writable volume."""

    def __init__(self, root: HostPath) -> None:
        """Begin at root."""
        volume = HostVolume(VFS, bytes(root))
        self.world = World(MountNamespace(volume, volume.root))
        self.mnt, self.ctx, self.creds = self.world.mnt, self.world.ctx, self.world.creds


def outcome(call: Callable[..., Any], args: tuple[Any, ...]) -> object:
    """Return what a call answers: its value, or the number of its error."""
    try:
        return call(*args)
    except OSError as failure:
        return f"errno {failure.errno}"
    except LinuxError as failure:
        return f"errno {failure.errno}"


def snapshot(side: HostSide | OverlaySide, path: bytes = b".") -> dict[bytes, object]:
    """Return the whole tree."""
    found: dict[bytes, object] = {}
    for name in side.list(path):
        here = path + b"/" + name
        shown = side.stat(here)
        found[here] = shown, outcome(side.read, (here,))
        if stat.S_ISDIR(shown[0]):
            found |= snapshot(side, here)
    return found


@settings(deadline=None, max_examples=150)
@given(OPERATIONS)
@example([("read", b"n"), ("symlink", b"a", b"n"), ("write", b"n", 512)])  # a missing name becomes a link
@example([("link", b"t/", b"a"), ("rmdir", b"t/")])  # a slash after a link, followed and not
def test_the_same_calls_have_the_same_results(operations: list[tuple[Any, ...]]) -> None:
    """Errors, contents, links and listings agree after every call, and the lower directory never changes."""
    with tempfile.TemporaryDirectory() as scratch:
        lower, real = HostPath(scratch, "lower/top"), HostPath(scratch, "real/top")
        lower.mkdir(parents=True)
        populate(lower)
        subprocess_copy(lower, real)
        before = snapshot(HostSide(lower))
        over, host = OverlaySide(lower.parent), HostSide(real)
        over.ctx.cwd = filename_lookup(None, b"top", over.ctx, over.creds)
        for name, *args in operations:
            expected = outcome(getattr(host, name), tuple(args))
            assert outcome(getattr(over, name), tuple(args)) == expected, (name, args)
        assert snapshot(over) == snapshot(host)
        assert snapshot(HostSide(lower)) == before
        overlay = over.mnt.root_mount.fs
        assert isinstance(overlay, Overlay)
        overlay.trim()
        assert snapshot(over) == snapshot(host)
        overlay.host.tree.close()


def subprocess_copy(source: HostPath, target: HostPath) -> None:
    """Copy a tree with its hard link."""
    shutil.copytree(source, target, symlinks=True)
    (target / "b").unlink()
    (target / "b").hardlink_to(target / "a")


def test_host_changes_show_until_a_file_is_changed_here(over: World, tmp_path: HostPath) -> None:
    """New, removed and replaced files of the host are seen at the next use of their names."""
    ctx, creds = over.ctx, over.creds
    assert outcome(filename_lookup, (None, b"f", ctx, creds)) == "errno 2"
    (tmp_path / "f").write_bytes(b"one")
    assert filename_lookup(None, b"f", ctx, creds).dentry.positive().size() == 3
    (tmp_path / "f").write_bytes(b"three")
    assert filename_lookup(None, b"f", ctx, creds).dentry.positive().size() == 5
    (tmp_path / "f").unlink()
    assert outcome(filename_lookup, (None, b"f", ctx, creds)) == "errno 2"
    (tmp_path / "f").mkdir()
    assert filename_lookup(None, b"f/", ctx, creds).dentry.positive().is_dir
    do_rmdir(None, b"f", ctx, creds)
    (tmp_path / "f/x").write_bytes(b"")
    assert outcome(filename_lookup, (None, b"f", ctx, creds)) == "errno 2"


def test_what_the_host_moves_above_a_file_shows_soon(over: World, tmp_path: HostPath) -> None:
    """A directory renamed and a link that leads elsewhere now are seen when the cached paths expire."""
    ctx, creds = over.ctx, over.creds
    for name, size in ("one", 1), ("two", 2):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(b"x" * size)
    (tmp_path / "link").symlink_to("one")
    paths = (b"one/f", b"link/f")
    assert [filename_lookup(None, path, ctx, creds).dentry.positive().size() for path in paths] == [1, 1]
    (tmp_path / "one").rename(tmp_path / "was")
    (tmp_path / "two").rename(tmp_path / "one")
    time.sleep(0.15)
    assert [filename_lookup(None, path, ctx, creds).dentry.positive().size() for path in paths] == [2, 2]
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("was")
    time.sleep(0.15)
    assert [filename_lookup(None, path, ctx, creds).dentry.positive().size() for path in paths] == [2, 1]


def test_open_files_follow_the_first_change(over: World, tmp_path: HostPath) -> None:
    """A description opened before copy-up sees what another one writes, unlike stacked overlays."""
    (tmp_path / "f").write_bytes(b"before")
    ctx, creds = over.ctx, over.creds
    reader = do_filp_open(None, b"f", 0, 0, ctx, creds)
    number = STAT.unpack(reader.stat())[1]
    writer = do_filp_open(None, b"f", O_RDWR, 0, ctx, creds)
    writer.write([b"AFTER"])
    buffer = bytearray(6)
    assert reader.read([memoryview(buffer)]) == 6
    assert buffer == b"AFTERe"
    assert STAT.unpack(reader.stat())[1] == number
    assert (tmp_path / "f").read_bytes() == b"before"


def test_attributes_of_special_files_are_changed_here(over: World, tmp_path: HostPath) -> None:
    """A FIFO of the host gets a mode of its own."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    where = filename_lookup(None, b"fifo", over.ctx, over.creds)
    chmod_common(where, 0o644, over.creds)
    found = filename_lookup(None, b"fifo", over.ctx, over.creds).dentry.positive()
    assert STAT.unpack(found.stat())[3] == S_IFIFO | 0o644
    assert (tmp_path / "fifo").stat().st_mode == S_IFIFO | 0o600


def test_seals_are_for_files_of_a_tmpfs(over: World, memory: MemoryFile, tmp_path: HostPath) -> None:
    """No file of an overlay has any, whether the host's or new; the files of a tmpfs are sealed against sealing."""
    (tmp_path / "f").write_bytes(b"")
    for path in (b"f", b"new"):
        inode = do_filp_open(None, path, O_CREAT | O_RDWR, 0o600, over.ctx, over.creds).inode
        assert inode is not None
        with pytest.raises(EINVAL):
            inode.get_seals()
        with pytest.raises(EINVAL):
            inode.add_seals(0)
        assert not inode.denies_writes()
    assert Tmpfs(VFS, memory).new_regular(0o600, 0, 0).get_seals() == F_SEAL_SEAL


def test_mapping(over: World, tmp_path: HostPath) -> None:
    """Private views show the host's pages, shared writable ones copy up first, and nothing is beyond the end."""
    (tmp_path / "f").write_bytes(b"x" * 5000)
    file = do_filp_open(None, b"f", O_RDWR, 0, over.ctx, over.creds)
    mappable: Any = file.mappable()
    private = mappable.extents(0, 1 << 20, shared=False, write=True)
    assert [(extent.backing.kind, extent.offset, extent.length) for extent in private] == [("host", 0, 8192)]
    shared = mappable.extents(4096, 8192, shared=True, write=True)
    assert [(extent.backing.kind, extent.length) for extent in shared] == [("memory", 4096)]
    assert bytes(MEMORY.view[0:0]) == b""
    assert mappable.extents(8192, 4096, shared=True, write=True) == []
    assert mappable.mapped_size() == 5000


def test_rename_across_mounts_is_refused(over: World, tmp_path: HostPath) -> None:
    """EXDEV, also for hard links."""
    (tmp_path / "m").mkdir()
    (tmp_path / "f").write_bytes(b"")
    mnt, ctx, creds = over.mnt, over.ctx, over.creds
    other = OverlaySide(tmp_path).mnt.root_mount.fs
    assert isinstance(other, Overlay)
    mnt.attach(other, other.root, filename_lookup(None, b"m", ctx, creds))
    with pytest.raises(EXDEV):
        do_renameat2(None, b"f", None, b"m/g", 0, ctx, creds)
    with pytest.raises(EXDEV):
        do_linkat(filename_lookup(None, b"f", ctx, creds), None, b"m/g", ctx, creds)
    assert filename_lookup(None, b"m/../f", ctx, creds, FOLLOW).dentry.name == b"f"


@settings(deadline=None, max_examples=150)
@given(OPERATIONS)
@example([("write", b"b", 512), ("rename", b"d/a", b"a")])  # the other name of a file with two goes
@example([("read", b"n"), ("symlink", b"a", b"n"), ("write", b"n", 512)])  # a missing name becomes a link
@example([("link", b"t/", b"a"), ("rmdir", b"t/")])  # a slash after a link, followed and not
def test_a_volume_does_to_the_host_what_the_calls_say(operations: list[tuple[Any, ...]]) -> None:
    """The same calls through a volume and directly have the same results, and leave the same on the host."""
    with tempfile.TemporaryDirectory() as scratch:
        shared, real = HostPath(scratch, "shared/top"), HostPath(scratch, "real/top")
        shared.mkdir(parents=True)
        populate(shared)
        subprocess_copy(shared, real)
        volume, host = VolumeSide(shared.parent), HostSide(real)
        volume.ctx.cwd = filename_lookup(None, b"top", volume.ctx, volume.creds)
        for name, *args in operations:
            expected = outcome(getattr(host, name), tuple(args))
            assert outcome(getattr(volume, name), tuple(args)) == expected, (name, args)
        assert snapshot(volume) == snapshot(host)
        assert snapshot(HostSide(shared)) == snapshot(host)
        fs = volume.mnt.root_mount.fs
        assert isinstance(fs, HostVolume)
        fs.host.tree.close()


def test_volume_files(tmp_path: HostPath) -> None:
    """What is written is there at once, a removed file stays open, modes are the guest's, mappings are the host's."""
    side = VolumeSide(tmp_path)
    ctx, creds = side.ctx, side.creds
    file = do_filp_open(None, b"f", O_RDWR | O_CREAT, 0o444, ctx, creds)
    file.incref()
    file.write([b"hello ", b"world"])
    assert (tmp_path / "f").read_bytes() == b"hello world"
    assert (tmp_path / "f").stat().st_mode & 0o7777 == 0o444
    assert STAT.unpack(file.stat())[7] == 11
    mappable: Any = file.mappable()
    assert [e.backing.kind for e in mappable.extents(0, 8192, shared=True, write=True)] == ["shared"]
    assert [e.backing.kind for e in mappable.extents(0, 8192, shared=False, write=True)] == ["host"]
    assert mappable.extents(4096, 4096, shared=True, write=True) == []
    file.sync()
    file.truncate(5)
    assert (file.size(), mappable.mapped_size()) == (5, 5)
    file.allocate(0, 0, 100)
    assert (tmp_path / "f").stat().st_size == 100
    do_unlinkat(None, b"f", ctx, creds)
    buffer = bytearray(5)
    assert file.pread([memoryview(buffer)], 0) == 5
    assert buffer == b"hello"
    assert STAT.unpack(file.stat())[2] == 0
    file.decref()
    more = do_filp_open(None, b"log", O_RDWR | O_CREAT | O_APPEND, 0o600, ctx, creds)
    more.write([b"one"])
    with (tmp_path / "log").open("ab") as log:
        log.write(b"two")
    more.write([b"three"])
    assert (tmp_path / "log").read_bytes() == b"onetwothree"
    assert more.pos == 11
    place = filename_lookup(None, b"log", ctx, creds)
    vfs_utimes(place, 5_000_000_000, 6_000_000_000, creds)
    chmod_common(place, 0o640, creds)
    found = (tmp_path / "log").stat()
    assert (found.st_atime, found.st_mtime, found.st_mode & 0o777) == (5, 6, 0o640)


def test_a_volume_is_no_door(tmp_path: HostPath) -> None:
    """Links of the host lead nowhere on the host, special files are not opened, and read-only is read-only."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "inside/link").symlink_to(tmp_path / "outside")
    (tmp_path / "inside/up").symlink_to("../outside")
    os.mkfifo(tmp_path / "inside/fifo")
    (tmp_path / "inside/file").write_bytes(b"x")
    side = VolumeSide(tmp_path / "inside")
    ctx, creds = side.ctx, side.creds
    for name in (b"link", b"up", b"../outside"):
        assert outcome(side.read, (name,)) == "errno 2"
    with pytest.raises(EACCES):
        do_filp_open(None, b"fifo", O_RDWR, 0, ctx, creds)
    with pytest.raises(EPERM):
        do_mknodat(None, b"pipe", stat.S_IFIFO | 0o600, 0, ctx, creds)
    side.unlink(b"fifo")
    assert not (tmp_path / "inside/fifo").exists()
    volume = HostVolume(VFS, bytes(tmp_path / "inside"), readonly=True)
    world = World(MountNamespace(volume, volume.root))
    calls: tuple[tuple[Callable[..., Any], tuple[Any, ...]], ...] = (
        (do_mkdirat, (None, b"d", 0o755)),
        (do_unlinkat, (None, b"file")),
        (do_filp_open, (None, b"file", O_RDWR, 0)),
        (do_filp_open, (None, b"new", O_RDWR | O_CREAT, 0o644)),
    )
    for call, args in calls:
        with pytest.raises(EROFS):
            call(*args, world.ctx, world.creds)
    inode = filename_lookup(None, b"file", world.ctx, world.creds).dentry.positive()
    with pytest.raises(EROFS):
        inode.truncate(None, 0)
