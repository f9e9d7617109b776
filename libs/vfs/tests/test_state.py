"""Saving and loading what the library holds."""

import io
from typing import TypeVar

import pytest

from sentry_abi.errors import EAGAIN, EBUSY
from sentry_abi.fcntl import F_WRLCK, LOCK_EX, O_DIRECT
from sentry_abi.poll import IN_CREATE, IN_MODIFY
from sentry_host.testing import FakeHost
from sentry_state import Reader, Registry, Writer
from sentry_vfs import (
    EOF,
    Dentry,
    DirectoryFile,
    EpollFile,
    EventFile,
    FDTable,
    Filesystem,
    FSContext,
    Inode,
    InotifyFile,
    Lock,
    LockTable,
    MountNamespace,
    PathFile,
    VirtualFilesystem,
    d_path,
    filename_lookup,
    fsnotify_dentry,
    make_pipe,
)
from sentry_vfs._state import register
from sentry_waiter import IN, Entry, Queue
from sentry_waiter._state import register as register_queues

T = TypeVar("T")
HOST = FakeHost().record


class Folder(Inode):
    """A directory whose children are its dentries."""

    __slots__ = ()

    is_dir = True

    def entries(self, dentry: Dentry) -> list[tuple[bytes, int, int]]:
        """Return the children."""
        assert dentry.children is not None
        return [(name, child.positive().ino, 8) for name, child in dentry.children.items()]


class Root:
    """A caller with user id 0."""

    fsuid = fsgid = 0
    groups: tuple[int, ...] = ()

    def capable(self, capability: int, /) -> bool:
        """Return that it may."""
        return True


class Sleeper(Entry):
    """A waiter."""

    __slots__ = ("woken",)

    def __init__(self) -> None:
        """Begin asleep."""
        self.woken = 0

    def notify(self, queue: Queue, mask: int) -> None:
        """Count."""
        self.woken += 1


def copy_of(root: T) -> T:
    """Save an object on one host, load it on another."""
    registry = Registry()
    register_queues(registry)
    register(registry)
    registry.savable("test.Folder")(Folder)
    registry.savable("test.Sleeper", fields=("woken",))(Sleeper)
    with Writer(file := io.BytesIO(), registry=registry) as writer:
        writer.save("vfs", root, {"host": HOST})
    found: T = Reader(io.BytesIO(file.getvalue()), registry=registry).load("vfs", {"host": FakeHost(10**15).record})
    return found


def tree(vfs: VirtualFilesystem, ino: int = 1) -> Dentry:
    """Return the root of a file system with a directory `d` and a file `d/f`."""
    fs = Filesystem(vfs, b"src")
    fs.next_ino = ino + 10
    root = Dentry(b"", None, Folder(fs, ino, 0o40755))
    root.pinned = True
    Dentry(b"d", root, None).instantiate(Folder(fs, ino + 1, 0o40755))
    assert root.children is not None
    below = root.children[b"d"]
    Dentry(b"f", below, None).instantiate(Inode(fs, ino + 2, 0o100644))
    return root


def test_mounts_and_contexts() -> None:
    """A namespace with a mount on a mount; paths lead where they led, ids and numbers go on."""
    vfs = VirtualFilesystem(HOST)
    first, second = tree(vfs), tree(vfs, 50)
    mnt = MountNamespace(first.positive().fs, first)
    ctx = FSContext(mnt.root, umask=0o27)
    mnt.attach(second.positive().fs, second, filename_lookup(None, b"/d", ctx, Root()), 1)
    ctx.cwd = filename_lookup(None, b"/d/d", ctx, Root())
    assert filename_lookup(None, b"f", ctx, Root()).dentry.positive().ino == 52
    ids = [mount.id for mount in mnt.all_mounts()]

    mnt, ctx = copy_of((mnt, ctx))
    assert [mount.id for mount in mnt.all_mounts()] == ids
    found = filename_lookup(None, b"f", ctx, Root())
    assert (found.dentry.positive().ino, d_path(found), ctx.umask) == (52, b"/d/d/f", 0o27)
    assert found.mount.readonly
    fs = found.mount.fs
    assert (fs.source, fs.new_ino()) == (b"src", 60)
    assert fs.now() > 10**15, "the clock is the new host's"
    before = fs.vfs.get_anon_bdev()
    assert before == vfs.get_anon_bdev()
    third = tree(vfs)
    mnt.attach(third.positive().fs, third, filename_lookup(None, b"/d/d", ctx, Root()))
    place = filename_lookup(None, b"/d", ctx, Root())
    with pytest.raises(EBUSY):
        mnt.detach(place)


