"""Handlers of `syscalls.uts`: names of the system."""

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import uts
from sentry_abi.errors import EFAULT, EINVAL, EPERM
from sentry_abi.structs import UTSNAME


def test_names(p: Program) -> None:
    """The names of the task's namespace, each up to 64 bytes."""
    where = p.zeros(UTSNAME.size)
    p.ok("sethostname", b"box", 3)
    assert uts.setdomainname(p.t, p.put(b"lan"), 3) == 0
    p.ok("setdomainname", b"lans", 3)
    p.ok("uname", where)
    names = [name.rstrip(b"\0") for name in UTSNAME.unpack(p.get(where, UTSNAME.size))]
    assert (names[0], names[1], names[4], names[5]) == (b"Linux", b"box", b"x86_64", b"lan")
    assert p.ok("sethostname", BAD, 0) == 0


def test_errors(p: Program) -> None:
    """Privilege, length, address."""
    assert p.error("uname", BAD) is EFAULT
    for call in ("sethostname", "setdomainname"):
        assert p.error(call, BAD, 65) is EINVAL
        assert p.error(call, BAD, -1) is EINVAL
        assert p.error(call, BAD, 5) is EFAULT
    p.become(1000)
    assert p.error("sethostname", BAD, 65) is EPERM
    assert p.error("setdomainname", BAD, 65) is EPERM
