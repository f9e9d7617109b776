"""Mounts, dentries, path walk, file descriptions, descriptor tables, pipes, eventfd, epoll and file locks. Floor 7.

No locks: one kernel thread. Nothing here blocks; an operation that would raises EAGAIN.
"""

from sentry_vfs._anon_inodes import AnonymousFilesystem
from sentry_vfs._attr import chmod_common, chown_common, path_permission, vfs_truncate, vfs_utimes
from sentry_vfs._buffers import Buffer, Chunks, put_bytes, scatter, take_bytes
from sentry_vfs._context import FSContext
from sentry_vfs._create import do_linkat, do_mkdirat, do_mknodat, do_renameat2, do_rmdir, do_symlinkat, do_unlinkat
from sentry_vfs._directory import DirectoryFile
from sentry_vfs._dpath import d_path
from sentry_vfs._epoll import EpollFile, Item
from sentry_vfs._eventfd import EventFile
from sentry_vfs._fdtable import NR_OPEN, FDTable
from sentry_vfs._file import FileDescription, UserMemory, dentry_open
from sentry_vfs._fsnotify import fsnotify_access, fsnotify_dentry, fsnotify_modify
from sentry_vfs._inotify import InotifyFile, Watch
from sentry_vfs._locks import EOF, Lock, LockTable
from sentry_vfs._namei import (
    BENEATH,
    FOLLOW,
    IN_ROOT,
    NAME,
    NO_LINKS,
    NO_MAGIC,
    NO_MOUNTS,
    NameiData,
    Start,
    filename_lookup,
    path_lookup,
    path_lookupat,
)
from sentry_vfs._namespace import MountNamespace
from sentry_vfs._node import Credentials, Dentry, Filesystem, Inode, KernelWide, Mount, Path, Watches, follow_mount
from sentry_vfs._opath import PathFile
from sentry_vfs._open import do_filp_open
from sentry_vfs._pathcache import PathCache
from sentry_vfs._pathref import PathRef, mntget, mntput, path_get, path_put
from sentry_vfs._permission import EXECUTE, READ, WRITE, may, may_delete, owns
from sentry_vfs._pipe import SLOT, Packet, Pipe, PipeFile, PipeFilesystem, PipeInode, make_pipe
from sentry_vfs._vfs import VirtualFilesystem
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
    "KernelWide",
    "Lock",
    "LockTable",
    "Mount",
    "MountNamespace",
    "NameiData",
    "Packet",
    "Path",
    "PathCache",
    "PathFile",
    "PathRef",
    "Pipe",
    "PipeFile",
    "PipeFilesystem",
    "PipeInode",
    "Start",
    "UserMemory",
    "VirtualFilesystem",
    "Watch",
    "Watches",
    "chmod_common",
    "chown_common",
    "d_path",
    "dentry_open",
    "do_filp_open",
    "do_linkat",
    "do_mkdirat",
    "do_mknodat",
    "do_renameat2",
    "do_rmdir",
    "do_symlinkat",
    "do_unlinkat",
    "filename_lookup",
    "follow_mount",
    "fsnotify_access",
    "fsnotify_dentry",
    "fsnotify_modify",
    "make_pipe",
    "may",
    "may_delete",
    "mntget",
    "mntput",
    "owns",
    "path_get",
    "path_lookup",
    "path_lookupat",
    "path_permission",
    "path_put",
    "put_bytes",
    "scatter",
    "take_bytes",
    "vfs_truncate",
    "vfs_utimes",
]
