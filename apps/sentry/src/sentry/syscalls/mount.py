"""Mounting and unmounting. Source: Linux fs/namespace.c; mount(2), umount2(2)."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.pending import Result
from sentry.syscalls.binder import Calls, Int, PathPtr, Ptr, ULong
from sentry.syscalls.pathargs import path_at
from sentry.syscalls.paths import find
from sentry_abi.capability import CAP_SYS_ADMIN
from sentry_abi.errors import EBUSY, EINVAL, ENODEV, ENOTDIR, EPERM
from sentry_abi.fcntl import AT_FDCWD, PATH_MAX
from sentry_abi.memory import page_up
from sentry_abi.mount import MS_BIND, MS_MOVE, MS_REMOUNT, UMOUNT_NOFOLLOW
from sentry_fs import Tmpfs, half_of_memory

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("mounting")

_PROPAGATION: Final = 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20


@calls.named("mount", partial="tmpfs, bind and remount only; propagation is accepted and ignored")
def mount(t: "Task", source: PathPtr, target: PathPtr, kind: Ptr, flags: ULong, data: Ptr) -> Result:
    """mount(2)."""
    name = path_at(t, kind) if kind else b""
    origin_text = path_at(t, source) if source else b""
    options = t.mm.cstring(data, PATH_MAX) if data else b""
    place = find(t, AT_FDCWD, path_at(t, target))
    if not t.creds.capable(CAP_SYS_ADMIN):
        raise EPERM
    mnt = t.ns.mnt
    if flags & MS_REMOUNT:
        if place.dentry is not place.mount.root:
            raise EINVAL
        place.mount.flags = flags & 15
    elif flags & MS_BIND:
        origin = find(t, AT_FDCWD, origin_text)
        made = mnt.attach(origin.mount.fs, origin.dentry, place, origin.mount.flags)
        made.source = origin.mount.source
    elif flags & _PROPAGATION:
        return 0
    elif flags & MS_MOVE:
        raise EINVAL
    else:
        if name not in {b"tmpfs", b"ramfs"}:
            raise ENODEV
        if place.dentry.children is None:
            raise ENOTDIR
        mode, limit = _options(options)
        fs = Tmpfs(t.kernel.vfs, t.kernel.memory, mode, source=origin_text if source else b"none", limit=limit)
        mnt.attach(fs, fs.root, place, flags & 15)
    return 0


_UNITS: Final = {b"k": 1 << 10, b"m": 1 << 20, b"g": 1 << 30, b"t": 1 << 40}


def _options(text: bytes) -> tuple[int, int | None]:
    """Return mode and size limit of a tmpfs; None is the default limit, -1 none at all. Raises: EINVAL."""
    mode, limit = 0o1777, None
    for option in text.split(b","):
        key, _, value = option.partition(b"=")
        try:
            if key == b"mode":
                mode = int(value, 8) & 0o7777
            elif key == b"size":
                if value[-1:] == b"%":
                    limit = half_of_memory() * 2 * int(value[:-1]) // 100
                else:
                    unit = _UNITS.get(value[-1:].lower(), 1)
                    limit = int(value if unit == 1 else value[:-1], 0) * unit
                if limit < 0:
                    raise EINVAL
                limit = page_up(limit) or -1
        except ValueError:
            raise EINVAL from None
    return mode, limit


@calls.call
def umount2(t: "Task", target: PathPtr, flags: Int) -> Result:
    """umount2(2)."""
    if flags & ~15:
        raise EINVAL
    place = find(t, AT_FDCWD, path_at(t, target), follow=not flags & UMOUNT_NOFOLLOW)
    if not t.creds.capable(CAP_SYS_ADMIN):
        raise EPERM
    if place.dentry is not place.mount.root:
        raise EINVAL
    if place.mount is t.ns.mnt.root_mount:
        raise EBUSY
    t.ns.mnt.detach(place)
    return 0
