"""User namespaces as programs make, enter and configure them: unshare, setns, /proc/PID/{uid_map,gid_map,setgroups}.

Differs: gVisor asks for CAP_SETUID and CAP_SETGID over the namespace to write a map; Linux asks for CAP_SYS_ADMIN.

Sources: user_namespaces(7); Linux kernel/user_namespace.c create_user_ns, map_write, new_idmap_permitted,
verify_root_map, proc_setgroups_write, uid_m_show (6.1).
"""

import threading
from typing import TYPE_CHECKING, Final

from sentry_abi.capability import CAP_SETFCAP, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN
from sentry_abi.errors import EINVAL, ENOSPC, EPERM
from sentry_auth._filecaps import ALL_CAPS
from sentry_auth._idmap import Extent, IdMap, parse
from sentry_auth._ids import NO_ID
from sentry_auth._namespace import MAX_LEVEL, UserNamespace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_auth._credentials import Credentials

_PAGE: Final = 4096
_SETGROUPS_LIMIT: Final = 8
_state_lock: Final = threading.Lock()  # guards all writes to maps and setgroups_allowed, of all namespaces


def unshare_user(creds: "Credentials", *, chrooted: bool = False) -> "Credentials":
    """Make a user namespace below the credentials' own; return them inside it, with every capability there.

    Raises: ENOSPC below 33 levels; EPERM in a chroot, or if the effective ids have no number in the own namespace.
    Differs: gVisor, and Linux before 4.9, say EUSERS for the limit.
    """
    parent = creds.user_ns
    if parent.level >= MAX_LEVEL:
        raise ENOSPC
    if chrooted or NO_ID in (parent.uid(creds.euid), parent.gid(creds.egid)):
        raise EPERM
    could = creds.capable(CAP_SETFCAP)
    return _inside(creds, UserNamespace(parent, creds.euid, creds.egid, parent_could_setfcap=could))


def enter_user(creds: "Credentials", namespace: UserNamespace) -> "Credentials":
    """Return credentials that have entered a user namespace (setns), with every capability there; ids stay.

    Raises: EINVAL for the own namespace; EPERM without CAP_SYS_ADMIN over it.
    """
    if namespace is creds.user_ns:
        raise EINVAL
    if not creds.has_capability_in(CAP_SYS_ADMIN, namespace):
        raise EPERM
    return _inside(creds, namespace)


def _inside(creds: "Credentials", namespace: UserNamespace) -> "Credentials":
    return creds._replace(
        user_ns=namespace,
        permitted=ALL_CAPS,
        effective=ALL_CAPS,
        bounding=ALL_CAPS,
        inheritable=0,
        ambient=0,
        securebits=0,
    )


def write_uid_map(
    namespace: UserNamespace, text: bytes, writer: "Credentials", opener: "Credentials | None" = None, offset: int = 0
) -> int:
    """Set the user ids of a namespace from what was written to /proc/PID/uid_map; return how many bytes were taken.

    `opener` are the credentials with which the file was opened, if not the writer's: both need the privilege.

    Raises: EPERM, EINVAL; the map is then still empty.
    Linux: proc_uid_map_write.
    """
    return _write_map(namespace, text, writer, opener or writer, offset, CAP_SETUID)


def write_gid_map(
    namespace: UserNamespace, text: bytes, writer: "Credentials", opener: "Credentials | None" = None, offset: int = 0
) -> int:
    """Set the group ids of a namespace, as `write_uid_map`; without privilege only once setgroups has been denied."""
    return _write_map(namespace, text, writer, opener or writer, offset, CAP_SETGID)


