"""User and group ids, capabilities: credentials(7)."""

from typing import TYPE_CHECKING, Final

import sentry_auth as auth
from sentry.syscalls.binder import Calls, Int, Ptr, UInt
from sentry.syscalls.guest import UINT
from sentry_abi.errors import EINVAL, EPERM, ESRCH
from sentry_abi.structs import CAP_DATA, CAP_HEADER
from sentry_usermem import read_array

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("identity")

CAPABILITY_VERSION_1: Final = 0x19980330
CAPABILITY_VERSION_2: Final = 0x20071026
CAPABILITY_VERSION_3: Final = 0x20080522


def publish(t: "Task", new: auth.Credentials) -> int:
    """Set the task's credentials; return 0. Gaining privileges clears dumpable."""
    old = t.creds
    if new is not old:
        if auth.loses_dumpable(old, new):
            t.group.dumpable = 0
            t.pdeath_signal = 0
        t.creds = new
    return 0


@calls.call
def getuid(t: "Task") -> int:
    """getuid(2)."""
    return t.creds.uid


@calls.call
def geteuid(t: "Task") -> int:
    """geteuid(2)."""
    return t.creds.euid


@calls.call
def getgid(t: "Task") -> int:
    """getgid(2)."""
    return t.creds.gid


@calls.call
def getegid(t: "Task") -> int:
    """getegid(2)."""
    return t.creds.egid


@calls.call
def getresuid(t: "Task", ruid: Ptr, euid: Ptr, suid: Ptr) -> int:
    """getresuid(2). Raises: EFAULT."""
    creds = t.creds
    for address, value in ((ruid, creds.uid), (euid, creds.euid), (suid, creds.suid)):
        t.mm.copy_out(address, value.to_bytes(4, "little"))
    return 0


@calls.call
def getresgid(t: "Task", rgid: Ptr, egid: Ptr, sgid: Ptr) -> int:
    """getresgid(2). Raises: EFAULT."""
    creds = t.creds
    for address, value in ((rgid, creds.gid), (egid, creds.egid), (sgid, creds.sgid)):
        t.mm.copy_out(address, value.to_bytes(4, "little"))
    return 0


@calls.call
def setuid(t: "Task", uid: UInt) -> int:
    """setuid(2). Raises: EINVAL, EPERM."""
    return publish(t, auth.setuid(t.creds, uid))


@calls.call
def setgid(t: "Task", gid: UInt) -> int:
    """setgid(2). Raises: EINVAL, EPERM."""
    return publish(t, auth.setgid(t.creds, gid))


@calls.call
def setreuid(t: "Task", ruid: UInt, euid: UInt) -> int:
    """setreuid(2). Raises: EINVAL, EPERM."""
    return publish(t, auth.setreuid(t.creds, ruid, euid))


@calls.call
def setregid(t: "Task", rgid: UInt, egid: UInt) -> int:
    """setregid(2). Raises: EINVAL, EPERM."""
    return publish(t, auth.setregid(t.creds, rgid, egid))


@calls.call
def setresuid(t: "Task", ruid: UInt, euid: UInt, suid: UInt) -> int:
    """setresuid(2). Raises: EINVAL, EPERM."""
    return publish(t, auth.setresuid(t.creds, ruid, euid, suid))


@calls.call
def setresgid(t: "Task", rgid: UInt, egid: UInt, sgid: UInt) -> int:
    """setresgid(2). Raises: EINVAL, EPERM."""
    return publish(t, auth.setresgid(t.creds, rgid, egid, sgid))


@calls.call
def setfsuid(t: "Task", uid: UInt) -> int:
    """setfsuid(2): the old value, whether it worked or not."""
    old = t.creds
    publish(t, auth.setfsuid(old, uid))
    return old.fsuid


@calls.call
def setfsgid(t: "Task", gid: UInt) -> int:
    """setfsgid(2): the old value, whether it worked or not."""
    old = t.creds
    publish(t, auth.setfsgid(old, gid))
    return old.fsgid


@calls.call
def getgroups(t: "Task", size: Int, address: Ptr) -> int:
    """getgroups(2). Raises: EINVAL, EFAULT."""
    groups = t.creds.groups
    if size < 0 or (size and size < len(groups)):
        raise EINVAL
    if size:
        t.mm.copy_out(address, b"".join(gid.to_bytes(4, "little") for gid in groups))
    return len(groups)


@calls.call
def setgroups(t: "Task", size: Int, address: Ptr) -> int:
    """setgroups(2). Raises: EPERM, EINVAL, EFAULT."""
    if not auth.may_setgroups(t.creds):
        raise EPERM
    if not 0 <= size <= auth.NGROUPS_MAX:
        raise EINVAL
    groups = [gid for (gid,) in read_array(t.mm, address, UINT, size)]
    return publish(t, auth.setgroups(t.creds, groups))


# -- capabilities


def _header(t: "Task", header: int) -> tuple[int, int]:
    """Return (number of 32-bit data blocks, pid). Raises: EFAULT; EINVAL for an unknown version, after writing ours."""
    version, pid = CAP_HEADER.unpack(t.mm.copy_in(header, CAP_HEADER.size))
    if version == CAPABILITY_VERSION_1:
        return 1, pid
    if version in (CAPABILITY_VERSION_2, CAPABILITY_VERSION_3):
        return 2, pid
    t.mm.copy_out(header, CAPABILITY_VERSION_3.to_bytes(4, "little"))
    raise EINVAL


@calls.call
def capget(t: "Task", header: Ptr, data: Ptr) -> int:
    """capget(2). Raises: EFAULT, EINVAL, ESRCH."""
    try:
        blocks, pid = _header(t, header)
    except EINVAL:
        if not data:
            return 0
        raise
    if pid < 0:
        raise EINVAL
    task = t.ns.pid.tasks.get(pid) if pid else t
    if task is None:
        raise ESRCH
    creds = task.creds
    if data:
        sets = creds.effective, creds.permitted, creds.inheritable
        packed = b"".join(CAP_DATA.pack(*(s >> 32 * i & 0xFFFF_FFFF for s in sets)) for i in range(blocks))
        t.mm.copy_out(data, packed)
    return 0


@calls.call
def capset(t: "Task", header: Ptr, data: Ptr) -> int:
    """capset(2). Raises: EFAULT, EINVAL, EPERM."""
    blocks, pid = _header(t, header)
    if pid not in (0, t.tid):
        raise EPERM
    raw = t.mm.copy_in(data, CAP_DATA.size * blocks)
    effective = permitted = inheritable = 0
    for i in range(blocks):
        e, p, h = CAP_DATA.unpack_from(raw, i * CAP_DATA.size)
        effective |= e << 32 * i
        permitted |= p << 32 * i
        inheritable |= h << 32 * i
    return publish(t, auth.capset(t.creds, permitted, inheritable, effective))
