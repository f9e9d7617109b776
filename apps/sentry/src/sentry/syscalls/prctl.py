"""Settings of a thread: prctl(2), arch_prctl(2)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import sentry_auth as auth
from sentry.syscalls.binder import Calls, Int, ULong
from sentry.syscalls.ids import publish
from sentry_abi import prctl as pr
from sentry_abi.errors import EINVAL, EPERM
from sentry_abi.memory import TASK_SIZE
from sentry_abi.prctl import ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_FS, ARCH_SET_GS
from sentry_abi.signal import SIGRTMAX

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("settings of a thread")


@calls.call
def arch_prctl(t: "Task", option: Int, address: ULong) -> int:
    """arch_prctl(2). Raises: EPERM for an address beyond user space, EFAULT, EINVAL."""
    if option in (ARCH_SET_FS, ARCH_SET_GS):
        if address >= TASK_SIZE:
            raise EPERM
        regs = t.hold()
        if option == ARCH_SET_FS:
            regs.fs_base = address
        else:
            regs.gs_base = address
        return 0
    if option in (ARCH_GET_FS, ARCH_GET_GS):
        regs = t.hold()
        base = regs.fs_base if option == ARCH_GET_FS else regs.gs_base
        t.mm.copy_out(address, base.to_bytes(8, "little"))
        return 0
    raise EINVAL


@calls.call
def prctl(t: "Task", option: Int, a: ULong, b: ULong, c: ULong, d: ULong) -> int:
    """prctl(2). Raises: EINVAL for options that are not in the table below."""
    entry = _PRCTL.get(option)
    if entry is None:
        raise EINVAL
    return entry(t, a, b, c, d)


def _set_name_of(t: "Task", a: int, *_: int) -> int:
    raw = b""
    for i in range(15):
        byte = t.mm.copy_in(a + i, 1)
        if byte == b"\0":
            break
        raw += byte
    t.comm = raw
    return 0


def _get_name_of(t: "Task", a: int, *_: int) -> int:
    t.mm.copy_out(a, t.comm[:15].ljust(16, b"\0"))
    return 0


def _set_dumpable(t: "Task", a: int, *_: int) -> int:
    if a not in (0, 1):
        raise EINVAL
    t.group.dumpable = a
    return 0


def _set_pdeathsig(t: "Task", a: int, *_: int) -> int:
    if a > SIGRTMAX:
        raise EINVAL
    t.pdeath_signal = a
    return 0


def _get_pdeathsig(t: "Task", a: int, *_: int) -> int:
    t.mm.copy_out(a, t.pdeath_signal.to_bytes(4, "little"))
    return 0


def _set_keepcaps(t: "Task", a: int, *_: int) -> int:
    return publish(t, auth.set_keep_caps(t.creds, a))


def _capbset_read(t: "Task", a: int, *_: int) -> int:
    return int(t.creds.bounding & auth.check_capability(a) != 0)


def _capbset_drop(t: "Task", a: int, *_: int) -> int:
    return publish(t, auth.drop_bounding(t.creds, a))


def _set_securebits(t: "Task", a: int, *_: int) -> int:
    return publish(t, auth.set_securebits(t.creds, a))


def _set_no_new_privs(t: "Task", a: int, b: int, c: int, d: int) -> int:
    if a != 1 or b or c or d:
        raise EINVAL
    t.no_new_privs = True
    return 0


def _get_no_new_privs(t: "Task", a: int, b: int, c: int, d: int) -> int:
    if a or b or c or d:
        raise EINVAL
    return int(t.no_new_privs)


def _no_thp(t: "Task", a: int, b: int, c: int, d: int) -> int:
    del t
    if a or b or c or d:
        raise EINVAL
    return 0


def _set_subreaper(t: "Task", a: int, *_: int) -> int:
    t.group.is_subreaper = bool(a)
    return 0


def _get_subreaper(t: "Task", a: int, *_: int) -> int:
    t.mm.copy_out(a, int(t.group.is_subreaper).to_bytes(4, "little"))
    return 0


def _cap_ambient(t: "Task", a: int, b: int, c: int, d: int) -> int:
    creds = t.creds
    if a == pr.PR_CAP_AMBIENT_CLEAR_ALL:
        if b or c or d:
            raise EINVAL
        return publish(t, auth.clear_ambient(creds))
    bit = auth.check_capability(b)
    if c or d:
        raise EINVAL
    if a == pr.PR_CAP_AMBIENT_IS_SET:
        return int(creds.ambient & bit != 0)
    if a == pr.PR_CAP_AMBIENT_RAISE:
        return publish(t, auth.raise_ambient(creds, b))
    if a == pr.PR_CAP_AMBIENT_LOWER:
        return publish(t, auth.lower_ambient(creds, b))
    raise EINVAL


_PRCTL: Final[dict[int, Callable[..., int]]] = {
    pr.PR_SET_NAME: _set_name_of,
    pr.PR_GET_NAME: _get_name_of,
    pr.PR_GET_DUMPABLE: lambda t, *_: t.group.dumpable,
    pr.PR_SET_DUMPABLE: _set_dumpable,
    pr.PR_SET_PDEATHSIG: _set_pdeathsig,
    pr.PR_GET_PDEATHSIG: _get_pdeathsig,
    pr.PR_GET_KEEPCAPS: lambda t, *_: int(t.creds.securebits & auth.securebits.KEEP_CAPS != 0),
    pr.PR_SET_KEEPCAPS: _set_keepcaps,
    pr.PR_CAPBSET_READ: _capbset_read,
    pr.PR_CAPBSET_DROP: _capbset_drop,
    pr.PR_GET_SECUREBITS: lambda t, *_: t.creds.securebits,
    pr.PR_SET_SECUREBITS: _set_securebits,
    pr.PR_SET_NO_NEW_PRIVS: _set_no_new_privs,
    pr.PR_GET_NO_NEW_PRIVS: _get_no_new_privs,
    pr.PR_SET_CHILD_SUBREAPER: _set_subreaper,
    pr.PR_GET_CHILD_SUBREAPER: _get_subreaper,
    pr.PR_GET_SECCOMP: lambda *_: 0,
    pr.PR_GET_TIMERSLACK: lambda *_: 50_000,
    pr.PR_SET_TIMERSLACK: lambda *_: 0,
    pr.PR_CAP_AMBIENT: _cap_ambient,
    pr.PR_SET_THP_DISABLE: lambda *_: 0,
    pr.PR_GET_THP_DISABLE: _no_thp,
}
