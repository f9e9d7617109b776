"""Waiting for many files at once: poll, select, epoll.

Descriptors are resolved to files and timeouts to absolute deadlines once; the readiness of all files is read again
after every wake. Source: Linux fs/select.c, fs/eventpoll.c.
"""

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.kernel.signal import set_saved_mask
from sentry.syscalls.binder import Calls, FdNum, Int, Ptr, Size, UInt
from sentry.syscalls.files import put
from sentry.syscalls.guest import SECOND, read_sigset
from sentry_abi.errors import (
    EBADF,
    EFAULT,
    EINTR,
    EINVAL,
    EPERM,
    ERESTART_RESTARTBLOCK,
    ERESTARTNOHAND,
    LinuxError,
    RestartError,
)
from sentry_abi.fcntl import O_CLOEXEC
from sentry_abi.memory import TASK_SIZE
from sentry_abi.resource import RLIMIT_NOFILE
from sentry_abi.structs import TIMESPEC
from sentry_usermem import read_struct
from sentry_vfs import EpollFile, FileDescription
from sentry_waiter import ERR, HUP, IN, NVAL, OUT, PRI, RDBAND, RDNORM, WRBAND, WRNORM, Queue

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("waiting for files")

SIGSET_ARGPACK: Final = struct.Struct("<QQ")
"""struct sigset_argpack of pselect6(2): pointer, size."""
_POLLFD: Final = struct.Struct("<ihh")
_EPOLL_EVENT: Final = struct.Struct("<IQ")
_FOREVER: Final = 1 << 62


# timeouts


def deadline_of(t: "Task", pointer: int, scale: int) -> int | None:
    """Return the deadline of a relative timespec (scale 1) or timeval (scale 1000), None without one.

    Raises: EFAULT, EINVAL.
    """
    if not pointer:
        return None
    seconds, part = read_struct(t.mm, pointer, TIMESPEC)
    if seconds < 0 or part < 0 or (scale == 1 and part >= SECOND):
        raise EINVAL
    return t.kernel.clock.monotonic_ns() + min(seconds * SECOND + part * scale, _FOREVER)


def _expired(t: "Task", deadline: int | None) -> bool:
    return deadline is not None and (t.timed_out or deadline <= t.kernel.clock.monotonic_ns())


def use_mask(t: "Task", pointer: int, size: int) -> None:
    """Use a guest's signal mask until the call returns (set_user_sigmask). Raises: EINVAL, EFAULT."""
    if pointer:
        if size != 8:
            raise EINVAL
        set_saved_mask(t, read_sigset(t, pointer))


# poll


class Polled(NamedTuple):
    """State of a poll: `files` are (description or None, descriptor, events) in the order of the array."""

    addr: int
    files: tuple[tuple[FileDescription | None, int, int], ...]
    deadline: int | None
    restart: type[RestartError]


def _start_poll(t: "Task", fds: int, count: int, deadline: int | None, restart: type[RestartError]) -> Result:
    if count > t.limits.soft(RLIMIT_NOFILE):
        raise EINVAL
    found: list[tuple[FileDescription | None, int, int]] = []
    if count:
        for fd, events, _ in _POLLFD.iter_unpack(t.mm.copy_in(fds, count * 8)):
            file = None
            if fd >= 0:
                try:
                    file = t.files.get(fd)
                except EBADF:
                    file = None
            found.append((file, fd, events & 0xFFFF))
    return poll_on(t, Polled(fds, tuple(found), deadline, restart))


@attempt
def poll_on(t: "Task", state: Polled) -> Result:
    """Return the ready files, or wait until the deadline."""
    addr, found, deadline, restart = state
    ready = 0
    replies = []
    for file, fd, events in found:
        mask = NVAL if fd >= 0 else 0
        if file is not None:
            mask = file.readiness() & (events | ERR | HUP | NVAL)
        if mask:
            ready += 1
        replies.append(_POLLFD.pack(fd, events - 0x10000 if events & 0x8000 else events, mask))
    if ready or _expired(t, deadline):
        if replies:
            t.mm.copy_out(addr, b"".join(replies))
        return ready
    queues = tuple(
        (file.queue, events | ERR | HUP) for file, _, events in found if file is not None and file.queue is not None
    )
    return Pending(poll_on, state, queues, deadline, restart)


