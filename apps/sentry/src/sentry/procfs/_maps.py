"""/proc/PID/maps and smaps: the areas of an address space."""

from typing import TYPE_CHECKING

from sentry.procfs._taskfile import memory_of, permit
from sentry_vfs import FileDescription, Inode, Path, d_path

if TYPE_CHECKING:
    from sentry.kernel.state import Task


def name_of(name: object) -> bytes:
    """Return the name of a mapping: bytes, or an object that gives its path."""
    if isinstance(name, bytes):
        return name
    if isinstance(name, FileDescription):
        return name.path()
    return d_path(name) if isinstance(name, Path) else b""


def _map_rows(task: "Task", *, details: bool) -> bytes:
    permit(task)
    mm = memory_of(task)
    if mm is None:
        return b""
    rows = []
    for area in mm.vmas:
        prot = area.prot
        letters = bytes(letter if prot & bit else 45 for bit, letter in ((1, 114), (2, 119), (4, 120))) + (
            b"s" if area.shared else b"p"
        )
        inode = area.file if isinstance(area.file, Inode) else None
        dev, ino = (inode.fs.dev, inode.ino) if inode is not None else (0, 0)
        offset = area.offset if area.file is not None else 0
        row = b"%08x-%08x %b %08x %02x:%02x %d " % (area.start, area.end, letters, offset, 0, dev & 0xFF, ino)
        name = name_of(mm.name_of(area))
        row = row.ljust(73) + name if name else row
        rows.append(row + b"\n")
        if details:
            size = area.end - area.start >> 10
            rows.append(
                b"Size:           %8d kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
                b"Rss:            %8d kB\nPss:            %8d kB\nVmFlags: \n" % (size, 0, 0)
            )
    return b"".join(rows)


def maps(task: "Task") -> bytes:
    """Return the areas of the address space."""
    return _map_rows(task, details=False)


def smaps(task: "Task") -> bytes:
    """Return the areas with figures; Differs: residence is not known per area and shown as 0."""
    return _map_rows(task, details=True)
