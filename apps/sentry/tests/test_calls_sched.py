"""Handlers of `syscalls.sched`: scheduling and priorities."""

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import sched
from sentry_abi.errors import EACCES, EFAULT, EINVAL, EPERM, ESRCH
from sentry_abi.fcntl import (
    IOPRIO_CLASS_BE,
    IOPRIO_CLASS_NONE,
    IOPRIO_CLASS_RT,
    IOPRIO_CLASS_SHIFT,
    IOPRIO_WHO_PGRP,
    IOPRIO_WHO_PROCESS,
)
from sentry_abi.resource import PRIO_PGRP, PRIO_PROCESS, PRIO_USER
from sentry_abi.sched import SCHED_BATCH, SCHED_FIFO, SCHED_NORMAL, SCHED_RESET_ON_FORK
from sentry_abi.structs import SCHED_PARAM, TIMESPEC

GONE = 999
ZERO = SCHED_PARAM.pack(0)


def test_affinity(p: Program) -> None:
    """A mask of the CPUs that there are."""
    mask = p.zeros(8)
    assert p.ok("sched_getaffinity", 0, 8, mask) == 8
    assert p.number(mask, 8) == 3
    p.ok("sched_setaffinity", 0, 4, b"\2\0\0")
    p.ok("sched_getaffinity", 1, 16, mask)
    assert p.number(mask, 8) == 2
    assert p.error("sched_getaffinity", GONE, 7, BAD) is EINVAL
    assert p.error("sched_getaffinity", GONE, 12, BAD) is EINVAL
    assert p.error("sched_getaffinity", GONE, 8, BAD) is ESRCH
    assert p.error("sched_getaffinity", 0, 8, BAD) is EFAULT
    assert p.error("sched_setaffinity", GONE, 8, BAD) is EFAULT
    assert p.error("sched_setaffinity", GONE, 8, bytes(8)) is ESRCH
    assert p.error("sched_setaffinity", 0, 8, bytes(8)) is EINVAL
    child = p.child()
    p.become(1000)
    assert p.error("sched_setaffinity", child.t.tid, 8, bytes(8)) is EPERM


def test_policy(p: Program) -> None:
    """Only ordinary policies; a priority fits the policy, or the call is wrong before it is forbidden."""
    where = p.zeros(4)
    assert sched.sched_yield(p.t) == p.ok("sched_yield") == 0
    assert p.ok("sched_getscheduler", 0) == SCHED_NORMAL
    assert p.ok("sched_setscheduler", 0, SCHED_BATCH | SCHED_RESET_ON_FORK, ZERO) == 0
    assert p.ok("sched_setparam", 0, ZERO) == 0
    p.ok("sched_getparam", 0, where)
    assert p.ok("sched_get_priority_max", SCHED_FIFO) == 99
    assert p.ok("sched_get_priority_min", SCHED_FIFO) == 1
    time = p.zeros(16)
    p.ok("sched_rr_get_interval", 0, time)
    assert p.fields(TIMESPEC, time) == (0, 4_000_000)


