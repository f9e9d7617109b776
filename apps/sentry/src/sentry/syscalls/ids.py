"""User and group ids, capabilities: credentials(7)."""

from typing import TYPE_CHECKING, Final

from sentry.syscalls.binder import Calls, Int, Ptr, UInt
from sentry_abi.capability import CAP_SETGID, CAP_SETPCAP, CAP_SETUID
from sentry_abi.errors import EINVAL, EPERM, ESRCH
from sentry_abi.structs import CAP_DATA, CAP_HEADER

if TYPE_CHECKING:
    from sentry.kernel.task import Task
    from sentry_auth import Credentials

calls = Calls("identity")

UNCHANGED: Final = 0xFFFF_FFFF
NGROUPS_MAX: Final = 65536
CAPABILITY_VERSION_1: Final = 0x19980330
CAPABILITY_VERSION_2: Final = 0x20071026
CAPABILITY_VERSION_3: Final = 0x20080522


def _publish(t: "Task", creds: "Credentials") -> None:
    """Make new credentials the task's; a change of effective ids makes the process undumpable."""
    old = t.creds
    if (creds.euid, creds.egid, creds.fsuid, creds.fsgid) != (old.euid, old.egid, old.fsuid, old.fsgid):
        t.group.dumpable = 0
        t.pdeath_signal = 0
    t.creds = creds


def _after_uid_change(t: "Task", new: "Credentials") -> "Credentials":
    """Adjust capabilities as capabilities(7), "Effect of user ID changes on capabilities"."""
    old = t.creds
    had_root = 0 in (old.uid, old.euid, old.suid)
    has_root = 0 in (new.uid, new.euid, new.suid)
    if had_root and not has_root:
        if not t.group.keep_caps:
            new = new._replace(permitted=0, effective=0)
        new = new._replace(ambient=0)
    if old.euid == 0 and new.euid != 0:
        new = new._replace(effective=0)
    elif old.euid != 0 and new.euid == 0:
        new = new._replace(effective=new.permitted)
    return new


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
    creds = t.creds
    if uid == UNCHANGED:
        raise EINVAL
    if creds.capable(CAP_SETUID):
        new = creds._replace(uid=uid, euid=uid, suid=uid, fsuid=uid)
    elif uid in (creds.uid, creds.suid):
        new = creds._replace(euid=uid, fsuid=uid)
    else:
        raise EPERM
    _publish(t, _after_uid_change(t, new))
    return 0


@calls.call
def setgid(t: "Task", gid: UInt) -> int:
    """setgid(2). Raises: EINVAL, EPERM."""
    creds = t.creds
    if gid == UNCHANGED:
        raise EINVAL
    if creds.capable(CAP_SETGID):
        new = creds._replace(gid=gid, egid=gid, sgid=gid, fsgid=gid)
    elif gid in (creds.gid, creds.sgid):
        new = creds._replace(egid=gid, fsgid=gid)
    else:
        raise EPERM
    _publish(t, new)
    return 0


@calls.call
def setreuid(t: "Task", ruid: UInt, euid: UInt) -> int:
    """setreuid(2). Raises: EPERM."""
    creds = t.creds
    able = creds.capable(CAP_SETUID)
    uid = creds.uid if ruid == UNCHANGED else ruid
    new_euid = creds.euid if euid == UNCHANGED else euid
    if not able and (uid not in (creds.uid, creds.euid) or new_euid not in (creds.uid, creds.euid, creds.suid)):
        raise EPERM
    suid = new_euid if ruid != UNCHANGED or euid not in (UNCHANGED, creds.uid) else creds.suid
    _publish(t, _after_uid_change(t, creds._replace(uid=uid, euid=new_euid, suid=suid, fsuid=new_euid)))
    return 0


