"""Handlers of `syscalls.system`: sysinfo, getrandom, syslog, personality."""

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import system
from sentry_abi.errors import EFAULT, EINVAL, EPERM
from sentry_abi.structs import SYSINFO


def test_sysinfo(p: Program) -> None:
    """Uptime is the kernel's clock, processes its tasks."""
    where = p.zeros(SYSINFO.size)
    p.child()
    p.box.host.now_ns += 77_000_000_000
    p.ok("sysinfo", where)
    fields = p.fields(SYSINFO, where)
    assert (fields[0] >= 77, fields[10]) == (True, 2)
    assert (fields[4], fields[4] > fields[5]) == (system.memory_bytes()[0], True)
    assert p.error("sysinfo", BAD) is EFAULT


def test_random(p: Program) -> None:
    """Bytes of the host's record, as far as memory goes; flags count first, and nothing is asked for nothing."""
    where = p.zeros(32)
    assert p.ok("getrandom", where, 16, 0) == 16
    first = p.get(where, 16)
    p.ok("getrandom", where, 16, 1)
    assert p.get(where, 16) != first
    assert p.error("getrandom", BAD, 5, 8) is EINVAL
    assert p.error("getrandom", BAD, 5, 6) is EINVAL
    assert p.error("getrandom", BAD, 5, 0) is EFAULT
    assert p.ok("getrandom", BAD, 0, 0) == 0
    page = p.ok("mmap", 0, 4096, 3, 0x22, -1, 0)
    p.ok("munmap", page + 4096, 4096)
    assert p.ok("getrandom", page + 4000, 500, 0) >= 96


def test_log(p: Program) -> None:
    """The end of the log; what would change it is not permitted."""
    where = p.zeros(64)
    size = p.ok("syslog", 10, 0, 0)
    assert size > 64
    assert p.ok("syslog", 3, where, 64) == 64
    assert p.get(where, 64).endswith(b"Ready!\n")
    assert p.error("syslog", 3, BAD, -1) is EINVAL
    assert p.error("syslog", 3, 0, 5) is EINVAL
    assert p.error("syslog", 3, BAD, 5) is EFAULT
    assert p.error("syslog", 99, 0, 0) is EINVAL
    assert p.error("syslog", 5, 0, 0) is EPERM
    assert p.ok("syslog", 9, 0, 0) == 0


def test_personality(p: Program) -> None:
    """There is one."""
    assert p.ok("personality", -1) == 0
    assert system.personality(p.t, 0) == 0
    assert p.error("personality", 8) is EINVAL
