"""What execve makes of credentials: set-id bits, file capabilities, the privileges of root, ambient capabilities.

A pure function of the old credentials, of what the file offers and of what forbids to take it. Differs: gVisor in 2019
had no_new_privs always on and neither set-id bits nor file capabilities; this is Linux 6.17, whose set-id test compares
with the old effective ids (before, it compared with the real ones).

Sources: capabilities(7), "Transformation of capabilities during execve()"; Linux fs/exec.c bprm_fill_uid,
security/commoncap.c cap_bprm_creds_from_file.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry_abi.capability import CAP_SETUID
from sentry_abi.errors import EPERM
from sentry_abi.stat import S_ISGID, S_ISUID, S_IXGRP
from sentry_auth._filecaps import FileCapabilities
from sentry_auth._ids import KGID, KUID, NO_ID, ROOT_KGID, ROOT_KUID
from sentry_auth._securebits import KEEP_CAPS, NOROOT

if TYPE_CHECKING:
    from sentry_auth._credentials import Credentials
    from sentry_auth._namespace import UserNamespace


_SETGID: Final = S_ISGID | S_IXGRP
"""Without S_IXGRP, S_ISGID once meant mandatory locks."""


class FilePrivileges(NamedTuple):
    """What an executable offers: mode bits, owner, the attribute `security.capability` (None: it has none).

    For a script these are those of the interpreter that the kernel loads in the end. A mount with nosuid offers
    nothing: pass `PLAIN`.
    """

    mode: int = 0
    uid: KUID = ROOT_KUID
    gid: KGID = ROOT_KGID
    capabilities: bytes | None = None


PLAIN: Final = FilePrivileges()
"""A file that offers nothing."""


class ExecCredentials(NamedTuple):
    """The new credentials, and whether the program is to be careful (AT_SECURE).

    `creds` is the old object if nothing has changed.
    """

    creds: "Credentials"
    secure: bool


def exec_credentials(
    old: "Credentials", file: FilePrivileges = PLAIN, *, no_new_privs: bool = False, unsafe: bool = False
) -> ExecCredentials:
    """Return what the credentials old become when they execute file.

    `unsafe` is true if others could tamper with the privileged program: a tracer without the right to, or a process
    outside of the thread group that shares the filesystem context.

    Raises: EINVAL for a malformed attribute; EPERM if the file's effective bit is set and not all of its permitted
    capabilities can be had. ValueError: old holds ambient capabilities that are not permitted and inheritable, which no
    change of this library leaves.
    """
    if old.ambient & ~(old.permitted & old.inheritable):
        message = "credentials hold ambient capabilities that are not both permitted and inheritable"
        raise ValueError(message)
    namespace = old.user_ns
    euid, egid = (old.euid, old.egid) if no_new_privs else _set_ids(old, file)
    permitted, has_caps, effective = 0, False, False
    if file.capabilities is not None:
        permitted, has_caps, effective = _file_capabilities(old, FileCapabilities.parse(file.capabilities))
    root = namespace.kuid(0)
    if (root in (euid, old.uid)) and not old.securebits & NOROOT and not (has_caps and euid == root != old.uid):
        permitted = old.bounding | old.inheritable
        effective = effective or euid == root
    changed = euid != old.euid or not old.in_group(egid)
    if (changed or permitted & ~old.permitted) and (no_new_privs or unsafe):
        if no_new_privs or not old.capable(CAP_SETUID):
            euid, egid = old.uid, old.gid
        permitted &= old.permitted
    ambient = 0 if has_caps or changed else old.ambient
    permitted |= ambient
    now = permitted if effective else ambient
    secure = (
        changed or euid != old.uid or egid != old.gid or (old.uid != root and (effective or permitted & ~ambient != 0))
    )
    new = old._replace(
        euid=euid,
        suid=euid,
        fsuid=euid,
        egid=egid,
        sgid=egid,
        fsgid=egid,
        permitted=permitted,
        effective=now,
        ambient=ambient,
        securebits=old.securebits & ~KEEP_CAPS,
    )
    return ExecCredentials(old if new == old else new, secure)


def _set_ids(old: "Credentials", file: FilePrivileges) -> tuple[KUID, KGID]:
    """Return the effective ids by set-id bits, which count only if both owners have a number in the namespace."""
    mode, uid, gid, _ = file
    if not mode & (S_ISUID | S_ISGID):
        return old.euid, old.egid
    namespace = old.user_ns
    if NO_ID in (namespace.uid(uid), namespace.gid(gid)):
        return old.euid, old.egid
    return uid if mode & S_ISUID else old.euid, gid if mode & _SETGID == _SETGID else old.egid


def _file_capabilities(old: "Credentials", file: FileCapabilities) -> tuple[int, bool, bool]:
    """Return (permitted, whether the attribute counts, effective bit). Raises: EPERM."""
    if not _is_root_of(KUID(file.root_id), old.user_ns):
        return 0, False, False
    permitted = old.bounding & file.permitted | old.inheritable & file.inheritable
    if file.effective and file.permitted & ~permitted:
        raise EPERM
    return permitted, True, file.effective


def _is_root_of(kuid: KUID, namespace: "UserNamespace") -> bool:
    """Return whether a user is root in a namespace or one above it. Linux: rootid_owns_currentns."""
    walk: UserNamespace | None = namespace
    while walk is not None:
        if walk.uid(kuid) == 0:
            return True
        walk = walk.parent
    return False
