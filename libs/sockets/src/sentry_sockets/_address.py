"""Socket addresses as they cross the system call boundary.

A unix name is the bytes of sun_path: empty for none, a NUL first for the abstract namespace, else a path without its
NUL. An internet place is (address, port), where the address is 4 bytes for IPv4, also when it was given as
::ffff:a.b.c.d, and 16 for IPv6.
"""

import struct
from typing import Final

from sentry_abi.errors import EAFNOSUPPORT, EINVAL
from sentry_abi.socket import AF_INET, AF_INET6, AF_UNIX, UNIX_PATH_MAX

Place = tuple[bytes, int]

_INET: Final = struct.Struct(">H4s8x")
_INET6: Final = struct.Struct(">HI16sI")
MAPPED: Final = bytes(10) + b"\xff\xff"
ANY4: Final = bytes(4)
ANY6: Final = bytes(16)
LOOP4: Final = b"\x7f\0\0\x01"
LOOP6: Final = bytes(15) + b"\x01"
NO_PLACE: Final[Place] = (ANY4, 0)


def family_of(raw: bytes) -> int:
    """Return the family of an address. Raises: EINVAL if it is too short to have one."""
    if len(raw) < 2:
        raise EINVAL
    return int.from_bytes(raw[:2], "little")


def unix_name(raw: bytes) -> bytes:
    """Return the name in a sockaddr_un; empty if there is only a family. Raises: EINVAL."""
    if not 2 <= len(raw) <= 2 + UNIX_PATH_MAX or family_of(raw) != AF_UNIX:
        raise EINVAL
    name = raw[2:]
    return name if name[:1] == b"\0" else name.split(b"\0", 1)[0]


def pack_unix(name: bytes) -> bytes:
    """Return a sockaddr_un of a name: a path gets its NUL, an abstract name its exact length."""
    head = AF_UNIX.to_bytes(2, "little")
    return head + name + b"\0" if name and name[0] else head + name


def inet_place(raw: bytes, family: int) -> Place:
    """Return the place in a sockaddr_in or sockaddr_in6. Raises: EINVAL (too short), EAFNOSUPPORT."""
    given = family_of(raw)
    if len(raw) < (16 if family == AF_INET else 24):
        raise EINVAL
    if given != family:
        raise EAFNOSUPPORT
    if family == AF_INET:
        port, address = _INET.unpack(raw[2:16])
        return address, port
    port, _, address, _ = _INET6.unpack(raw[2:28].ljust(26, b"\0"))
    return (address[12:] if address[:12] == MAPPED else address), port


def pack_inet(place: Place, family: int) -> bytes:
    """Return a sockaddr_in or sockaddr_in6 of a place."""
    address, port = place
    if family == AF_INET6:
        if len(address) == 4:
            address = ANY6 if address == ANY4 else MAPPED + address
        return AF_INET6.to_bytes(2, "little") + _INET6.pack(port, 0, address, 0)
    return AF_INET.to_bytes(2, "little") + _INET.pack(port, address)
