"""The ioctls of network interfaces, of which there is one: lo. Source: netdevice(7), Linux net/core/dev_ioctl.c."""

from typing import Final

from sentry_abi.errors import EINVAL, ENODEV
from sentry_abi.ioctl import (
    SIOCGIFADDR,
    SIOCGIFBRDADDR,
    SIOCGIFCONF,
    SIOCGIFDSTADDR,
    SIOCGIFFLAGS,
    SIOCGIFHWADDR,
    SIOCGIFINDEX,
    SIOCGIFMAP,
    SIOCGIFMETRIC,
    SIOCGIFMTU,
    SIOCGIFNAME,
    SIOCGIFNETMASK,
    SIOCGIFTXQLEN,
)
from sentry_abi.socket import AF_INET
from sentry_vfs import UserMemory

_NAME: Final = b"lo".ljust(16, b"\0")
_INDEX: Final = (1).to_bytes(4, "little")
_IFREQ: Final = 40
_ARPHRD_LOOPBACK: Final = 772


def _inet(address: bytes) -> bytes:
    return AF_INET.to_bytes(2, "little") + b"\0\0" + address


_ANSWERS: Final = {
    SIOCGIFINDEX: _INDEX,
    SIOCGIFFLAGS: (0x49).to_bytes(2, "little"),  # IFF_UP, IFF_LOOPBACK, IFF_RUNNING
    SIOCGIFADDR: _inet(b"\x7f\0\0\x01"),
    SIOCGIFDSTADDR: _inet(b"\x7f\0\0\x01"),
    SIOCGIFBRDADDR: _inet(b"\0\0\0\0"),
    SIOCGIFNETMASK: _inet(b"\xff\0\0\0"),
    SIOCGIFMETRIC: bytes(4),
    SIOCGIFMTU: (65536).to_bytes(4, "little"),
    SIOCGIFHWADDR: _ARPHRD_LOOPBACK.to_bytes(2, "little") + bytes(14),
    SIOCGIFTXQLEN: (1000).to_bytes(4, "little"),
    SIOCGIFMAP: bytes(24),
}
"""The part of struct ifreq after the name."""

INTERFACE_COMMANDS: Final = frozenset({*_ANSWERS, SIOCGIFCONF, SIOCGIFNAME})
"""The commands that `interface_ioctl` does."""


def interface_ioctl(command: int, arg: int, mm: UserMemory) -> int:
    """Do an ioctl of an interface. Raises: EFAULT, EINVAL, ENODEV."""
    if command == SIOCGIFCONF:
        return _configuration(arg, mm)
    request = mm.copy_in(arg, _IFREQ)
    if command == SIOCGIFNAME:
        if request[16:20] != _INDEX:
            raise ENODEV
        mm.copy_out(arg, _NAME)
        return 0
    if request[:16].split(b"\0", 1)[0] != b"lo":
        raise ENODEV
    mm.copy_out(arg + 16, _ANSWERS[command])
    return 0


def _configuration(arg: int, mm: UserMemory) -> int:
    """Write the list of interfaces with their addresses, or how long it is."""
    request = mm.copy_in(arg, 16)
    space, buffer = int.from_bytes(request[:4], "little", signed=True), int.from_bytes(request[8:], "little")
    if space < 0:
        raise EINVAL
    length = _IFREQ
    if buffer:
        length = _IFREQ if space >= _IFREQ else 0
        if length:
            mm.copy_out(buffer, (_NAME + _ANSWERS[SIOCGIFADDR]).ljust(_IFREQ, b"\0"))
    mm.copy_out(arg, length.to_bytes(4, "little"))
    return 0
