"""Names of the system: uname(2), sethostname(2), setdomainname(2)."""

from typing import TYPE_CHECKING

from sentry.kernel.state import RELEASE, VERSION
from sentry.syscalls.binder import Calls, Int, Ptr
from sentry_abi.capability import CAP_SYS_ADMIN
from sentry_abi.errors import EINVAL, EPERM
from sentry_abi.structs import UTSNAME

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("names of the system")


@calls.call
def uname(t: "Task", address: Ptr) -> int:
    """uname(2). Raises: EFAULT."""
    uts = t.ns.uts
    t.mm.copy_out(address, UTSNAME.pack(b"Linux", uts.hostname, RELEASE, VERSION, b"x86_64", uts.domainname))
    return 0


def _set_name(t: "Task", address: int, length: int) -> bytes:
    if not t.creds.capable(CAP_SYS_ADMIN):
        raise EPERM
    if not 0 <= length <= 64:
        raise EINVAL
    return bytes(t.mm.copy_in(address, length))


@calls.call
def sethostname(t: "Task", address: Ptr, length: Int) -> int:
    """sethostname(2). Raises: EPERM, EINVAL, EFAULT."""
    t.ns.uts.hostname = _set_name(t, address, length)
    return 0


@calls.call
def setdomainname(t: "Task", address: Ptr, length: Int) -> int:
    """setdomainname(2). Raises: EPERM, EINVAL, EFAULT."""
    t.ns.uts.domainname = _set_name(t, address, length)
    return 0
