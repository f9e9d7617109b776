"""File capabilities: the extended attribute `security.capability`, revisions 1 to 3.

Sources: capabilities(7), "File capability extended attribute versioning"; Linux include/uapi/linux/capability.h struct
vfs_ns_cap_data, security/commoncap.c get_vfs_caps_from_disk.
"""

from struct import Struct
from typing import Final, NamedTuple

from sentry_abi.capability import (
    CAP_LAST_CAP,
    VFS_CAP_FLAGS_EFFECTIVE,
    VFS_CAP_REVISION_1,
    VFS_CAP_REVISION_2,
    VFS_CAP_REVISION_3,
    VFS_CAP_REVISION_MASK,
)
from sentry_abi.errors import EINVAL

ALL_CAPS: Final = (1 << (CAP_LAST_CAP + 1)) - 1
"""Every capability there is."""

XATTR_NAME: Final = b"security.capability"
"""The attribute's name."""

_HEADER: Final = Struct("<I")
_FORMS: Final = {
    VFS_CAP_REVISION_1: Struct("<3I"),
    VFS_CAP_REVISION_2: Struct("<5I"),
    VFS_CAP_REVISION_3: Struct("<6I"),
}


class FileCapabilities(NamedTuple):
    """What a file's attribute says. `root_id` is the user that is root where it counts (revision 3; else 0)."""

    permitted: int = 0
    inheritable: int = 0
    effective: bool = False
    root_id: int = 0

    @classmethod
    def parse(cls, attribute: bytes) -> "FileCapabilities":
        """Read an attribute; capabilities that do not exist are dropped.

        Raises: EINVAL for an unknown revision or a length that is not the revision's.
        """
        if len(attribute) < _HEADER.size:
            raise EINVAL
        (magic,) = _HEADER.unpack_from(attribute)
        form = _FORMS.get(magic & VFS_CAP_REVISION_MASK)
        if form is None or len(attribute) != form.size:
            raise EINVAL
        _, permitted, inheritable, *rest = form.unpack(attribute)
        if rest:
            permitted |= rest[0] << 32
            inheritable |= rest[1] << 32
        root_id = rest[2] if len(rest) == 3 else 0
        return cls(permitted & ALL_CAPS, inheritable & ALL_CAPS, bool(magic & VFS_CAP_FLAGS_EFFECTIVE), root_id)

    def to_bytes(self) -> bytes:
        """Write the attribute: revision 2, or 3 if `root_id` is not 0."""
        low = 0xFFFF_FFFF
        words = self.permitted & low, self.inheritable & low, self.permitted >> 32, self.inheritable >> 32
        if self.root_id:
            return _FORMS[VFS_CAP_REVISION_3].pack(VFS_CAP_REVISION_3 | self.effective, *words, self.root_id)
        return _FORMS[VFS_CAP_REVISION_2].pack(VFS_CAP_REVISION_2 | self.effective, *words)
