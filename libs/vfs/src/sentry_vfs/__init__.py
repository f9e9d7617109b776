"""Mounts, dentries, path walk, file descriptions, descriptor tables, pipes, eventfd, epoll and file locks. Floor 7.

No locks: one kernel thread. Nothing here waits; what would wait raises EAGAIN.
"""

from sentry_vfs._chunks import Chunks, put_bytes, take_bytes
from sentry_vfs._context import FSContext
from sentry_vfs._epoll import EpollFile, Item
from sentry_vfs._eventfd import AnonymousFilesystem, EventFile, scatter
from sentry_vfs._fdtable import NR_OPEN, FDTable
from sentry_vfs._file import Buffer, DirectoryFile, FileDescription, PathFile, path_of
from sentry_vfs._inotify import InotifyFile, Watch, accessed, happened, modified
from sentry_vfs._locks import EOF, Lock, LockTable
from sentry_vfs._node import Credentials, Dentry, Filesystem, Inode, Mount, Path
from sentry_vfs._permission import EXECUTE, READ, WRITE, may, may_delete, owns
from sentry_vfs._pipe import SLOT, Packet, Pipe, PipeFile, PipeFilesystem, PipeInode, make_pipe
from sentry_vfs._tree import Tree
from sentry_vfs._tty import JobControl, MasterFile, Output, Tty, TtyFile, tty_ioctl
from sentry_vfs._walk import BENEATH, FOLLOW, IN_ROOT, NAME, NO_LINKS, NO_MAGIC, NO_MOUNTS, Start
from sentry_vfs._watcher import FdWatcher

__all__ = [
    "BENEATH",
    "EOF",
    "EXECUTE",
    "FOLLOW",
    "IN_ROOT",
    "NAME",
    "NO_LINKS",
    "NO_MAGIC",
    "NO_MOUNTS",
    "NR_OPEN",
    "READ",
    "SLOT",
    "WRITE",
    "AnonymousFilesystem",
    "Buffer",
    "Chunks",
    "Credentials",
    "Dentry",
    "DirectoryFile",
    "EpollFile",
    "EventFile",
    "FDTable",
    "FSContext",
    "FdWatcher",
    "FileDescription",
    "Filesystem",
    "Inode",
    "InotifyFile",
    "Item",
    "JobControl",
    "Lock",
    "LockTable",
    "MasterFile",
    "Mount",
    "Output",
    "Packet",
    "Path",
    "PathFile",
    "Pipe",
    "PipeFile",
    "PipeFilesystem",
    "PipeInode",
    "Start",
    "Tree",
    "Tty",
    "TtyFile",
    "Watch",
    "accessed",
    "happened",
    "make_pipe",
    "may",
    "may_delete",
    "modified",
    "owns",
    "path_of",
    "put_bytes",
    "scatter",
    "take_bytes",
    "tty_ioctl",
]
