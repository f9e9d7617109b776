"""Which objects of vfs can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_vfs._anon_inodes import AnonymousFilesystem
from sentry_vfs._context import FSContext
from sentry_vfs._directory import DirectoryFile
from sentry_vfs._epoll import EpollFile, Item
from sentry_vfs._eventfd import EventFile
from sentry_vfs._fdtable import FDTable
from sentry_vfs._file import EpollItem, FileDescription, UserMemory
from sentry_vfs._fsnotify import NotifyingFile
from sentry_vfs._inotify import InodeWatches, InotifyFile, Watch
from sentry_vfs._locks import Lock, LockTable
from sentry_vfs._namei import NameiData
from sentry_vfs._namespace import MountNamespace
from sentry_vfs._node import Credentials, Dentry, Filesystem, Inode, KernelWide, Mount, OpenFile, Path, Watches
from sentry_vfs._opath import PathFile
from sentry_vfs._pathcache import PathCache
from sentry_vfs._pathref import PathRef
from sentry_vfs._pipe import Packet, Pipe, PipeFile, PipeFilesystem, PipeInode
from sentry_vfs._vfs import MemfdMaker, Programs, VirtualFilesystem
from sentry_vfs._watcher import FdWatcher

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {
    Credentials: "protocol",
    EpollItem: "protocol",
    FdWatcher: "protocol",
    KernelWide: "protocol",
    MemfdMaker: "protocol",
    NameiData: "lives for one path walk",
    NotifyingFile: "protocol",
    OpenFile: "protocol",
    Packet: "a kind of bytes; its pipe saves it",
    PathCache: "derived; a context makes an empty one",
    Programs: "protocol",
    UserMemory: "protocol",
    Watches: "protocol",
}


def register(registry: "Registry") -> None:
    """Register the classes of this library. Needs those of sentry_waiter; the host is an external."""
    _register_tree(registry)
    _register_files(registry)


def _register_tree(registry: "Registry") -> None:
    registry.savable(
        "vfs.VirtualFilesystem",
        fields=VirtualFilesystem.__slots__,
    )(VirtualFilesystem)
    registry.savable(
        "vfs.Filesystem",
        fields=("active", "dev", "next_ino", "options", "readonly", "source", "vfs", "watched"),
        unsaved={"now": "the host's function; after_load takes it again"},
    )(Filesystem)
    registry.savable("vfs.AnonymousFilesystem", fields=("inode",))(AnonymousFilesystem)
    registry.savable("vfs.PipeFilesystem")(PipeFilesystem)
    registry.savable(
        "vfs.Inode",
        fields=(
            "atime", "ctime", "fs", "gid", "ino", "locks", "mode", "mtime", "nlink", "rdev", "uid", "watches",
        ),
    )(Inode)  # fmt: skip
    registry.savable("vfs.PipeInode", fields=("pipe",))(PipeInode)
    registry.savable("vfs.Dentry", fields=Dentry.__slots__)(Dentry)
    registry.savable("vfs.Mount", fields=Mount.__slots__)(Mount)
    registry.savable("vfs.Path")(Path)
    registry.savable("vfs.PathRef", fields=PathRef.__slots__)(PathRef)
    registry.savable("vfs.MountNamespace", fields=MountNamespace.__slots__)(MountNamespace)
    registry.savable(
        "vfs.FSContext",
        fields=("_cwd", "_root", "umask", "users"),
        unsaved={"paths": "a cache; after_load makes an empty one"},
    )(FSContext)


def _register_files(registry: "Registry") -> None:
    registry.savable("vfs.FileDescription", fields=FileDescription.__slots__)(FileDescription)
    registry.savable("vfs.PathFile")(PathFile)
    registry.savable("vfs.DirectoryFile", fields=DirectoryFile.__slots__)(DirectoryFile)
    registry.savable("vfs.FDTable", fields=FDTable.__slots__)(FDTable)
    registry.savable("vfs.Lock")(Lock)
    registry.savable("vfs.LockTable", fields=LockTable.__slots__)(LockTable)
    registry.savable("vfs.EventFile", fields=EventFile.__slots__)(EventFile)
    registry.savable("vfs.EpollFile", fields=EpollFile.__slots__)(EpollFile)
    registry.savable("vfs.Item", fields=Item.__slots__)(Item)
    registry.savable("vfs.InotifyFile", fields=InotifyFile.__slots__)(InotifyFile)
    registry.savable("vfs.InodeWatches", fields=InodeWatches.__slots__)(InodeWatches)
    registry.savable("vfs.Watch", fields=Watch.__slots__)(Watch)
    registry.savable("vfs.PipeFile", fields=PipeFile.__slots__)(PipeFile)
    registry.savable(
        "vfs.Pipe",
        fields=tuple(name for name in Pipe.__slots__ if name != "_chunks"),
        unsaved={"_chunks": "before_save puts their kinds and bytes into _saved"},
    )(Pipe)
