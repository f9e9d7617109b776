"""What the three kinds of System V IPC calls share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentry_sysvipc import Object


def permissions(item: "Object") -> tuple[int, ...]:
    """Return the fields of struct ipc64_perm."""
    return item.key, item.uid, item.gid, item.cuid, item.cgid, item.mode, item.sequence & 0xFFFF
