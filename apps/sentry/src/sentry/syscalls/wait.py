"""Waiting for children: wait4(2), waitid(2)."""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.exit import release_group
from sentry.kernel.pending import Pending, Result, attempt
from sentry.kernel.pidfd import PidFile
from sentry.kernel.state import ThreadGroup
from sentry.syscalls.binder import Calls, Flags, Int, Ptr
from sentry.syscalls.resource import rusage
from sentry_abi.errors import EAGAIN, EBADF, ECHILD, EINVAL, ESRCH, LinuxError
from sentry_abi.fcntl import O_NONBLOCK
from sentry_abi.signal import SIGCHLD
from sentry_abi.wait import P_ALL, P_PGID, P_PID, P_PIDFD, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WSTOPPED, WUNTRACED
from sentry_waiter import IN

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("processes")

WALL: Final = 0x4000_0000
WCLONE: Final = 0x8000_0000
WNOTHREAD: Final = 0x2000_0000
INFO_SIZE: Final = 28
"""How much of a siginfo waitid(2) writes."""


class WaitState(NamedTuple):
    """Which children, what of them, and where the answer goes."""

    kind: int
    number: int
    options: int
    status: int
    info: int
    rusage: int
    is_waitid: bool


def _eligible(group: ThreadGroup, state: WaitState) -> list[ThreadGroup]:
    kind, number = state.kind, state.number
    found = []
    for child in group.children.values():
        if kind == P_PID and child.tgid != number:
            continue
        if kind == P_PGID and child.pgrp.pgid != number:
            continue
        is_clone = child.termination_signal != SIGCHLD
        if not state.options & WALL and is_clone != bool(state.options & WCLONE):
            continue
        found.append(child)
    return found


def _report(t: "Task", state: WaitState, child: ThreadGroup, code: int, status: int, wait_status: int) -> int:
    """Write what wait4 or waitid reports of a child; return the call's value."""
    if state.rusage:
        t.mm.copy_out(state.rusage, rusage(child.cpu_time_ns() + child.child_cpu_ns))
    if state.is_waitid:
        if state.info:
            uid = child.leader.creds.uid
            body = SIGCHLD.to_bytes(4, "little") + bytes(4) + code.to_bytes(4, "little") + bytes(4)
            body += child.tgid.to_bytes(4, "little") + uid.to_bytes(4, "little") + status.to_bytes(4, "little")
            t.mm.copy_out(state.info, body)
        return 0
    if state.status:
        t.mm.copy_out(state.status, wait_status.to_bytes(4, "little"))
    return child.tgid


@attempt
def wait_again(t: "Task", state: WaitState) -> Result:
    """Report a child that has ended, stopped or continued, or wait."""
    options = state.options
    group = t.group
    children = _eligible(group, state)
    for child in children:
        if child.is_zombie and options & WEXITED:
            status = child.exit_status
            signo = status & 0x7F
            code = (3 if status & 0x80 else 2) if signo else 1
            if not options & WNOWAIT:
                release_group(child)  # as on Linux, even if writing the status fails
            return _report(t, state, child, code, signo or status >> 8, status)
        if child.stopped and options & WUNTRACED and not child.stop_reported:
            value = _report(t, state, child, 5, child.stop_signo, child.stop_signo << 8 | 0x7F)
            child.stop_reported = not options & WNOWAIT
            return value
        if child.continued and options & WCONTINUED:
            value = _report(t, state, child, 6, 18, 0xFFFF)
            child.continued = bool(options & WNOWAIT)
            return value
    if not children:
        raise ECHILD
    if options & WNOHANG:
        if state.is_waitid and state.info:
            t.mm.copy_out(state.info, bytes(INFO_SIZE))
        return 0
    return Pending(wait_again, state, ((group.wait_queue, IN),))


@calls.call
def wait4(t: "Task", pid: Int, status: Ptr, options: Flags, rusage: Ptr) -> Result:
    """wait4(2). Raises: EINVAL, ESRCH for INT_MIN, ECHILD, EFAULT."""
    if options & ~(WNOHANG | WUNTRACED | WCONTINUED | WALL | WCLONE | WNOTHREAD):
        raise EINVAL
    if pid == -0x8000_0000:
        raise ESRCH
    kind, number = P_PID, pid
    if pid == -1:
        kind = P_ALL
    elif pid <= 0:
        kind, number = P_PGID, -pid or t.group.pgrp.pgid
    return wait_again(t, WaitState(kind, number, options | WEXITED, status, 0, rusage, is_waitid=False))


@calls.call
def waitid(t: "Task", kind: Int, number: Int, info: Ptr, options: Flags, rusage: Ptr) -> Result:
    """waitid(2): info is written even if the call fails, with zeros. Raises: EINVAL, EBADF, ECHILD, EAGAIN, EFAULT."""
    try:
        return _waitid(t, kind, number, info, options, rusage)
    except LinuxError:
        if info:
            t.mm.copy_out(info, bytes(INFO_SIZE))
        raise


def _waitid(t: "Task", kind: int, number: int, info: int, options: int, rusage: int) -> Result:
    known = WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | WALL | WCLONE | WNOTHREAD
    if options & ~known or not options & (WEXITED | WSTOPPED | WCONTINUED):
        raise EINVAL
    least = 1 if kind == P_PID else -0x8000_0000 if kind == P_ALL else 0
    if kind not in (P_ALL, P_PID, P_PGID, P_PIDFD) or number < least:
        raise EINVAL
    if kind == P_PGID and number == 0:
        number = t.group.pgrp.pgid
    if kind == P_PIDFD:
        file = t.files.get(number)
        if not isinstance(file, PidFile):
            raise EBADF
        kind, number = P_PID, file.group.tgid
        if file.group.parent is not t.group or t.ns.pid.groups.get(number) is not file.group:
            raise ECHILD
        result = wait_again(t, WaitState(kind, number, options, 0, info, rusage, is_waitid=True))
        if isinstance(result, Pending) and file.flags & O_NONBLOCK:
            raise EAGAIN
        return result
    return wait_again(t, WaitState(kind, number, options, 0, info, rusage, is_waitid=True))