def test_policy_errors(p: Program) -> None:
    """Numbers that cannot be, the parameter, the thread, the policy."""
    assert p.error("sched_setscheduler", GONE, -1, ZERO) is EINVAL
    assert p.error("sched_setscheduler", GONE, 0, 0) is EINVAL
    assert p.error("sched_setscheduler", GONE, 99, BAD) is EFAULT
    assert p.error("sched_setscheduler", GONE, 99, ZERO) is ESRCH
    assert p.error("sched_setscheduler", 0, 99, ZERO) is EINVAL
    assert p.error("sched_setscheduler", 0, SCHED_NORMAL, SCHED_PARAM.pack(5)) is EINVAL
    assert p.error("sched_setscheduler", 0, SCHED_FIFO, ZERO) is EINVAL
    assert p.error("sched_setscheduler", 0, SCHED_FIFO, SCHED_PARAM.pack(100)) is EINVAL
    assert p.error("sched_setscheduler", 0, SCHED_FIFO, SCHED_PARAM.pack(5)) is EPERM
    assert p.error("sched_setparam", GONE, BAD) is EFAULT
    assert p.error("sched_setparam", GONE, SCHED_PARAM.pack(5)) is ESRCH
    assert p.error("sched_setparam", 0, SCHED_PARAM.pack(5)) is EINVAL
    assert p.error("sched_getparam", GONE, 0) is EINVAL
    assert p.error("sched_getparam", GONE, BAD) is ESRCH
    assert p.error("sched_getparam", 0, BAD) is EFAULT
    assert p.error("sched_getscheduler", -1) is EINVAL
    assert p.error("sched_getscheduler", GONE) is ESRCH
    assert p.error("sched_get_priority_max", 9) is EINVAL
    assert p.error("sched_get_priority_min", 9) is EINVAL
    assert p.error("sched_rr_get_interval", -1, BAD) is EINVAL
    assert p.error("sched_rr_get_interval", GONE, BAD) is ESRCH
    assert p.error("sched_rr_get_interval", 0, BAD) is EFAULT


def test_nice(p: Program) -> None:
    """The answer of getpriority is 20 minus the lowest value; values are cut."""
    child = p.child()
    p.ok("setpriority", PRIO_PROCESS, 0, 99)
    assert p.ok("getpriority", PRIO_PROCESS, 0) == 1
    assert p.ok("getpriority", PRIO_PGRP, 0) == 20
    p.ok("setpriority", PRIO_PGRP, 1, -5)
    assert (p.t.nice, child.t.nice) == (-5, -5)
    assert p.ok("getpriority", PRIO_USER, 0) == 25


def test_nice_errors(p: Program) -> None:
    """One that may not be changed does not keep the others from it; the last error is the answer."""
    other, own = p.child(), p.child()
    p.become(1000)
    own.become(1000)
    assert p.error("getpriority", 3, 0) is EINVAL
    assert p.error("getpriority", PRIO_PROCESS, GONE) is ESRCH
    assert p.error("setpriority", PRIO_USER, GONE, 0) is ESRCH
    assert p.error("setpriority", PRIO_PGRP, 1, 5) is EPERM
    assert (p.t.nice, other.t.nice, own.t.nice) == (5, 0, 5)
    assert p.error("setpriority", PRIO_PROCESS, 0, 4) is EACCES


def test_io_priority(p: Program) -> None:
    """None is ever set; the class is checked before the process."""
    best = IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT
    assert p.ok("ioprio_get", IOPRIO_WHO_PROCESS, 0) == 0
    assert p.ok("ioprio_set", IOPRIO_WHO_PGRP, 0, best | 7) == 0
    assert p.error("ioprio_get", 0, 0) is EINVAL
    assert p.error("ioprio_get", IOPRIO_WHO_PGRP, GONE) is ESRCH
    assert p.error("ioprio_set", IOPRIO_WHO_PROCESS, GONE, 5 << IOPRIO_CLASS_SHIFT) is EINVAL
    assert p.error("ioprio_set", IOPRIO_WHO_PROCESS, GONE, IOPRIO_CLASS_NONE << IOPRIO_CLASS_SHIFT | 1) is EINVAL
    assert p.error("ioprio_set", IOPRIO_WHO_PROCESS, GONE, best) is ESRCH
    p.become(1000)
    assert p.error("ioprio_set", IOPRIO_WHO_PROCESS, GONE, IOPRIO_CLASS_RT << IOPRIO_CLASS_SHIFT) is EPERM


def test_getcpu(p: Program) -> None:
    """A CPU of the kernel's, node 0; null pointers are left alone."""
    where = p.put(b"\xff" * 8)
    p.ok("getcpu", where, where + 4, BAD)
    assert p.number(where) in {0, 1}
    assert p.number(where + 4) == 0
    assert p.ok("getcpu", 0, 0, 0) == 0
    assert p.error("getcpu", BAD, 0, 0) is EFAULT
