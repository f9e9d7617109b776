"""Credentials: who a task is and what it may do. Immutable; a change makes a new object.

Sources: credentials(7), capabilities(7), Linux include/linux/cred.h; facts section 4.
"""

from typing import Final, NamedTuple

from sentry_abi.capability import CAP_LAST_CAP

ALL_CAPS: Final = (1 << (CAP_LAST_CAP + 1)) - 1


class Credentials(NamedTuple):
    """User and group ids, supplementary groups, capability sets (bit n is capability n)."""

    uid: int
    gid: int
    euid: int
    egid: int
    suid: int
    sgid: int
    fsuid: int
    fsgid: int
    groups: tuple[int, ...] = ()
    permitted: int = 0
    effective: int = 0
    inheritable: int = 0
    bounding: int = ALL_CAPS
    ambient: int = 0
    securebits: int = 0

    def capable(self, capability: int) -> bool:
        """Return whether the effective set holds a capability."""
        return self.effective >> capability & 1 == 1

    def in_group(self, gid: int) -> bool:
        """Return whether gid is the filesystem group or a supplementary one."""
        return gid == self.fsgid or gid in self.groups

    def after_exec(self) -> "Credentials":
        """Return what execve leaves of a file without set-id bits and file capabilities, as with no_new_privs.

        Source: capabilities(7), "Transformation of capabilities during execve()" and "Capabilities and execution of
        programs by root".
        """
        if 0 in (self.uid, self.euid):
            permitted = (self.inheritable | self.bounding) & (self.permitted | self.inheritable)
            effective = permitted if self.euid == 0 else 0
        else:
            permitted = effective = self.ambient
        return self._replace(
            permitted=permitted, effective=effective, suid=self.euid, fsuid=self.euid, sgid=self.egid, fsgid=self.egid
        )


def user_credentials(uid: int, gid: int, groups: tuple[int, ...] = ()) -> Credentials:
    """Return the credentials of a plain login: user 0 gets all capabilities, others none."""
    caps = ALL_CAPS if uid == 0 else 0
    return Credentials(uid, gid, uid, gid, uid, gid, uid, gid, groups, caps, caps)
