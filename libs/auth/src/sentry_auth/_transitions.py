"""How a task changes its own ids: setuid(2) and its relatives, as functions from credentials to credentials.

Each takes ids of the credentials' user namespace and returns new credentials, or the old object if nothing changes;
what fails raises and has changed nothing. What follows a change of user ids for the capabilities is in `_with_uids`.

Differs: gVisor compares setreuid's new effective id with the old effective one to decide about the saved id; Linux and
the manual page compare with the old real one.

Sources: setuid(2), setreuid(2), setresuid(2), setfsuid(2), setgroups(2); capabilities(7), "Effect of user ID changes on
capabilities"; Linux kernel/sys.c, kernel/groups.c, security/commoncap.c cap_task_fix_setuid (6.1).
"""

from typing import TYPE_CHECKING, Final

from sentry_abi import capability as caps
from sentry_abi.errors import EINVAL, EPERM
from sentry_auth._ids import KGID, KUID, NO_ID
from sentry_auth._securebits import KEEP_CAPS, NO_SETUID_FIXUP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_auth._credentials import Credentials

NGROUPS_MAX: Final = 65536
_SETUID: Final = 1 << caps.CAP_SETUID
_SETGID: Final = 1 << caps.CAP_SETGID
_FS_SET: Final = (
    1 << caps.CAP_CHOWN
    | 1 << caps.CAP_MKNOD
    | 1 << caps.CAP_DAC_OVERRIDE
    | 1 << caps.CAP_DAC_READ_SEARCH
    | 1 << caps.CAP_FOWNER
    | 1 << caps.CAP_FSETID
    | 1 << caps.CAP_LINUX_IMMUTABLE
    | 1 << caps.CAP_MAC_OVERRIDE
)


def _kuid(creds: "Credentials", uid: int) -> KUID:
    """Return the user that uid means. Raises: EINVAL."""
    kuid = creds.user_ns.kuid(uid) if creds.user_ns.parent is not None else KUID(uid)
    if kuid == NO_ID:
        raise EINVAL
    return kuid


def _kgid(creds: "Credentials", gid: int) -> KGID:
    """Return the group that gid means. Raises: EINVAL."""
    kgid = creds.user_ns.kgid(gid) if creds.user_ns.parent is not None else KGID(gid)
    if kgid == NO_ID:
        raise EINVAL
    return kgid


def _with_uids(old: "Credentials", uid: KUID, euid: KUID, suid: KUID, fsuid: KUID) -> "Credentials":
    """Change user ids, and capabilities accordingly."""
    if uid == old.uid and euid == old.euid and suid == old.suid and fsuid == old.fsuid:
        return old
    permitted, effective, ambient = old.permitted, old.effective, old.ambient
    if not old.securebits & NO_SETUID_FIXUP:
        root = old.user_ns.kuid(0)
        if root in (old.uid, old.euid, old.suid) and root not in (uid, euid, suid):
            if not old.securebits & KEEP_CAPS:
                permitted = effective = 0
            ambient = 0
        if old.euid == root:
            if euid != root:
                effective = 0
        elif euid == root:
            effective = permitted
    return old._replace(
        uid=uid, euid=euid, suid=suid, fsuid=fsuid, permitted=permitted, effective=effective, ambient=ambient
    )


def _with_gids(old: "Credentials", gid: KGID, egid: KGID, sgid: KGID, fsgid: KGID) -> "Credentials":
    """Change group ids."""
    if gid == old.gid and egid == old.egid and sgid == old.sgid and fsgid == old.fsgid:
        return old
    return old._replace(gid=gid, egid=egid, sgid=sgid, fsgid=fsgid)


def setuid(creds: "Credentials", uid: int) -> "Credentials":
    """Set the effective user id, with CAP_SETUID the real and the saved one too.

    Raises: EINVAL (uid is not mapped), EPERM.
    """
    kuid = _kuid(creds, uid)
    if creds.effective & _SETUID:
        return _with_uids(creds, kuid, kuid, kuid, kuid)
    if kuid not in (creds.uid, creds.suid):
        raise EPERM
    return _with_uids(creds, creds.uid, kuid, creds.suid, kuid)


def setgid(creds: "Credentials", gid: int) -> "Credentials":
    """Set the effective group id, with CAP_SETGID the real and the saved one too. Raises: EINVAL, EPERM."""
    kgid = _kgid(creds, gid)
    if creds.effective & _SETGID:
        return _with_gids(creds, kgid, kgid, kgid, kgid)
    if kgid not in (creds.gid, creds.sgid):
        raise EPERM
    return _with_gids(creds, creds.gid, kgid, creds.sgid, kgid)