def _write_map(
    namespace: UserNamespace, text: bytes, writer: "Credentials", opener: "Credentials", offset: int, capability: int
) -> int:
    parent = namespace.parent
    if parent is None or opener.user_ns not in (namespace, parent):
        raise EPERM
    if offset or len(text) >= _PAGE:
        raise EINVAL
    uids = capability == CAP_SETUID
    with _state_lock:
        if len(namespace.uid_map if uids else namespace.gid_map) or not opener.has_capability_in(
            CAP_SYS_ADMIN, namespace
        ):
            raise EPERM
        extents = parse(text)
        if uids and not _root_allowed(namespace, extents, opener):
            raise EPERM
        if not _own_id_only(namespace, parent, extents, opener, uids=uids) and not (
            writer.has_capability_in(capability, parent) and opener.has_capability_in(capability, parent)
        ):
            raise EPERM
        above = parent.uid_map if uids else parent.gid_map
        lowered = [Extent(first, above.down(lower, count), count) for first, lower, count in extents]
        if any(extent.lower == NO_ID for extent in lowered):
            raise EPERM
        made = IdMap(lowered)
        if uids:
            namespace.uid_map = made
        else:
            namespace.gid_map = made
    return len(text)


def _root_allowed(namespace: UserNamespace, extents: list[Extent], opener: "Credentials") -> bool:
    """Return whether the parent's user 0 may be mapped, if it is: file capabilities would reach it."""
    if all(extent.lower for extent in extents):
        return True
    if opener.user_ns is namespace:
        return namespace.parent_could_setfcap
    return opener.has_capability_in(CAP_SETFCAP, opener.user_ns)  # the parent: no other gets here


def _own_id_only(
    namespace: UserNamespace, parent: UserNamespace, extents: list[Extent], opener: "Credentials", *, uids: bool
) -> bool:
    """Return whether the map is the one that needs no privilege: the owner's own id, alone."""
    if len(extents) != 1 or extents[0].length != 1 or namespace.owner != opener.euid:
        return False
    lower = extents[0].lower
    if uids:
        return parent.kuid(lower) == opener.euid
    return not namespace.setgroups_allowed and parent.kgid(lower) == opener.egid


def read_uid_map(namespace: UserNamespace, reader: UserNamespace) -> bytes:
    """Return /proc/PID/uid_map as a process of the namespace reader sees it.

    The second column is in the reader's numbers, for a reader inside in the parent's; 4294967295 means none.
    """
    lower = _seen_from(namespace, reader)
    return _lines((first, lower.uid_map.up(kuid), count) for first, kuid, count in namespace.uid_map.extents)


def read_gid_map(namespace: UserNamespace, reader: UserNamespace) -> bytes:
    """Return /proc/PID/gid_map as a process of the namespace reader sees it."""
    lower = _seen_from(namespace, reader)
    return _lines((first, lower.gid_map.up(kgid), count) for first, kgid, count in namespace.gid_map.extents)


def _seen_from(namespace: UserNamespace, reader: UserNamespace) -> UserNamespace:
    return reader.parent if reader is namespace and reader.parent is not None else reader


def _lines(rows: "Iterable[tuple[int, int, int]]") -> bytes:
    return b"".join(b"%10d %10d %10d\n" % row for row in rows)


def write_setgroups(namespace: UserNamespace, text: bytes, offset: int = 0) -> int:
    """Allow or deny setgroups(2) from what was written to /proc/PID/setgroups; return how many bytes were taken.

    Opening the file for writing takes CAP_SYS_ADMIN over the namespace (EACCES).

    Raises: EINVAL; EPERM to allow what is denied, or to deny once gid_map is set.
    """
    if offset or len(text) >= _SETGROUPS_LIMIT:
        raise EINVAL
    word = text.split(b"\0", 1)[0].rstrip(b" \t\n\v\f\r\xa0")
    if word not in (b"allow", b"deny"):
        raise EINVAL
    with _state_lock:
        if word == b"allow":
            if not namespace.setgroups_allowed:
                raise EPERM
        elif len(namespace.gid_map):
            raise EPERM
        else:
            namespace.setgroups_allowed = False
    return len(text)


def read_setgroups(namespace: UserNamespace) -> bytes:
    """Return /proc/PID/setgroups."""
    return b"allow\n" if namespace.setgroups_allowed else b"deny\n"
