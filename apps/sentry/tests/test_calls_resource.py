"""Handlers of `syscalls.resource`: limits and usage."""

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import resource
from sentry_abi.errors import EFAULT, EINVAL, EPERM, ESRCH
from sentry_abi.resource import RLIMIT_NOFILE
from sentry_abi.structs import RLIMIT, RUSAGE


def test_limits(p: Program) -> None:
    """Set and get, of oneself and of a child."""
    old, child = p.zeros(16), p.child()
    p.ok("setrlimit", RLIMIT_NOFILE, RLIMIT.pack(5, 9))
    p.ok("getrlimit", RLIMIT_NOFILE, old)
    assert p.fields(RLIMIT, old) == (5, 9)
    p.ok("prlimit64", 0, 0xFFFF_FFFF_0000_0000 | RLIMIT_NOFILE, RLIMIT.pack(6, 9), old)
    assert p.fields(RLIMIT, old) == (5, 9)
    p.ok("prlimit64", child.t.tid, RLIMIT_NOFILE, RLIMIT.pack(1, 2), 0)
    assert child.t.limits.get(RLIMIT_NOFILE) == (1, 2)


def test_errors(p: Program) -> None:
    """Setrlimit reads first, getrlimit looks at the number first; prlimit reads, finds the process, asks, looks."""
    child = p.child()
    assert p.error("getrlimit", 99, BAD) is EINVAL
    assert p.error("getrlimit", 1, BAD) is EFAULT
    assert p.error("setrlimit", 99, BAD) is EFAULT
    assert p.error("setrlimit", 99, RLIMIT.pack(1, 1)) is EINVAL
    assert p.error("setrlimit", 1, RLIMIT.pack(5, 1)) is EINVAL
    assert p.error("prlimit64", 999, 99, BAD, 0) is EFAULT
    assert p.error("prlimit64", 999, 99, 0, 0) is ESRCH
    assert p.error("prlimit64", 0, 99, 0, 0) is EINVAL
    p.ok("setrlimit", RLIMIT_NOFILE, RLIMIT.pack(5, 9))
    p.become(1000)
    assert p.error("prlimit64", child.t.tid, 99, 0, 0) is EPERM
    assert p.error("setrlimit", RLIMIT_NOFILE, RLIMIT.pack(5, 10)) is EPERM
    child.become(1000, 1001)
    assert p.error("prlimit64", child.t.tid, RLIMIT_NOFILE, 0, 0) is EPERM, "the group ids count, too"
    child.become(1000)
    assert p.ok("prlimit64", child.t.tid, RLIMIT_NOFILE, 0, 0) == 0


def test_usage(p: Program) -> None:
    """CPU time of the process, its children and the thread."""
    where = p.zeros(RUSAGE.size)
    p.context.cpu_ns = 3_000_004_000
    p.t.group.child_cpu_ns = 5_000_000_000
    for who, expected in ((0, (3, 4)), (1, (3, 4)), (-1, (5, 0))):
        p.ok("getrusage", who, where)
        assert p.fields(RUSAGE, where)[:2] == expected
    assert p.error("getrusage", 9, BAD) is EINVAL
    assert p.error("getrusage", 0, BAD) is EFAULT
    assert resource.rusage(1_500_000)[:16] == RUSAGE.pack(0, 1500, *(0,) * 16)[:16]
