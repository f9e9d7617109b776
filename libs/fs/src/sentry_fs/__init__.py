"""File systems: tmpfs, devices, the overlay over host directories, inherited descriptors, generated files. Floor 9."""

from typing import TYPE_CHECKING

from sentry_fs._data import FileData, Memory
from sentry_fs._generated import Fixed, FixedDirectory, Generated, GeneratedDirectory, GeneratedFile, Link, build
from sentry_fs._host import HostDir, HostFd, HostTree
from sentry_fs._hostfile import HostFile, HostFilesystem
from sentry_fs._memtree import Special
from sentry_fs._overlay import Overlay
from sentry_fs._pts import Devpts
from sentry_fs._quota import half_of_memory
from sentry_fs._regular import Regular, RegularFile
from sentry_fs._root import Devfs, Sysfs, build_default_root, mount_at, show_terminal
from sentry_fs._tmpfs import Tmpfs

if TYPE_CHECKING:
    from sentry_fs._volume import HostVolume
else:

    def __getattr__(name: str) -> object:
        """Import `HostVolume` when it is asked for: most sandboxes have no volume, and a start does not pay for it."""
        if name != "HostVolume":
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        from sentry_fs._volume import HostVolume  # noqa: PLC0415  (see above)

        return HostVolume


__all__ = [
    "Devfs",
    "Devpts",
    "FileData",
    "Fixed",
    "FixedDirectory",
    "Generated",
    "GeneratedDirectory",
    "GeneratedFile",
    "HostDir",
    "HostFd",
    "HostFile",
    "HostFilesystem",
    "HostTree",
    "HostVolume",
    "Link",
    "Memory",
    "Overlay",
    "Regular",
    "RegularFile",
    "Special",
    "Sysfs",
    "Tmpfs",
    "build",
    "build_default_root",
    "half_of_memory",
    "mount_at",
    "show_terminal",
]
