"""Which objects of fs can be saved, and how. Only save, load and tests import this.

Files of the host are opened again when they are loaded, by the names at which they were found. Inherited descriptors
keep their numbers: the restoring process has them open.
"""

from typing import TYPE_CHECKING, Final

from sentry_fs._counted import CountedFile, CountedInode
from sentry_fs._data import FileData, Memory
from sentry_fs._device import Device, FullDevice, NullDevice, RandomDevice, ZeroDevice
from sentry_fs._generated import Fixed, FixedDirectory, Generated, GeneratedDirectory, GeneratedFile, Link
from sentry_fs._host import HostDir, HostFd, HostTree
from sentry_fs._hostfile import HostFile, HostFilesystem, InheritedInode, InheritedMapping, Interest
from sentry_fs._hostinode import HostBacked, HostDirectory, HostInode, HostNames, HostRegular, HostSpecial
from sentry_fs._memtree import Directory, MemoryTree, Special, Symlink
from sentry_fs._overlay import (
    LowerFile,
    Overlay,
    OverlayDirectory,
    OverlayInode,
    OverlayRegular,
    OverlaySpecial,
    OverlaySymlink,
)
from sentry_fs._pts import Devpts, MultiplexerInode, PtsDirectory
from sentry_fs._quota import MemoryFilesystem, Quota
from sentry_fs._regular import Regular, RegularFile, Sealable
from sentry_fs._root import Devfs, Sysfs, Terminal
from sentry_fs._slave import SlaveFile, SlaveInode
from sentry_fs._tmpfs import MemfdInode, Memfds, Tmpfs
from sentry_fs._volume import (
    HostVolume,
    VolumeDirectory,
    VolumeFile,
    VolumeInode,
    VolumeRegular,
    VolumeSpecial,
    VolumeSymlink,
)
from sentry_fs._xattr import XattrInode

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {Memory: "protocol", Terminal: "protocol"}

_PLAIN: Final = (
    XattrInode, CountedInode, CountedFile, FileData, Device, NullDevice, ZeroDevice, FullDevice, RandomDevice,
    Generated, GeneratedFile, Fixed, Link, GeneratedDirectory, FixedDirectory, HostFilesystem, Interest,
    InheritedInode, HostFile, InheritedMapping, HostNames, HostBacked, HostInode, HostDirectory, HostRegular,
    HostSpecial, Quota, MemoryFilesystem, Regular, RegularFile, Sealable, MemfdInode, MemoryTree, Directory, Special,
    Symlink, Tmpfs, Memfds, OverlayInode, Overlay, OverlayDirectory, OverlayRegular, OverlaySpecial, OverlaySymlink,
    LowerFile, SlaveInode, SlaveFile, MultiplexerInode, PtsDirectory, Devpts, Devfs, Sysfs, HostVolume, VolumeInode,
    VolumeDirectory, VolumeRegular, VolumeSymlink, VolumeSpecial, VolumeFile,
)  # fmt: skip
"""The classes that save all their slots, bases first."""


def _closed() -> int:
    return -1


def register(registry: "Registry") -> None:
    """Register the classes of this library. Needs those of sentry_vfs, sentry_tty, sentry_mm and sentry_waiter.

    The memory file and what watches inherited descriptors are externals.
    """
    for cls in _PLAIN:
        registry.savable(f"fs.{cls.__name__}", fields=cls.__slots__)(cls)
    registry.savable(
        "fs.HostDir",
        fields=("dev", "ino", "name", "parent", "tree", "used"),
        fresh={"_fd": _closed},
    )(HostDir)
    registry.savable(
        "fs.HostFd",
        fields=("directory", "ino", "kind", "name", "references", "tree"),
        unsaved={"fd": "the host's; after_load opens the file again"},
        waits=("tree",),
    )(HostFd)
    registry.savable(
        "fs.HostTree",
        fields=("_files", "path", "root"),
        unsaved={
            "buffer": "native; after_load makes it",
            "listing": "native; after_load makes it",
            "listing_buffer": "native; after_load makes it",
            "procfd": "the host's; after_load opens it",
            "root_stat": "the host's; after_load asks for it",
            "scratch": "native; after_load makes it",
        },
        fresh={"_dirs": dict},
        waits=("root",),
    )(HostTree)
