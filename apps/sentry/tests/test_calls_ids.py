"""Handlers of `syscalls.ids`: identities, groups and capabilities."""

import struct

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import ids
from sentry_abi.errors import EFAULT, EINVAL, EPERM, ESRCH
from sentry_abi.structs import CAP_DATA, CAP_HEADER

V1, V3 = 0x19980330, 0x20080522


def three(p: Program, call: str) -> tuple[int, ...]:
    """Return what getresuid or getresgid writes."""
    where = p.zeros(12)
    p.ok(call, where, where + 4, where + 8)
    return struct.unpack("<3I", p.get(where, 12))


def test_users(p: Program) -> None:
    """Root sets all ids with setuid; -1 leaves one."""
    p.ok("setresuid", 1, 2, 0xFFFF_FFFF_FFFF_FFFF)
    assert three(p, "getresuid") == (1, 2, 0)
    assert (p.ok("getuid"), p.ok("geteuid")) == (1, 2)
    p.ok("setreuid", -1, 0)
    p.ok("setuid", 5)
    assert three(p, "getresuid") == (5, 5, 5)
    assert p.error("setuid", 0) is EPERM
    assert p.error("setuid", -1) is EINVAL
    assert p.error("setreuid", 0, -1) is EPERM
    assert p.error("setresuid", -1, -1, 6) is EPERM
    assert p.ok("setfsuid", 0) == 5
    assert p.ok("setfsuid", -1) == 5


def test_groups(p: Program) -> None:
    """The same of group ids, and the list of others."""
    p.ok("setresgid", 1, 2, 3)
    assert three(p, "getresgid") == (1, 2, 3)
    p.ok("setregid", 4, -1)
    assert (p.ok("getgid"), p.ok("getegid")) == (4, 2)
    p.ok("setgid", 9)
    assert p.ok("setfsgid", 9) == 9
    p.ok("setgroups", 2, struct.pack("<2I", 8, 7))
    buf = p.zeros(8)
    assert p.ok("getgroups", 0, BAD) == 2
    assert p.ok("getgroups", 2, buf) == 2
    assert sorted(struct.unpack("<2I", p.get(buf, 8))) == [7, 8]


def test_group_errors(p: Program) -> None:
    """The count is signed and counts before the address; the privilege before the count."""
    p.ok("setgroups", 1, struct.pack("<I", 8))
    assert p.error("getgroups", -1, BAD) is EINVAL
    assert p.error("getgroups", 1, BAD) is EFAULT
    assert p.error("setgroups", 70000, BAD) is EINVAL
    assert p.error("setgroups", 1, BAD) is EFAULT
    assert p.error("setgid", -1) is EINVAL
    assert p.error("getresuid", BAD, BAD, BAD) is EFAULT
    p.become(1000)
    assert p.error("setgroups", -1, BAD) is EPERM
    assert p.error("setresgid", 0, 0, 0) is EPERM


def test_gaining_is_not_dumpable(p: Program) -> None:
    """A process that changes its effective user is not dumpable any longer."""
    assert p.t.group.dumpable == 1
    p.ok("setresuid", -1, 1000, -1)
    assert p.t.group.dumpable == 0


def test_capget(p: Program) -> None:
    """Two blocks of three sets; an unknown version is answered with ours."""
    data = p.zeros(24)
    p.ok("capget", CAP_HEADER.pack(V3, 0), data)
    assert p.fields(CAP_DATA, data)[0] & 1
    assert p.fields(CAP_DATA, data + 12)[0]
    header = p.put(CAP_HEADER.pack(77, 0))
    assert p.error("capget", header, data) is EINVAL
    assert p.number(header) == V3
    assert p.ok("capget", p.put(CAP_HEADER.pack(77, 0)), 0) == 0
    assert ids.capget(p.t, p.put(CAP_HEADER.pack(V1, 0)), 0) == 0


def test_capability_errors(p: Program) -> None:
    """Header, then process, then data; only one's own can be set, and never more than is permitted."""
    assert p.error("capget", BAD, 0) is EFAULT
    assert p.error("capget", CAP_HEADER.pack(V3, -1), BAD) is EINVAL
    assert p.error("capget", CAP_HEADER.pack(V3, 999), BAD) is ESRCH
    assert p.error("capget", CAP_HEADER.pack(V3, 0), BAD) is EFAULT
    assert p.error("capset", CAP_HEADER.pack(1, 99), BAD) is EINVAL
    assert p.error("capset", CAP_HEADER.pack(V3, 99), BAD) is EPERM
    assert p.error("capset", CAP_HEADER.pack(V3, 0), BAD) is EFAULT
    assert p.ok("capset", CAP_HEADER.pack(V3, 0), bytes(24)) == 0
    assert p.t.creds.effective == 0
    assert p.error("capset", CAP_HEADER.pack(V3, 0), CAP_DATA.pack(1, 1, 0) + CAP_DATA.pack(0, 0, 0)) is EPERM
