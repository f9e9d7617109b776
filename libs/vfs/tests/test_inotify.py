"""inotify: merging, the limit of the queue, masks, and that nothing is left behind."""

import pytest

from sentry_abi.errors import EAGAIN, EEXIST, EINVAL
from sentry_abi.poll import (
    IN_ACCESS,
    IN_CREATE,
    IN_DELETE_SELF,
    IN_IGNORED,
    IN_MASK_ADD,
    IN_MASK_CREATE,
    IN_MODIFY,
    IN_ONESHOT,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
)
from sentry_abi.structs import INOTIFY_EVENT
from sentry_host import real_host
from sentry_vfs import (
    Dentry,
    Filesystem,
    Inode,
    InotifyFile,
    Mount,
    MountNamespace,
    Path,
    VirtualFilesystem,
    fsnotify_dentry,
)
from sentry_vfs._fsnotify import fsnotify_inoderemove
from sentry_vfs._inotify import MAX_QUEUED

VFS = VirtualFilesystem(real_host())


class Folder(Inode):
    """A directory."""

    is_dir = True


def place() -> tuple[InotifyFile, Dentry, Dentry]:
    """Return an instance, a directory, and a file in it."""
    fs = Filesystem(VFS)
    root = Dentry(b"", None, Folder(fs, 1, 0o40755))
    child = Dentry(b"name", root, Inode(fs, 2, 0o100644))
    child.hash()
    instance = InotifyFile(VFS.anonymous, 0)
    instance.incref()
    return instance, root, child


def events(instance: InotifyFile) -> list[tuple[int, int, int, bytes]]:
    """Take all events."""
    buffer = bytearray(1 << 20)
    try:
        size = instance.read([memoryview(buffer)[:17], memoryview(buffer)[17:]])
    except EAGAIN:
        return []
    found = []
    at = 0
    while at < size:
        number, mask, cookie, length = INOTIFY_EVENT.unpack_from(buffer, at)
        at += 16 + length
        found.append((number, mask, cookie, bytes(buffer[at - length : at]).rstrip(b"\0")))
    return found


def test_names_and_merging() -> None:
    """The directory learns the name, the file itself none; the same twice is one event."""
    instance, root, child = place()
    assert instance.add(root, IN_MODIFY) == 1
    assert instance.add(child, IN_MODIFY | IN_ACCESS) == 2
    inode = child.positive()
    for _ in range(3):
        fsnotify_dentry(child, inode, IN_ACCESS)
    fsnotify_dentry(child, inode, IN_MODIFY)
    assert instance.clamp(1000) == 16 + 32 + 16
    assert instance.clamp(20) == 20
    with pytest.raises(EINVAL):
        instance.read([memoryview(bytearray(15))])
    assert events(instance) == [(2, IN_ACCESS, 0, b""), (1, IN_MODIFY, 0, b"name"), (2, IN_MODIFY, 0, b"")]
    assert not instance.readiness()


def test_masks() -> None:
    """Set anew, added to, only if new, once."""
    instance, _, child = place()
    inode = child.positive()
    instance.add(child, IN_ACCESS)
    instance.add(child, IN_MODIFY | IN_MASK_ADD)
    with pytest.raises(EEXIST):
        instance.add(child, IN_MODIFY | IN_MASK_CREATE)
    fsnotify_dentry(child, inode, IN_ACCESS)
    assert instance.add(child, IN_MODIFY | IN_ONESHOT) == 1
    fsnotify_dentry(child, inode, IN_ACCESS)
    fsnotify_dentry(child, inode, IN_MODIFY)
    fsnotify_dentry(child, inode, IN_MODIFY)
    assert events(instance) == [(1, IN_ACCESS, 0, b""), (1, IN_MODIFY, 0, b""), (1, IN_IGNORED, 0, b"")]
    assert inode.watches is None
    assert not inode.fs.watched
    with pytest.raises(EINVAL):
        instance.remove(1)


def test_the_queue_has_a_limit() -> None:
    """What does not fit is one event that says so."""
    instance, root, _ = place()
    for number in range(MAX_QUEUED + 10):
        instance.put(1, IN_CREATE, 0, b"%d" % number)
    found = events(instance)
    assert len(found) == MAX_QUEUED + 1
    assert found[-1] == (-1, IN_Q_OVERFLOW, 0, b"")
    assert root.positive().watches is None


def test_ends() -> None:
    """A file that goes, a file system that goes, an instance that goes."""
    instance, root, child = place()
    instance.add(child, IN_DELETE_SELF)
    fsnotify_inoderemove(child.positive())
    assert events(instance) == [(1, IN_DELETE_SELF, 0, b""), (1, IN_IGNORED, 0, b"")]
    instance.add(root, IN_CREATE)
    base = Filesystem(VFS)
    top = Dentry(b"", None, Folder(base, 1, 0o40755))
    mnt = MountNamespace(base, top)
    mount = mnt.attach(root.positive().fs, root, Path(mnt.root_mount, top))
    assert isinstance(mount, Mount)
    mnt.detach(Path(mount, root))
    assert events(instance) == [(2, IN_UNMOUNT, 0, b""), (2, IN_IGNORED, 0, b"")]
    instance.add(root, IN_CREATE)
    instance.decref()
    assert root.positive().watches is None
    assert not root.positive().fs.watched
