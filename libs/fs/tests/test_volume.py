"""What a volume does on the host: names, attributes, links; what it refuses."""

import os
from pathlib import Path as HostPath

import pytest

from sentry_abi.errors import EINVAL, ENODATA, ENOENT, ENOTEMPTY, EOPNOTSUPP, EPERM
from sentry_abi.fcntl import O_CREAT, O_RDWR, O_TMPFILE, O_WRONLY, RENAME_EXCHANGE
from sentry_abi.stat import S_IFIFO, S_IFREG
from sentry_abi.structs import STAT
from sentry_fs import HostVolume
from sentry_fs.testing import VFS, World
from sentry_vfs import (
    FileDescription,
    Inode,
    MountNamespace,
    Path,
    chmod_common,
    chown_common,
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


@pytest.fixture
def w(tmp_path: HostPath) -> World:
    """Return a volume of an empty directory."""
    volume = HostVolume(VFS, bytes(tmp_path))
    return World(MountNamespace(volume, volume.root))


def find(w: World, path: bytes) -> Path:
    """Walk; a link at the end is not followed."""
    return filename_lookup(None, path, w.ctx, w.creds, 0)


def inode_of(w: World, path: bytes) -> Inode:
    """Return what a path leads to."""
    return find(w, path).dentry.positive()


def opened(w: World, path: bytes, flags: int = O_RDWR | O_CREAT) -> FileDescription:
    """Open a file, for one holder."""
    file = do_filp_open(None, path, flags, 0o644, w.ctx, w.creds)
    file.incref()
    return file


def rename(w: World, old: bytes, new: bytes, flags: int = 0) -> None:
    """Rename."""
    do_renameat2(None, old, None, new, flags, w.ctx, w.creds)


def test_renames(w: World, tmp_path: HostPath) -> None:
    """Files and directories over others, between directories, exchanged; what is open follows its file."""
    for name in ("a", "a/sub", "b", "b/empty"):
        (tmp_path / name).mkdir()
    for name in ("a/f", "b/f", "a/sub/leaf"):
        (tmp_path / name).write_text(name)
    victim, moved = opened(w, b"b/f", 0), opened(w, b"a/f", O_WRONLY)
    inside = find(w, b"a/sub/leaf").dentry
    rename(w, b"a/f", b"b/f")
    moved.write([b"through"])
    assert (tmp_path / "b/f").read_text() == "through"
    assert (STAT.unpack(victim.stat())[2], victim.size()) == (0, 3)
    rename(w, b"a/sub", b"b/empty")
    assert find(w, b"b/empty/leaf").dentry is inside
    do_symlinkat(None, b"link", b"elsewhere", w.ctx, w.creds)
    rename(w, b"link", b"b/f", RENAME_EXCHANGE)
    assert (tmp_path / "link").read_text() == "through"
    assert inode_of(w, b"b/f").readlink() == b"elsewhere"
    rename(w, b"b/f", b"b/link")
    assert (inode_of(w, b"b/link").size(), (tmp_path / "b/link").is_symlink()) == (9, True)
    rename(w, b"b/empty", b"link", RENAME_EXCHANGE)
    assert {entry.name for entry in (tmp_path / "link").iterdir()} == {"leaf"}
    with pytest.raises(ENOTEMPTY):
        do_rmdir(None, b"link", w.ctx, w.creds)
    do_unlinkat(None, b"link/leaf", w.ctx, w.creds)
    do_rmdir(None, b"link", w.ctx, w.creds)
    assert not (tmp_path / "link").exists()


def test_links_and_names_of_the_host(w: World, tmp_path: HostPath) -> None:
    """Both names are one inode; names that the host removes or replaces are seen at the next use."""
    opened(w, b"one").write([b"x"])
    do_linkat(find(w, b"one"), None, b"two", w.ctx, w.creds)
    assert inode_of(w, b"one") is inode_of(w, b"two")
    assert (STAT.unpack(inode_of(w, b"two").stat())[2], (tmp_path / "two").stat().st_nlink) == (2, 2)
    do_symlinkat(None, b"soft", b"one", w.ctx, w.creds)
    do_linkat(find(w, b"soft"), None, b"softer", w.ctx, w.creds)
    assert os.readlink(tmp_path / "softer") == "one"  # noqa: PTH115  (the text)
    (tmp_path / "two").unlink()
    with pytest.raises(ENOENT):
        find(w, b"two")
    stale = find(w, b"one")
    (tmp_path / "one").unlink()
    with pytest.raises(ENOENT):
        do_linkat(stale, None, b"three", w.ctx, w.creds)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(EPERM):
        do_linkat(find(w, b"fifo"), None, b"fifo2", w.ctx, w.creds)


def test_attributes(w: World, tmp_path: HostPath) -> None:
    """Mode, owner, times and size of files, directories and links, open or not."""
    do_mkdirat(None, b"d", 0o755, w.ctx, w.creds)
    do_mknodat(None, b"f", S_IFREG | 0o600, 0, w.ctx, w.creds)
    do_symlinkat(None, b"l", b"f", w.ctx, w.creds)
    uid, gid = os.getuid(), os.getgid()
    for path in (b"d", b"f"):
        chmod_common(find(w, path), 0o711, w.creds)
        chown_common(find(w, path), uid, gid, w.creds)
        vfs_utimes(find(w, path), 5_000_000_000, None, w.creds)
        found = (tmp_path / path.decode()).stat()
        shown = STAT.unpack(inode_of(w, path).stat())
        assert (found.st_mode & 0o777, found.st_atime) == (0o711, 5)
        assert (shown[3], shown[10]) == (found.st_mode, 5)
    chown_common(find(w, b"l"), uid, gid, w.creds)
    vfs_utimes(find(w, b"l"), 6_000_000_000, 7_000_000_000, w.creds)
    assert (tmp_path / "l").lstat().st_mtime == 7
    file = opened(w, b"f", O_RDWR)
    (tmp_path / "f").unlink()
    where = file.where
    assert where is not None
    chmod_common(where, 0o600, w.creds)
    chown_common(where, uid, gid, w.creds)
    vfs_utimes(where, 8_000_000_000, 8_000_000_000, w.creds)
    file.truncate(100)
    shown = STAT.unpack(file.stat())
    assert (shown[3] & 0o777, shown[7], shown[10]) == (0o600, 100, 8)
    opened(w, b"g").write([b"12345"])
    vfs_truncate(find(w, b"g"), 2, w.creds)
    assert (tmp_path / "g").read_bytes() == b"12"
    assert inode_of(w, b"g").size() == 2


def test_refusals(w: World, tmp_path: HostPath) -> None:
    """No extended attributes, no nameless files, no changes of special files, nothing that the open forbids."""
    (tmp_path / "f").write_bytes(b"x")
    os.mkfifo(tmp_path / "fifo")
    do_mkdirat(None, b"d", 0o755, w.ctx, w.creds)
    for path in (b"f", b"d"):
        inode = inode_of(w, path)
        assert inode.listxattr() == []
        with pytest.raises(ENODATA):
            inode.getxattr(b"user.a")
        with pytest.raises(ENODATA):
            inode.removexattr(None, b"user.a")
        with pytest.raises(EOPNOTSUPP):
            inode.setxattr(None, b"user.a", b"", 0)
        with pytest.raises(EINVAL):
            inode.get_seals()
    with pytest.raises(EOPNOTSUPP):
        opened(w, b"d", O_TMPFILE | O_RDWR)
    with pytest.raises(EPERM):
        do_mknodat(None, b"new", S_IFIFO | 0o600, 0, w.ctx, w.creds)
    with pytest.raises(EPERM):
        chmod_common(find(w, b"fifo"), 0o777, w.creds)
    reader = opened(w, b"f", 0)
    with pytest.raises(EINVAL):
        reader.truncate(0)
    with pytest.raises(EINVAL):
        vfs_truncate(find(w, b"f"), -1, w.creds)
    statfs = w.mnt.root_mount.fs.statfs()
    assert statfs[:8] == (0x00C0_FFEE).to_bytes(8, "little")
