"""/proc/PID/mounts, mountinfo and mountstats."""

from typing import TYPE_CHECKING, Final

from sentry.procfs._taskfile import gone
from sentry_abi.errors import EINVAL
from sentry_vfs import Mount, Path, d_path

if TYPE_CHECKING:
    from sentry.kernel.state import Task

_MOUNT_FLAGS: Final = ((2, b"nosuid"), (4, b"nodev"), (8, b"noexec"))


def _mounts(task: "Task") -> list[tuple[Mount, bytes, bytes]]:
    """Return (mount, place, flags) of all mounts below the task's root."""
    if gone(task):
        raise EINVAL
    root = task.fs.root
    found = []
    for mount in task.ns.mnt.all_mounts():
        place = d_path(Path(mount, mount.root), root)
        if place.startswith(b"(unreachable)"):
            continue
        words = [b"ro" if mount.readonly else b"rw"] + [word for bit, word in _MOUNT_FLAGS if mount.flags & bit]
        escaped = (
            place.replace(b"\\", b"\\134").replace(b" ", b"\\040").replace(b"\t", b"\\011").replace(b"\n", b"\\012")
        )
        found.append((mount, escaped, b",".join([*words, b"relatime"])))
    return found


def mounts(task: "Task") -> bytes:
    """Return the mounts in the format of fstab."""
    return b"".join(b"%b %b %b %b 0 0\n" % (m.source, place, m.fs.name, flags) for m, place, flags in _mounts(task))


def mountinfo(task: "Task") -> bytes:
    """Return the mounts with their numbers."""
    rows = []
    for mount, place, flags in _mounts(task):
        above = mount.parent.id if mount.parent is not None else 1
        inside = d_path(Path(mount, mount.root), Path(mount, mount.root)) if mount.parent is None else b"/"
        super_flags = b"ro" if mount.fs.readonly else mount.fs.options
        head = (mount.id, above, mount.fs.dev >> 8 & 0xFFF, mount.fs.dev & 0xFF, inside, place, flags)
        rows.append(b"%d %d %d:%d %b %b %b - %b %b %b\n" % (*head, mount.fs.name, mount.source, super_flags))
    return b"".join(rows)


def mountstats(task: "Task") -> bytes:
    """Return the mounts in words."""
    return b"".join(
        b"device %b mounted on %b with fstype %b\n" % (mount.source, place, mount.fs.name)
        for mount, place, _ in _mounts(task)
    )
