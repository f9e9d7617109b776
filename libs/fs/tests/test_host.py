"""What of the host can be reached, and what cannot."""

import os
import socket
from pathlib import Path as HostPath

import pytest

from sentry_abi.errors import EACCES, EINVAL, ENOENT, ENXIO, LinuxError
from sentry_fs import HostTree, HostVolume, Overlay, build_default_root, mount_at
from sentry_fs._host import MAX_DIRS
from sentry_fs._native._lib import ffi, lib
from sentry_fs.testing import VFS, Creds, World
from sentry_pgalloc import MemoryFile
from sentry_vfs import MountNamespace, d_path, do_filp_open, filename_lookup


@pytest.fixture
def host(memory: MemoryFile) -> World:
    """Return a world over the host's whole tree, without mounts of our own."""
    overlay = Overlay(VFS, memory, b"/")
    return World(MountNamespace(overlay, overlay.root))


def exists(world: World, path: bytes) -> bool:
    """Return whether a path leads to a file."""
    try:
        filename_lookup(None, path, world.ctx, world.creds)
    except LinuxError:
        return False
    return True


@pytest.mark.parametrize(
    "path",
    [
        b"/proc/self/mem",
        b"/proc/self/../self/maps",
        b"/proc/thread-self/root",
        b"/proc/1",
        b"/sys/kernel",
        b"/dev/pts/0",
        b"/../proc/self",
        b"/usr/../proc/self/environ",
    ],
)
def test_pseudo_file_systems_show_as_empty_directories(host: World, path: bytes) -> None:
    """No name leads into the host's /proc and its like: the sentry's own memory would be among it."""
    assert not exists(host, path)
    entries = do_filp_open(None, b"/proc", 0, 0, host.ctx, host.creds).entries()
    assert [name for name, _, _ in entries] == [b".", b".."]


def test_special_files_can_be_looked_at_only(over: World, tmp_path: HostPath) -> None:
    """FIFOs, sockets and devices of the host have attributes and cannot be opened; nothing waits for them."""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(bytes(tmp_path / "socket"))
        for name, error in ((b"fifo", EACCES), (b"socket", ENXIO)):
            assert exists(over, name)
            with pytest.raises(error):
                do_filp_open(None, name, 2, 0, over.ctx, over.creds)


def test_links_stay_inside(over: World, tmp_path: HostPath) -> None:
    """A link of the host is walked by the guest's own rules: absolute ones begin at the guest's root."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_bytes(b"ours")
    (tmp_path / "absolute").symlink_to("/etc/passwd")
    (tmp_path / "up").symlink_to("../../../../../../etc/passwd")
    for name in (b"absolute", b"up"):
        file = do_filp_open(None, name, 0, 0, over.ctx, over.creds)
        buffer = bytearray(10)
        assert file.read([memoryview(buffer)]) == 4


def test_the_native_part_takes_single_names_only(tmp_path: HostPath) -> None:
    """A name with a slash, `..` and the empty name are refused before the host sees them."""
    tree = HostTree(bytes(tmp_path))
    out = ffi.new("unsigned char[144]")
    for name in (b"", b".", b"..", b"a/b", b"/etc"):
        assert lib.ks_stat(tree.root.fd(), name, 0, 0, out) == -EINVAL.errno
        assert lib.ks_open(tree.procfd, tree.root.fd(), name, 1, out) == -EINVAL.errno
        assert lib.ks_readlink(tree.root.fd(), name, out, 144) == -EINVAL.errno
    assert lib.ks_stat(tree.root.fd(), b"none", 0, 0, out) == -ENOENT.errno
    tree.close()


def test_descriptors_are_bounded(over: World, tmp_path: HostPath) -> None:
    """However many directories and files are looked at, few stay open; evicted ones are opened again."""
    for index in range(MAX_DIRS + 60):
        (tmp_path / f"d{index}").mkdir()
        (tmp_path / f"d{index}/f").write_bytes(b"%d" % index)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (numbers, not paths)
    for _ in range(2):
        for index in range(MAX_DIRS + 60):
            file = do_filp_open(None, b"d%d/f" % index, 0, 0, over.ctx, over.creds)
            file.incref()
            buffer = bytearray(10)
            done = file.read([memoryview(buffer)])
            file.decref()
            assert buffer[:done] == b"%d" % index
    assert len(os.listdir("/proc/self/fd")) - before <= MAX_DIRS + 128  # noqa: PTH208


def test_unreadable_files_are_refused_to_others(over: World, tmp_path: HostPath) -> None:
    """Rights of the host's files count for the guest's users."""
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "f").chmod(0o600)
    with pytest.raises(EACCES):
        do_filp_open(None, b"f", 0, 0, over.ctx, Creds(4242, 4242))


def test_default_root(memory: MemoryFile, tmp_path: HostPath) -> None:
    """Own /dev, /tmp and /sys; the working directory is there although it lies below the host's /tmp."""
    (tmp_path / "here").write_bytes(b"x")
    world = World(build_default_root(VFS, memory, cwd=bytes(tmp_path)))
    ctx, creds = world.ctx, world.creds
    ctx.cwd = filename_lookup(None, bytes(tmp_path), ctx, creds)
    assert d_path(ctx.cwd) == bytes(tmp_path)
    assert exists(world, b"here")
    do_filp_open(None, b"new", 0o102, 0o644, ctx, creds)
    assert not (tmp_path / "new").exists()
    assert exists(world, bytes(tmp_path / "new"))
    assert filename_lookup(None, b"/tmp", ctx, creds).dentry.positive().mode & 0o7777 == 0o1777
    listed = [name for name, _, _ in do_filp_open(None, b"/tmp", 0, 0, ctx, creds).entries()]
    assert len(listed) == 3
    null = do_filp_open(None, b"/dev/null", 2, 0, ctx, creds)
    assert null.write([b"abc"]) == 3
    assert null.read([memoryview(bytearray(4))]) == 0
    assert exists(world, b"/sys/devices/system/cpu/online")
    assert exists(world, b"/etc/passwd")
    buffer = bytearray(64)
    assert do_filp_open(None, b"/dev/urandom", 0, 0, ctx, creds).read([memoryview(buffer)]) == 64
    assert any(buffer)


def test_mount_at_makes_what_is_missing(over: World, memory: MemoryFile) -> None:
    """A mount point is made in memory if the host has none."""
    other = Overlay(VFS, memory, b"/usr")
    mount_at(over.mnt, b"/a/b/c", (other, other.root))
    assert exists(over, b"/a/b/c/bin")
    assert exists(over, b"/a/b/c/../..")


@pytest.mark.parametrize("name", ["nothing", "file"])
def test_a_host_directory_that_cannot_be_opened(name: str, memory: MemoryFile, tmp_path: HostPath) -> None:
    """No half-made file system stays in the kernel's list, which its end shuts down."""
    (tmp_path / "file").touch()
    before = list(VFS.super_blocks)
    with pytest.raises(LinuxError):
        Overlay(VFS, memory, bytes(tmp_path / name))
    with pytest.raises(LinuxError):
        HostVolume(VFS, bytes(tmp_path / name))
    assert list(VFS.super_blocks) == before
