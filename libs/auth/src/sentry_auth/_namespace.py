"""User namespaces: a tree of id maps, each with an owner.

A namespace's maps are set once, by `write_uid_map` and `write_gid_map`, and its `setgroups_allowed` only ever goes from
true to false. Both happen under one lock of the module (Linux's userns_state_mutex), so that namespaces themselves hold
nothing that could not be saved; readers need no lock, because what they read is replaced as a whole.

Lock order: the lock is a leaf; nothing foreign is called with it held.

Sources: user_namespaces(7); Linux kernel/user_namespace.c.
"""

from typing import Final

from sentry_auth._idmap import EMPTY, IDENTITY, IdMap
from sentry_auth._ids import KGID, KUID, NO_ID, OVERFLOW_ID, ROOT_KGID, ROOT_KUID

MAX_LEVEL: Final = 33
"""The deepest level; the initial namespace has level 0.

Differs: gVisor counts 32 with the initial one. Linux refuses below a parent of level 33, which makes 33 nested ones.
"""


class UserNamespace:
    """One user namespace; compare with `is`."""

    __slots__ = (
        "gid_map",
        "group",
        "level",
        "owner",
        "parent",
        "parent_could_setfcap",
        "setgroups_allowed",
        "uid_map",
    )

    def __init__(
        self,
        parent: "UserNamespace | None" = None,
        owner: KUID = ROOT_KUID,
        group: KGID = ROOT_KGID,
        *,
        parent_could_setfcap: bool = False,
    ) -> None:
        """Make a namespace without maps below parent; without a parent, an initial one, where every id is itself.

        This asks for no permission: `unshare_user` is what a program may do.
        """
        self.parent = parent
        self.owner = owner
        self.group = group
        self.level: int = 0 if parent is None else parent.level + 1
        self.uid_map: IdMap = IDENTITY if parent is None else EMPTY
        self.gid_map: IdMap = self.uid_map
        self.setgroups_allowed: bool = parent is None or parent.setgroups_allowed
        self.parent_could_setfcap = parent_could_setfcap

    def kuid(self, uid: int) -> KUID:
        """Return the user that uid means here; `NO_KUID` if none."""
        return KUID(self.uid_map.down(uid))

    def kgid(self, gid: int) -> KGID:
        """Return the group that gid means here; `NO_KGID` if none."""
        return KGID(self.gid_map.down(gid))

    def uid(self, kuid: KUID) -> int:
        """Return a user's number here; `NO_ID` if it has none."""
        return self.uid_map.up(kuid)

    def gid(self, kgid: KGID) -> int:
        """Return a group's number here; `NO_ID` if it has none."""
        return self.gid_map.up(kgid)

    def shown_uid(self, kuid: KUID) -> int:
        """Return the number to show for a user; the overflow id if it has none here. Linux: from_kuid_munged."""
        uid = self.uid_map.up(kuid)
        return OVERFLOW_ID if uid == NO_ID else uid

    def shown_gid(self, kgid: KGID) -> int:
        """Return the number to show for a group; the overflow id if it has none here. Linux: from_kgid_munged."""
        gid = self.gid_map.up(kgid)
        return OVERFLOW_ID if gid == NO_ID else gid

    def may_setgroups(self) -> bool:
        """Return whether setgroups(2) is possible here at all: not before gid_map is set, not when denied."""
        return self.setgroups_allowed and len(self.gid_map) > 0

    def contains(self, other: "UserNamespace") -> bool:
        """Return whether other is this namespace or below it."""
        walk: UserNamespace | None = other
        while walk is not None and walk.level >= self.level:
            if walk is self:
                return True
            walk = walk.parent
        return False


INITIAL: Final = UserNamespace()
"""The user namespace of credentials that name none."""