def setreuid(creds: "Credentials", ruid: int, euid: int) -> "Credentials":
    """Set the real and the effective user id; `NO_ID` leaves one. Raises: EINVAL, EPERM."""
    uid = creds.uid if ruid == NO_ID else _kuid(creds, ruid)
    effective = creds.euid if euid == NO_ID else _kuid(creds, euid)
    if not creds.effective & _SETUID and (
        uid not in (creds.uid, creds.euid) or effective not in (creds.uid, creds.euid, creds.suid)
    ):
        raise EPERM
    saved = effective if ruid != NO_ID or (euid != NO_ID and effective != creds.uid) else creds.suid
    return _with_uids(creds, uid, effective, saved, effective)


def setregid(creds: "Credentials", rgid: int, egid: int) -> "Credentials":
    """Set the real and the effective group id; `NO_ID` leaves one. Raises: EINVAL, EPERM."""
    gid = creds.gid if rgid == NO_ID else _kgid(creds, rgid)
    effective = creds.egid if egid == NO_ID else _kgid(creds, egid)
    if not creds.effective & _SETGID and (
        gid not in (creds.gid, creds.egid) or effective not in (creds.gid, creds.egid, creds.sgid)
    ):
        raise EPERM
    saved = effective if rgid != NO_ID or (egid != NO_ID and effective != creds.gid) else creds.sgid
    return _with_gids(creds, gid, effective, saved, effective)


def setresuid(creds: "Credentials", ruid: int, euid: int, suid: int) -> "Credentials":
    """Set real, effective and saved user id; `NO_ID` leaves one. The filesystem id follows the effective one.

    A call that would change none of the named ids changes nothing, not even a filesystem id that has been set apart.

    Raises: EINVAL, EPERM.
    """
    mine = creds.uid, creds.euid, creds.suid
    uid = mine[0] if ruid == NO_ID else _kuid(creds, ruid)
    effective = mine[1] if euid == NO_ID else _kuid(creds, euid)
    saved = mine[2] if suid == NO_ID else _kuid(creds, suid)
    if (uid, effective, saved) == mine and (euid == NO_ID or effective == creds.fsuid):
        return creds
    if not creds.effective & _SETUID and not (uid in mine and effective in mine and saved in mine):
        raise EPERM
    return _with_uids(creds, uid, effective, saved, effective)


def setresgid(creds: "Credentials", rgid: int, egid: int, sgid: int) -> "Credentials":
    """Set real, effective and saved group id, as `setresuid`. Raises: EINVAL, EPERM."""
    mine = creds.gid, creds.egid, creds.sgid
    gid = mine[0] if rgid == NO_ID else _kgid(creds, rgid)
    effective = mine[1] if egid == NO_ID else _kgid(creds, egid)
    saved = mine[2] if sgid == NO_ID else _kgid(creds, sgid)
    if (gid, effective, saved) == mine and (egid == NO_ID or effective == creds.fsgid):
        return creds
    if not creds.effective & _SETGID and not (gid in mine and effective in mine and saved in mine):
        raise EPERM
    return _with_gids(creds, gid, effective, saved, effective)


def setfsuid(creds: "Credentials", uid: int) -> "Credentials":
    """Set the filesystem user id; what is not allowed changes nothing and raises nothing.

    Capabilities about files leave the effective set with user 0 and come back with it.
    """
    kuid = creds.user_ns.kuid(uid)
    old = creds.fsuid
    if kuid in (NO_ID, old):
        return creds
    if kuid not in (creds.uid, creds.euid, creds.suid) and not creds.effective & _SETUID:
        return creds
    effective = creds.effective
    if not creds.securebits & NO_SETUID_FIXUP:
        root = creds.user_ns.kuid(0)
        if old == root:
            effective &= ~_FS_SET
        elif kuid == root:
            effective |= creds.permitted & _FS_SET
    return creds._replace(fsuid=kuid, effective=effective)


def setfsgid(creds: "Credentials", gid: int) -> "Credentials":
    """Set the filesystem group id; what is not allowed changes nothing and raises nothing."""
    kgid = creds.user_ns.kgid(gid)
    if kgid in (NO_ID, creds.fsgid):
        return creds
    if kgid not in (creds.gid, creds.egid, creds.sgid) and not creds.effective & _SETGID:
        return creds
    return creds._replace(fsgid=kgid)


def may_setgroups(creds: "Credentials") -> bool:
    """Return whether setgroups(2) is allowed: CAP_SETGID, and the user namespace does not deny it."""
    return bool(creds.effective & _SETGID) and creds.user_ns.may_setgroups()


def setgroups(creds: "Credentials", groups: "Iterable[int]") -> "Credentials":
    """Set the supplementary groups.

    Raises: EPERM; EINVAL for more than 65536 or one that means no group.
    """
    if not may_setgroups(creds):
        raise EPERM
    wanted = tuple(sorted(_kgid(creds, gid) for gid in groups))
    if len(wanted) > NGROUPS_MAX:
        raise EINVAL
    return creds if wanted == creds.groups else creds._replace(groups=wanted)
