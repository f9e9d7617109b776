"""What all mount namespaces of one kernel share."""

from typing import Protocol

from sentry_host import Host
from sentry_vfs._anon_inodes import AnonymousFilesystem
from sentry_vfs._file import FileDescription
from sentry_vfs._node import Filesystem, Inode
from sentry_vfs._pipe import PipeFilesystem


class Programs(Protocol):
    """What the kernel does for the file systems: it knows what is executed, and what to do between calls."""

    def is_executed(self, inode: Inode) -> bool:
        """Return whether a process executes the file now."""
        ...

    def schedule_trim(self) -> None:
        """Call `VirtualFilesystem.trim` soon, between two calls."""
        ...


class MemfdMaker(Protocol):
    """Makes the files of memfd_create(2)."""

    def new_memfd(self, name: bytes, uid: int, gid: int, *, sealable: bool) -> FileDescription:
        """Return a new file without a name, open for reading and writing."""
        ...


class VirtualFilesystem:
    """The kernel-wide part of the file systems: the host, numbers, and the file systems that are never mounted.

    gVisor: vfs.VirtualFilesystem.
    """

    __slots__ = (
        "_cookie",
        "_minor",
        "_mount_id",
        "anonymous",
        "generation",
        "host",
        "memfds",
        "pipes",
        "programs",
        "super_blocks",
        "untrimmed",
    )

    def __init__(self, host: Host, programs: Programs | None = None) -> None:
        """Begin without mounts; without programs no file is executed."""
        self.host = host
        self.programs = programs
        self.generation = 0
        self.super_blocks: dict[Filesystem, None] = {}
        self.untrimmed: dict[Filesystem, None] = {}
        """The file systems that wait for `trim`."""
        self._minor = 32
        self._mount_id = 20
        self._cookie = 0
        self.pipes = PipeFilesystem(self)
        self.anonymous = AnonymousFilesystem(self)
        self.memfds: MemfdMaker | None = None
        """Where memfd_create(2) makes files; set by the maker of the root file system."""

    def get_anon_bdev(self) -> int:
        """Return an unused device number with major 0."""
        self._minor += 1
        return self._minor

    def alloc_mount_id(self) -> int:
        """Return the next mount id."""
        self._mount_id += 1
        return self._mount_id

    def fsnotify_get_cookie(self) -> int:
        """Return the next inotify cookie: 32 bits, never 0."""
        self._cookie = (self._cookie + 1) & 0xFFFF_FFFF or 1
        return self._cookie

    def is_executed(self, inode: Inode) -> bool:
        """Return whether a process executes the file now."""
        return self.programs is not None and self.programs.is_executed(inode)

    def defer_trim(self, fs: Filesystem) -> None:
        """Trim fs once the present call is over: a walk may be going on."""
        self.untrimmed[fs] = None
        if self.programs is not None:
            self.programs.schedule_trim()

    def close(self) -> None:
        """Shut all file systems down, whatever uses them: the kernel ends."""
        for fs in list(self.super_blocks):
            fs.shutdown()

    def trim(self) -> None:
        """Trim what waits for it. Requires: no call is being handled."""
        waiting, self.untrimmed = self.untrimmed, {}
        for fs in waiting:
            fs.trim()