def test_descriptions() -> None:
    """A table with all kinds of files, shared descriptions and positions."""
    vfs = VirtualFilesystem(HOST)
    root = tree(vfs)
    mnt = MountNamespace(root.positive().fs, root)
    folder = DirectoryFile(0, mnt.root, root.positive())
    names = folder.entries()
    folder.pos = 2
    event = EventFile(vfs.anonymous, 5, 0, semaphore=True)
    table = FDTable()
    for file in (folder, event, event, PathFile(0, mnt.root, root.positive())):
        table.install(file)
    table.set_cloexec(1)
    epoll = EpollFile(vfs.anonymous)
    table.install(epoll)
    epoll.add(event, 1, IN, 0xDA7A)

    table = copy_of(table)
    assert [fd for fd, _ in table] == [0, 1, 2, 3, 4]
    assert table.cloexec(1)
    loaded = table.get(0)
    assert (loaded.pos, loaded.entries(), loaded.path()) == (2, names, b"/")
    assert table.get(1) is table.get(2)
    assert table.get(1).refs == 2
    assert table.get_any(3).is_place
    poller, event = table.get(4), table.get(1)  # type: ignore[assignment]  # an EventFile
    assert isinstance(poller, EpollFile)
    assert poller.take(8) == [(IN, 0xDA7A)]
    buffer = bytearray(8)
    for left in (4, 3, 2, 1, 0):
        event.read([memoryview(buffer)])
        assert event.count == left
    assert not poller.readiness()
    event.write([(1).to_bytes(8, "little")])
    assert poller.readiness(), "the item is in the queue of the loaded file"
    table.close(1)
    table.close(2)
    assert poller.items() == []


def test_pipes() -> None:
    """Bytes, packets, a half-read chunk, and who waits."""
    vfs = VirtualFilesystem(HOST)
    reader, writer = make_pipe(vfs.pipes, 0, 0, O_DIRECT)
    table = FDTable()
    table.install(reader)
    table.install(writer)
    plain, plain_writer = make_pipe(vfs.pipes, 0, 0)
    table.install(plain)
    table.install(plain_writer)
    writer.write([b"one"])
    writer.write([b"two"])
    plain_writer.write([b"x" * 5000])
    plain.read([memoryview(bytearray(10))])
    sleeper = Sleeper()
    plain.pipe.queue.register(sleeper, IN)

    table, sleeper, again = copy_of((table, sleeper, table))
    assert table is again
    buffer = bytearray(100)
    reader = table.get(0)  # type: ignore[assignment]  # a PipeFile
    assert [reader.read([memoryview(buffer)]), reader.read([memoryview(buffer)])] == [3, 3], "packets stay apart"
    with pytest.raises(EAGAIN):
        reader.read([memoryview(buffer)])
    pipe = table.get(2).pipe  # type: ignore[attr-defined]  # as above
    assert (pipe.size, pipe.free_slots, len(pipe.queue)) == (4990, 14, 1)
    table.get(3).write([b"y"])
    assert (pipe.size, sleeper.woken) == (4991, 1)
    assert table.get(1).write([b"three"]) == 5
    assert table.get(2).path() == b"pipe:[2]"


def test_watches_and_locks() -> None:
    """Inotify goes on with its numbers and its queue; locks keep their owners."""
    vfs = VirtualFilesystem(HOST)
    root = tree(vfs)
    assert root.children is not None
    folder = root.children[b"d"]
    instance = InotifyFile(vfs.anonymous, 0)
    instance.incref()
    instance.add(root, IN_CREATE)
    instance.add(folder, IN_MODIFY)
    inode = folder.positive()
    fsnotify_dentry(folder, inode, IN_MODIFY)
    inode.locks = LockTable()
    inode.locks.set(Lock(0, EOF, F_WRLCK, instance, 7))
    inode.locks.flock(instance, LOCK_EX)

    root, instance = copy_of((root, instance))
    assert instance.clamp(1000) == 16
    assert root.children is not None
    folder = root.children[b"d"]
    inode = folder.positive()
    assert [watch.number for watch in instance._by_number.values()] == [1, 2]
    assert len(inode.fs.watched) == 2
    fsnotify_dentry(folder, inode, IN_MODIFY | IN_CREATE)
    assert instance.clamp(1000) == 16 + 16 + 32
    locks = inode.locks
    assert locks is not None
    wanted = Lock(5, 6, F_WRLCK, "other", 8)
    conflict = locks.conflict(wanted)
    assert conflict is not None
    assert (conflict.owner, conflict.pid) == (instance, 7)
    with pytest.raises(EAGAIN):
        locks.flock("other", LOCK_EX)
    locks.drop(instance)
    assert not locks
    instance.decref()
    assert not inode.fs.watched
