"""Small guest structures that several subjects read, by their declared layouts."""

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry_abi.errors import EINVAL
from sentry_abi.structs import SIGEVENT, SIGSET, TIMESPEC
from sentry_usermem import read_struct

if TYPE_CHECKING:
    from sentry.kernel.state import Task

INT: Final = Struct("<i")
UINT: Final = Struct("<I")
LOFF_T: Final = Struct("<q")
SECOND: Final = 1_000_000_000
KTIME_MAX: Final = (1 << 63) - 1


class SigEvent(NamedTuple):
    """struct sigevent."""

    value: int
    signo: int
    notify: int
    tid: int


def read_one(t: "Task", address: int, layout: "Struct") -> int:
    """Return the value of a layout with one field (INT, LOFF_T, SIGSET). Raises: EFAULT."""
    return read_struct(t.mm, address, layout)[0]


def read_sigset(t: "Task", address: int) -> int:
    """Return a sigset_t. Raises: EFAULT."""
    return read_struct(t.mm, address, SIGSET)[0]


def read_sigevent(t: "Task", address: int) -> SigEvent:
    """Return a struct sigevent. Raises: EFAULT."""
    return SigEvent(*read_struct(t.mm, address, SIGEVENT))


def read_timespec(t: "Task", address: int) -> int:
    """Return a struct timespec as nanoseconds, saturated. Raises: EFAULT, EINVAL if it is negative or not normal."""
    seconds, ns = read_struct(t.mm, address, TIMESPEC)
    if seconds < 0 or not 0 <= ns < SECOND:
        raise EINVAL
    return min(seconds * SECOND + ns, KTIME_MAX)
