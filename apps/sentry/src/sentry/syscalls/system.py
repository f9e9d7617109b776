"""The system as a whole: sysinfo(2), getrandom(2), syslog(2), personality(2)."""

import os
from typing import TYPE_CHECKING, Final

from sentry.syscalls.binder import Calls, Flags, Int, Ptr, Size, UInt
from sentry_abi.errors import EFAULT, EINVAL, EPERM
from sentry_abi.structs import SYSINFO

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("system")

GRND_ALL: Final = 7
RANDOM_CHUNK: Final = 1 << 20


@calls.call
def sysinfo(t: "Task", address: Ptr) -> int:
    """sysinfo(2): the memory that the sandbox may use is the host's. Raises: EFAULT."""
    total, free = memory_bytes()
    uptime = t.kernel.clock.monotonic_ns() // 1_000_000_000
    t.mm.copy_out(address, SYSINFO.pack(uptime, 0, 0, 0, total, free, 0, 0, 0, 0, len(t.ns.pid.tasks), 0, 0, 1))
    return 0


def memory_bytes() -> tuple[int, int]:
    """Return (total, free) memory of the host in bytes."""
    page = os.sysconf("SC_PAGE_SIZE")
    return os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page


@calls.call
def getrandom(t: "Task", address: Ptr, count: Size, flags: Flags) -> int:
    """getrandom(2). Raises: EINVAL, EFAULT."""
    if flags & ~GRND_ALL or flags & 6 == 6:
        raise EINVAL
    count = min(count, 0x7FFF_F000)
    random_bytes = t.kernel.host.random_bytes
    done = 0
    while done < count:
        chunk = min(count - done, RANDOM_CHUNK)
        written = t.mm.copy_out_partial(address + done, random_bytes(chunk))
        done += written
        if written < chunk:
            if not done:
                raise EFAULT
            break
    return done


@calls.call
def syslog(t: "Task", kind: Int, address: Ptr, length: Int) -> int:
    """syslog(2): reads of the kernel's log. Raises: EINVAL, EFAULT, EPERM."""
    log = t.kernel.syslog()
    if kind in (3, 4):
        if length < 0 or not address:
            raise EINVAL
        tail = log[-length:] if length else b""
        t.mm.copy_out(address, tail)
        return len(tail)
    if kind == 10:
        return len(log)
    if kind == 9:
        return 0
    if not 0 <= kind <= 10:
        raise EINVAL
    raise EPERM


@calls.call
def personality(t: "Task", persona: UInt) -> int:
    """personality(2): PER_LINUX and only that. Raises: EINVAL."""
    del t
    if persona not in (0, 0xFFFF_FFFF):
        raise EINVAL
    return 0