@calls.call
def poll(t: "Task", fds: Ptr, count: UInt, timeout: Int) -> Result:
    """poll(2): milliseconds, negative is no timeout."""
    deadline = None if timeout < 0 else t.kernel.clock.monotonic_ns() + timeout * 1_000_000
    return _start_poll(t, fds, count, deadline, ERESTART_RESTARTBLOCK)


@calls.call
def ppoll(t: "Task", fds: Ptr, count: UInt, timeout: Ptr, mask: Ptr, size: Size) -> Result:
    """ppoll(2)."""
    deadline = deadline_of(t, timeout, 1)
    use_mask(t, mask, size)
    return _start_poll(t, fds, count, deadline, ERESTARTNOHAND)


# select

_SETS: Final = (RDNORM | RDBAND | IN | HUP | ERR | NVAL, WRBAND | WRNORM | OUT | ERR | NVAL, PRI | NVAL)


class Selected(NamedTuple):
    """State of a select: `files` are (description, descriptor, which of the three sets it is in)."""

    addrs: tuple[int, int, int]
    size: int
    files: tuple[tuple[FileDescription, int, int], ...]
    deadline: int | None
    timeout: int
    scale: int


def _start_select(
    t: "Task", count: int, addrs: tuple[int, int, int], timeout: int, scale: int, deadline: int | None
) -> Result:
    if count < 0:
        raise EINVAL
    count = min(count, t.limits.soft(RLIMIT_NOFILE), 1 << 20)
    size = (count + 63 >> 6) << 3
    bits = [int.from_bytes(t.mm.copy_in(addr, size), "little") if addr and size else 0 for addr in addrs]
    wanted = (bits[0] | bits[1] | bits[2]) & (1 << count) - 1
    found = []
    while wanted:
        low = wanted & -wanted
        wanted ^= low
        fd = low.bit_length() - 1
        which = sum(1 << index for index in range(3) if bits[index] & low)
        found.append((t.files.get_any(fd), fd, which))
    return select_on(t, Selected(addrs, size, tuple(found), deadline, timeout, scale))


@attempt
def select_on(t: "Task", state: Selected) -> Result:
    """Return the ready files, or wait until the deadline."""
    answers = [0, 0, 0]
    ready = 0
    queues: list[tuple[Queue, int]] = []
    for file, fd, which in state.files:
        mask = file.readiness()
        wanted = 0
        for index, bits in enumerate(_SETS):
            if which >> index & 1:
                wanted |= bits
                if mask & bits:
                    answers[index] |= 1 << fd
                    ready += 1
        if file.queue is not None:
            queues.append((file.queue, wanted | ERR | HUP))
    if not ready and not _expired(t, state.deadline):
        return Pending(select_on, state, tuple(queues), state.deadline, ERESTARTNOHAND, select_interrupted)
    for addr, answer in zip(state.addrs, answers, strict=True):
        if addr and state.size:
            t.mm.copy_out(addr, answer.to_bytes(state.size, "little"))
    _write_remaining(t, state)
    return ready


@attempt
def select_interrupted(t: "Task", state: Selected) -> Result:
    """Write the remaining time. Raises: ERESTARTNOHAND."""
    _write_remaining(t, state)
    raise ERESTARTNOHAND


