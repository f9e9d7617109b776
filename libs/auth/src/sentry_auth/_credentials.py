"""Credentials: a task's ids and what it may do. Immutable; a change makes a new object.

Sources: credentials(7), capabilities(7), Linux include/linux/cred.h.
"""

from typing import NamedTuple

from sentry_auth._filecaps import ALL_CAPS
from sentry_auth._ids import KGID, KUID, NO_ID, OVERFLOW_ID
from sentry_auth._namespace import INITIAL, UserNamespace


class Credentials(NamedTuple):
    """User and group ids, supplementary groups, capability sets (bit n is capability n), the user namespace.

    Ids are kernel ids, groups are sorted. Readers need no lock; a change publishes a new object.
    """

    uid: KUID
    gid: KGID
    euid: KUID
    egid: KGID
    suid: KUID
    sgid: KGID
    fsuid: KUID
    fsgid: KGID
    groups: tuple[KGID, ...] = ()
    permitted: int = 0
    effective: int = 0
    inheritable: int = 0
    bounding: int = ALL_CAPS
    ambient: int = 0
    securebits: int = 0
    user_ns: UserNamespace = INITIAL

    def capable(self, capability: int) -> bool:
        """Return whether the effective set holds a capability: HasCapability, in the own namespace."""
        return self.effective >> capability & 1 == 1

    def has_capability_in(self, capability: int, namespace: UserNamespace) -> bool:
        """Return whether these credentials have a capability over what a user namespace governs: HasCapabilityIn.

        What an effective set holds counts in its namespace and in all below. The creator of a namespace (by effective
        id, from its parent) has every capability there. A child's capability never reaches the parent.

        Linux: security/commoncap.c cap_capable.
        """
        own = self.user_ns
        while namespace is not own:
            parent = namespace.parent
            if parent is None or namespace.level <= own.level:
                return False
            if parent is own and namespace.owner == self.euid:
                return True
            namespace = parent
        return self.effective >> capability & 1 == 1

    def in_group(self, gid: int) -> bool:
        """Return whether gid is the filesystem group or a supplementary one. Linux: in_group_p."""
        return gid == self.fsgid or gid in self.groups

    def in_effective_group(self, gid: int) -> bool:
        """Return whether gid is the effective group or a supplementary one. Linux: in_egroup_p."""
        return gid == self.egid or gid in self.groups


def user_credentials(
    uid: int, gid: int, groups: tuple[int, ...] = (), caps: int | None = None, user_ns: UserNamespace = INITIAL
) -> Credentials:
    """Return the credentials of a plain login: user 0 gets all capabilities, others none.

    `uid`, `gid` and `groups` are kernel ids. `caps`, if given, become the permitted and the effective set as they are.
    """
    if caps is None:
        caps = ALL_CAPS if uid == 0 else 0
    user, group = KUID(uid), KGID(gid)
    others = tuple(sorted(KGID(number) for number in groups))
    return Credentials(user, group, user, group, user, group, user, group, others, caps, caps, user_ns=user_ns)


def root_credentials(user_ns: UserNamespace = INITIAL) -> Credentials:
    """Return the credentials of the superuser of a namespace: `user_ns`'s id 0, and every capability there.

    Raises: ValueError if 0 is not mapped there.
    """
    uid, gid = user_ns.kuid(0), user_ns.kgid(0)
    if NO_ID in (uid, gid):
        message = "the user namespace has no root: its maps do not say what id 0 is"
        raise ValueError(message)
    return user_credentials(uid, gid, caps=ALL_CAPS, user_ns=user_ns)


def anonymous_credentials() -> Credentials:
    """Return credentials without any rights: the overflow ids, in a namespace of their own."""
    return user_credentials(OVERFLOW_ID, OVERFLOW_ID, caps=0, user_ns=UserNamespace())


def loses_dumpable(old: Credentials, new: Credentials) -> bool:
    """Return whether a process that changes its credentials becomes undumpable and loses its parent-death signal.

    Linux: kernel/cred.c commit_creds, cred_cap_issubset.
    """
    if (old.euid, old.egid, old.fsuid, old.fsgid) != (new.euid, new.egid, new.fsuid, new.fsgid):
        return True
    if old.user_ns is new.user_ns:
        return new.permitted & ~old.permitted != 0
    walk = new.user_ns
    while walk.parent is not None:
        if walk.parent is old.user_ns and walk.owner == old.euid:
            return False
        walk = walk.parent
    return True
