"""Handlers of `syscalls.prctl`: settings of a thread."""

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import prctl
from sentry_abi import prctl as pr
from sentry_abi.errors import EFAULT, EINVAL, EPERM
from sentry_abi.memory import TASK_SIZE


def test_segment_bases(p: Program) -> None:
    """Bases are registers, held until the task goes on; an address beyond user space is EPERM."""
    where = p.zeros(8)
    p.ok("arch_prctl", pr.ARCH_SET_FS, 0x1234_5678_9ABC)
    p.ok("arch_prctl", pr.ARCH_SET_GS, 0x42)
    p.ok("arch_prctl", pr.ARCH_GET_FS, where)
    assert p.number(where, 8) == 0x1234_5678_9ABC
    p.ok("arch_prctl", pr.ARCH_GET_GS, where)
    assert p.number(where, 8) == 0x42
    assert p.t.attention
    assert p.error("arch_prctl", pr.ARCH_SET_FS, TASK_SIZE) is EPERM
    assert p.error("arch_prctl", pr.ARCH_GET_FS, BAD) is EFAULT
    assert p.error("arch_prctl", 99, 0) is EINVAL


def test_name(p: Program) -> None:
    """Fifteen bytes are kept."""
    where = p.zeros(16)
    p.ok("prctl", pr.PR_SET_NAME, b"a name that is too long", 0, 0, 0)
    p.ok("prctl", pr.PR_GET_NAME, where, 0, 0, 0)
    assert p.get(where, 16) == b"a name that is \0"
    assert prctl.prctl(p.t, pr.PR_SET_NAME, p.put(b"x\0"), 0, 0, 0) == 0
    assert p.t.comm == b"x"


def test_settings(p: Program) -> None:
    """What is set is what is read."""
    where = p.zeros(4)
    p.ok("prctl", pr.PR_SET_DUMPABLE, 0, 0, 0, 0)
    assert p.ok("prctl", pr.PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
    p.ok("prctl", pr.PR_SET_PDEATHSIG, 9, 0, 0, 0)
    p.ok("prctl", pr.PR_GET_PDEATHSIG, where, 0, 0, 0)
    assert p.number(where) == 9
    p.ok("prctl", pr.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    p.ok("prctl", pr.PR_GET_CHILD_SUBREAPER, where, 0, 0, 0)
    assert p.number(where) == 1
    p.ok("prctl", pr.PR_SET_KEEPCAPS, 1, 0, 0, 0)
    assert p.ok("prctl", pr.PR_GET_KEEPCAPS, 0, 0, 0, 0) == 1
    p.ok("prctl", pr.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    assert p.ok("prctl", pr.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
    assert p.ok("prctl", pr.PR_CAPBSET_READ, 21, 0, 0, 0) == 1
    p.ok("prctl", pr.PR_CAPBSET_DROP, 21, 0, 0, 0)
    assert p.ok("prctl", pr.PR_CAPBSET_READ, 21, 0, 0, 0) == 0


def test_errors(p: Program) -> None:
    """Every option has its own; arguments that are not used have to be zero where Linux says so."""
    for option, *args in (
        (9999, 0, 0, 0, 0),
        (pr.PR_SET_DUMPABLE, 9, 0, 0, 0),
        (pr.PR_SET_PDEATHSIG, 99, 0, 0, 0),
        (pr.PR_SET_KEEPCAPS, 9, 0, 0, 0),
        (pr.PR_CAPBSET_READ, 99, 0, 0, 0),
        (pr.PR_CAPBSET_DROP, 99, 0, 0, 0),
        (pr.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0),
        (pr.PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0),
        (pr.PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (pr.PR_GET_THP_DISABLE, 1, 0, 0, 0),
        (pr.PR_CAP_AMBIENT, 9, 0, 0, 0),
        (pr.PR_CAP_AMBIENT, pr.PR_CAP_AMBIENT_IS_SET, 99, 0, 0),
        (pr.PR_CAP_AMBIENT, pr.PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0),
    ):
        assert p.error("prctl", option, *args) is EINVAL, (option, args)
    assert p.error("prctl", pr.PR_SET_NAME, BAD, 0, 0, 0) is EFAULT
    assert p.error("prctl", pr.PR_GET_PDEATHSIG, BAD, 0, 0, 0) is EFAULT
    p.become(1000)
    assert p.error("prctl", pr.PR_CAPBSET_DROP, 1, 0, 0, 0) is EPERM