def _write_remaining(t: "Task", state: Selected) -> None:
    if not state.timeout or state.deadline is None:
        return
    left = max(0, state.deadline - t.kernel.clock.monotonic_ns())
    try:
        t.mm.copy_out(state.timeout, struct.pack("<qq", left // SECOND, left % SECOND // state.scale))
    except LinuxError:
        return  # the timeout may be in read-only memory


@calls.call
def select(t: "Task", count: Int, reads: Ptr, writes: Ptr, excepts: Ptr, timeout: Ptr) -> Result:
    """select(2)."""
    deadline = deadline_of(t, timeout, 1000)
    return _start_select(t, count, (reads, writes, excepts), timeout, 1000, deadline)


@calls.call
def pselect6(t: "Task", count: Int, reads: Ptr, writes: Ptr, excepts: Ptr, timeout: Ptr, sigmask: Ptr) -> Result:
    """pselect(2); sigmask points at (pointer, size)."""
    pointer, size = read_struct(t.mm, sigmask, SIGSET_ARGPACK) if sigmask else (0, 0)
    deadline = deadline_of(t, timeout, 1)
    use_mask(t, pointer, size)
    return _start_select(t, count, (reads, writes, excepts), timeout, 1, deadline)


# epoll


@calls.call
def epoll_create1(t: "Task", flags: Int) -> Result:
    """epoll_create1(2)."""
    if flags & ~O_CLOEXEC:
        raise EINVAL
    return put(t, EpollFile(t.kernel.vfs.anonymous), flags)


@calls.call
def epoll_create(t: "Task", size: Int) -> Result:
    """epoll_create(2)."""
    if size <= 0:
        raise EINVAL
    return epoll_create1(t, 0)


@calls.call
def epoll_ctl(t: "Task", epfd: FdNum, operation: Int, fd: FdNum, event: Ptr) -> Result:
    """epoll_ctl(2)."""
    events, data = (0, 0) if operation == 2 else _EPOLL_EVENT.unpack(t.mm.copy_in(event, 12))
    epoll = t.files.get(epfd)
    file = t.files.get(fd)
    if file.queue is None:
        raise EPERM
    if not isinstance(epoll, EpollFile) or epoll is file:
        raise EINVAL
    if operation == 1:
        epoll.add(file, fd, events, data)
    elif operation == 2:
        epoll.remove(file, fd)
    elif operation == 3:
        epoll.modify(file, fd, events, data)
    else:
        raise EINVAL
    return 0


class EpollWait(NamedTuple):
    """State of an epoll_wait."""

    epoll: EpollFile
    addr: int
    limit: int
    deadline: int | None


@attempt
def epoll_on(t: "Task", state: EpollWait) -> Result:
    """Return ready events, or wait."""
    epoll, addr, limit, deadline = state
    found = epoll.take(limit)
    if found:
        t.mm.copy_out(addr, b"".join([_EPOLL_EVENT.pack(events, data) for events, data in found]))
        return len(found)
    if _expired(t, deadline):
        return 0
    assert epoll.queue is not None
    return Pending(epoll_on, state, ((epoll.queue, IN),), deadline, EINTR)


def _wait(t: "Task", epfd: int, events: int, limit: int, deadline: int | None) -> Result:
    epoll = t.files.get(epfd)
    if not 0 < limit <= 0x7FFF_FFFF // _EPOLL_EVENT.size:
        raise EINVAL
    if events + limit * _EPOLL_EVENT.size > TASK_SIZE:
        raise EFAULT
    if not isinstance(epoll, EpollFile):
        raise EINVAL
    return epoll_on(t, EpollWait(epoll, events, limit, deadline))


@calls.call
def epoll_wait(t: "Task", epfd: FdNum, events: Ptr, limit: Int, timeout: Int) -> Result:
    """epoll_wait(2): milliseconds, negative is no timeout."""
    deadline = None if timeout < 0 else t.kernel.clock.monotonic_ns() + timeout * 1_000_000
    return _wait(t, epfd, events, limit, deadline)


@calls.call
def epoll_pwait(t: "Task", epfd: FdNum, events: Ptr, limit: Int, timeout: Int, mask: Ptr, size: Size) -> Result:
    """epoll_pwait(2)."""
    use_mask(t, mask, size)
    return epoll_wait(t, epfd, events, limit, timeout)


@calls.call
def epoll_pwait2(t: "Task", epfd: FdNum, events: Ptr, limit: Int, timeout: Ptr, mask: Ptr, size: Size) -> Result:
    """epoll_pwait2(2)."""
    deadline = deadline_of(t, timeout, 1)
    use_mask(t, mask, size)
    return _wait(t, epfd, events, limit, deadline)