@calls.call
def setregid(t: "Task", rgid: UInt, egid: UInt) -> int:
    """setregid(2). Raises: EPERM."""
    creds = t.creds
    able = creds.capable(CAP_SETGID)
    gid = creds.gid if rgid == UNCHANGED else rgid
    new_egid = creds.egid if egid == UNCHANGED else egid
    if not able and (gid not in (creds.gid, creds.egid) or new_egid not in (creds.gid, creds.egid, creds.sgid)):
        raise EPERM
    sgid = new_egid if rgid != UNCHANGED or egid not in (UNCHANGED, creds.gid) else creds.sgid
    _publish(t, creds._replace(gid=gid, egid=new_egid, sgid=sgid, fsgid=new_egid))
    return 0


@calls.call
def setresuid(t: "Task", ruid: UInt, euid: UInt, suid: UInt) -> int:
    """setresuid(2). Raises: EPERM."""
    creds = t.creds
    mine = (creds.uid, creds.euid, creds.suid)
    wanted = [old if new == UNCHANGED else new for old, new in zip(mine, (ruid, euid, suid), strict=True)]
    if not creds.capable(CAP_SETUID) and not set(wanted) <= set(mine):
        raise EPERM
    uid, new_euid, new_suid = wanted
    _publish(t, _after_uid_change(t, creds._replace(uid=uid, euid=new_euid, suid=new_suid, fsuid=new_euid)))
    return 0


@calls.call
def setresgid(t: "Task", rgid: UInt, egid: UInt, sgid: UInt) -> int:
    """setresgid(2). Raises: EPERM."""
    creds = t.creds
    mine = (creds.gid, creds.egid, creds.sgid)
    wanted = [old if new == UNCHANGED else new for old, new in zip(mine, (rgid, egid, sgid), strict=True)]
    if not creds.capable(CAP_SETGID) and not set(wanted) <= set(mine):
        raise EPERM
    gid, new_egid, new_sgid = wanted
    _publish(t, creds._replace(gid=gid, egid=new_egid, sgid=new_sgid, fsgid=new_egid))
    return 0


@calls.call
def setfsuid(t: "Task", uid: UInt) -> int:
    """setfsuid(2): the old value, whether it worked or not."""
    creds = t.creds
    if uid in (creds.uid, creds.euid, creds.suid, creds.fsuid) or (uid != UNCHANGED and creds.capable(CAP_SETUID)):
        _publish(t, creds._replace(fsuid=uid))
    return creds.fsuid


@calls.call
def setfsgid(t: "Task", gid: UInt) -> int:
    """setfsgid(2): the old value, whether it worked or not."""
    creds = t.creds
    if gid in (creds.gid, creds.egid, creds.sgid, creds.fsgid) or (gid != UNCHANGED and creds.capable(CAP_SETGID)):
        _publish(t, creds._replace(fsgid=gid))
    return creds.fsgid


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
    if not t.creds.capable(CAP_SETGID):
        raise EPERM
    if not 0 <= size <= NGROUPS_MAX:
        raise EINVAL
    raw = t.mm.copy_in(address, 4 * size)
    groups = tuple(sorted(int.from_bytes(raw[i : i + 4], "little") for i in range(0, len(raw), 4)))
    t.creds = t.creds._replace(groups=groups)
    return 0


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
    task = t.kernel.pids.tasks.get(pid) if pid else t
    if task is None:
        raise ESRCH
    creds = task.creds
    if data:
        sets = creds.effective, creds.permitted, creds.inheritable
        image = b"".join(CAP_DATA.pack(*(s >> 32 * i & 0xFFFF_FFFF for s in sets)) for i in range(blocks))
        t.mm.copy_out(data, image)
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
    old = t.creds
    if inheritable & ~(old.inheritable | old.permitted) and not old.capable(CAP_SETPCAP):
        raise EPERM
    if inheritable & ~(old.inheritable | old.bounding) or permitted & ~old.permitted or effective & ~permitted:
        raise EPERM
    ambient = old.ambient & permitted & inheritable
    t.creds = old._replace(effective=effective, permitted=permitted, inheritable=inheritable, ambient=ambient)
    return 0
