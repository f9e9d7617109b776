"""Permission checks: mode bits, ownership and the capabilities that override them.

Sources: Linux fs/namei.c generic_permission, acl_permission_check, may_delete, __check_sticky; capabilities(7).
"""

from typing import Final

from sentry_abi.errors import EACCES, EPERM
from sentry_abi.stat import S_ISGID, S_ISVTX
from sentry_vfs._node import Credentials, Inode

CAP_CHOWN: Final = 0
CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2
CAP_FOWNER: Final = 3
CAP_FSETID: Final = 4
CAP_LINUX_IMMUTABLE: Final = 9
CAP_SYS_CHROOT: Final = 18
CAP_SYS_ADMIN: Final = 21
CAP_SYS_RESOURCE: Final = 24
CAP_MKNOD: Final = 27

READ: Final = 4
WRITE: Final = 2
EXECUTE: Final = 1


def in_group(creds: Credentials, gid: int) -> bool:
    """Return whether gid is the file group or a supplementary group of creds."""
    return creds.fsgid == gid or gid in creds.groups


def may(inode: Inode, creds: Credentials, want: int) -> None:
    """Check that creds may READ, WRITE or EXECUTE (search) inode.

    Raises: EACCES.
    """
    mode = inode.mode
    if creds.fsuid == inode.uid:
        bits = mode >> 6
    elif in_group(creds, inode.gid):
        bits = mode >> 3
    else:
        bits = mode
    if bits & want == want:
        return
    if creds.capable(CAP_DAC_OVERRIDE) and (inode.is_dir or not want & EXECUTE or mode & 0o111):
        return
    if creds.capable(CAP_DAC_READ_SEARCH) and (want == READ or (inode.is_dir and not want & WRITE)):
        return
    raise EACCES


def owns(inode: Inode, creds: Credentials) -> bool:
    """Return whether creds own inode or have CAP_FOWNER."""
    return creds.fsuid == inode.uid or creds.capable(CAP_FOWNER)


def may_delete(directory: Inode, victim: Inode, creds: Credentials) -> None:
    """Check that creds may remove or rename victim in directory.

    Raises: EACCES without write and search permission, EPERM for the sticky bit.
    """
    may(directory, creds, WRITE | EXECUTE)
    if directory.mode & S_ISVTX and creds.fsuid not in {victim.uid, directory.uid} and not creds.capable(CAP_FOWNER):
        raise EPERM


def new_owner(directory: Inode, creds: Credentials) -> tuple[int, int]:
    """Return owner and group of a file that creds make in directory."""
    return creds.fsuid, directory.gid if directory.mode & S_ISGID else creds.fsgid
