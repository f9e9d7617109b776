"""Handlers of `syscalls.signals`."""

from apps.sentry.tests.plain import BAD, Program
from sentry.kernel.pending import KEEP
from sentry.syscalls import signals
from sentry_abi.errors import EAGAIN, EFAULT, EINTR, EINVAL, ENOMEM, EPERM, ESRCH
from sentry_abi.signal import (
    SI_QUEUE,
    SI_TKILL,
    SI_USER,
    SIG_BLOCK,
    SIG_SETMASK,
    SIG_UNBLOCK,
    SIGKILL,
    SIGTERM,
    SIGUSR1,
    SS_DISABLE,
    UNBLOCKABLE,
)
from sentry_abi.structs import SIGACTION, SIGINFO_QUEUE, STACK, TIMESPEC

ALL = (1 << 64) - 1
GONE = 999


def bits(*signos: int) -> bytes:
    """Return a sigset_t."""
    return sum(1 << signo - 1 for signo in signos).to_bytes(8, "little")


def info(code: int, signo: int = 0) -> bytes:
    """Return a siginfo_t."""
    return SIGINFO_QUEUE.pack(signo, 0, code, 5, 6, 7)


def blocked(p: Program) -> Program:
    """Block all signals, so that they stay pending."""
    p.t.blocked = ALL & ~UNBLOCKABLE
    return p


def test_kill(p: Program) -> None:
    """To a process, a group, all others; with who sent it."""
    first, second = blocked(p.child()), blocked(p.child())
    p.ok("kill", 2, 0xFFFF_FFFF_0000_0000 | SIGUSR1)
    sent = first.t.group.pending.pop(ALL)
    assert sent is not None
    assert (sent.signo, sent.code, sent.pid, sent.uid) == (SIGUSR1, SI_USER, 1, 0)
    blocked(p).ok("kill", 0, SIGTERM)
    assert [q.t.group.pending.mask for q in (p, first, second)] == [1 << SIGTERM - 1] * 3
    p.ok("kill", -1, SIGUSR1)
    assert p.t.group.pending.mask == 1 << SIGTERM - 1
    assert second.t.group.pending.mask == 1 << SIGTERM - 1 | 1 << SIGUSR1 - 1
    assert p.ok("kill", 2, 0) == 0


def test_kill_errors(p: Program) -> None:
    """The process counts before the signal, the signal before the permission; -1 forgives those it may not signal."""
    assert p.error("kill", GONE, 99) is ESRCH
    assert p.error("kill", 1, 99) is EINVAL
    assert p.error("kill", -GONE, 99) is ESRCH
    assert p.error("kill", -0x8000_0000, 99) is ESRCH
    assert p.error("kill", -1, 99) is ESRCH, "there is no other process"
    p.child()
    assert p.error("kill", -1, 99) is EINVAL
    assert p.error("kill", 0, -1) is EINVAL
    p.become(1000)
    assert p.error("kill", 2, 99) is EINVAL
    assert p.error("kill", 2, SIGTERM) is EPERM
    assert p.ok("kill", -1, SIGTERM) == 0


def test_thread_signals(p: Program) -> None:
    """Tkill and tgkill reach one thread."""
    blocked(p)
    p.ok("tkill", 1, SIGUSR1)
    sent = p.t.pending.pop(ALL)
    assert sent is not None
    assert sent.code == SI_TKILL
    p.ok("tgkill", 1, 1, SIGUSR1)
    assert p.t.pending.mask == 1 << SIGUSR1 - 1
    assert p.error("tkill", 0, 99) is EINVAL
    assert p.error("tkill", GONE, 99) is ESRCH
    assert p.error("tgkill", -1, 1, 99) is EINVAL
    assert p.error("tgkill", 1, GONE, 99) is ESRCH
    assert p.error("tgkill", GONE, 1, 1) is ESRCH
    assert p.error("tgkill", 1, 1, 99) is EINVAL
    p.child()
    p.become(1000)
    assert p.error("tgkill", 2, 2, 9) is EPERM


def test_queue(p: Program) -> None:
    """The siginfo is the sender's; codes of the kernel are for a thread's own use alone."""
    blocked(p)
    p.ok("rt_sigqueueinfo", 1, SIGUSR1, info(SI_QUEUE))
    sent = p.t.group.pending.pop(ALL)
    assert sent is not None
    assert (sent.signo, sent.code, sent.pid) == (SIGUSR1, SI_QUEUE, 5)
    p.ok("rt_tgsigqueueinfo", 1, 1, SIGUSR1, info(SI_USER))
    p.child()
    assert p.error("rt_sigqueueinfo", GONE, 99, BAD) is EFAULT
    assert p.error("rt_sigqueueinfo", GONE, 99, info(SI_USER)) is EPERM
    assert p.error("rt_sigqueueinfo", GONE, 99, info(SI_QUEUE)) is ESRCH
    assert p.error("rt_sigqueueinfo", 1, 99, info(SI_QUEUE)) is EINVAL
    assert p.error("rt_tgsigqueueinfo", -1, 1, 99, BAD) is EFAULT
    assert p.error("rt_tgsigqueueinfo", -1, 2, 99, info(SI_USER)) is EINVAL
    assert p.error("rt_tgsigqueueinfo", 1, 2, 99, info(SI_USER)) is EPERM, "the thread's id counts"
    assert p.error("rt_tgsigqueueinfo", 1, GONE, 99, info(SI_QUEUE)) is ESRCH


def test_actions(p: Program) -> None:
    """The old action is given back; SIGKILL and SIGSTOP out of the mask."""
    old = p.zeros(32)
    p.ok("rt_sigaction", SIGUSR1, SIGACTION.pack(0x1000, 0, 0x2000, ALL), 0, 8)
    p.ok("rt_sigaction", SIGUSR1, 0, old, 8)
    assert p.fields(SIGACTION, old) == (0x1000, 0, 0x2000, ALL & ~UNBLOCKABLE)
    assert p.error("rt_sigaction", 99, BAD, BAD, 4) is EINVAL
    assert p.error("rt_sigaction", 99, BAD, 0, 8) is EFAULT
    assert p.error("rt_sigaction", SIGKILL, bytes(32), 0, 8) is EINVAL
    assert p.ok("rt_sigaction", SIGKILL, 0, old, 8) == 0
    assert p.error("rt_sigaction", 0, 0, BAD, 8) is EINVAL
    assert p.error("rt_sigaction", SIGUSR1, 0, BAD, 8) is EFAULT


def test_masks(p: Program) -> None:
    """Block, unblock, set; how counts only with a set, and after it is read."""
    old = p.zeros(8)
    p.ok("rt_sigprocmask", SIG_SETMASK, bits(SIGUSR1, SIGKILL), 0, 8)
    p.ok("rt_sigprocmask", SIG_BLOCK, bits(SIGTERM), 0, 8)
    p.ok("rt_sigprocmask", SIG_UNBLOCK, bits(SIGUSR1), old, 8)
    assert p.get(old, 8) == bits(SIGUSR1, SIGTERM)
    assert p.t.blocked == 1 << SIGTERM - 1
    assert p.error("rt_sigprocmask", 99, BAD, BAD, 4) is EINVAL
    assert p.error("rt_sigprocmask", 99, BAD, 0, 8) is EFAULT
    assert p.error("rt_sigprocmask", 99, bytes(8), 0, 8) is EINVAL
    assert p.ok("rt_sigprocmask", 99, 0, old, 8) == 0
    p.ok("kill", 1, SIGTERM)
    p.ok("rt_sigpending", old, 8)
    assert p.get(old, 8) == bits(SIGTERM)
    assert p.error("rt_sigpending", BAD, 9) is EINVAL
    assert p.error("rt_sigpending", BAD, 8) is EFAULT


def test_alternate_stack(p: Program) -> None:
    """A stack is large enough, or SS_DISABLE; the one in use cannot be changed."""
    old = p.zeros(STACK.size)
    p.ok("sigaltstack", STACK.pack(0x10000, 0, 8192), 0)
    p.ok("sigaltstack", 0, old)
    assert p.fields(STACK, old) == (0x10000, 0, 8192)
    p.t.hold().rsp = 0x11000
    assert p.error("sigaltstack", STACK.pack(0, 9, 0), 0) is EPERM
    p.t.hold().rsp = 0x20000
    assert p.error("sigaltstack", BAD, BAD) is EFAULT
    assert p.error("sigaltstack", STACK.pack(0, 9, 0), 0) is EINVAL
    assert p.error("sigaltstack", STACK.pack(0x10000, 0, 9), 0) is ENOMEM
    p.ok("sigaltstack", STACK.pack(0, SS_DISABLE, 0), 0)
    assert p.t.altstack.flags == SS_DISABLE


def test_pause_and_suspend(p: Program) -> None:
    """Only a handler ends them; the mask of sigsuspend holds until then."""
    pending = p.wait("pause")
    assert (pending.queues, pending.deadline) == ((), None)
    assert p.interrupt() is EINTR
    p.wait("rt_sigsuspend", bits(SIGUSR1), 8)
    assert (p.t.blocked, p.t.saved_mask) == (1 << SIGUSR1 - 1, 0)
    assert p.interrupt() is EINTR
    assert p.error("rt_sigsuspend", BAD, 4) is EINVAL
    assert p.error("rt_sigsuspend", BAD, 8) is EFAULT


def test_timed_wait(p: Program) -> None:
    """A signal of the set ends it, then the time, then a handler of another one."""
    blocked(p)
    where = p.zeros(128)
    pending = p.wait("rt_sigtimedwait", bits(SIGUSR1), where, 0, 8)
    assert pending.attempt is signals.sigwait_again
    p.ok("kill", 1, SIGUSR1)
    assert p.resume() == SIGUSR1
    assert p.number(where) == SIGUSR1
    p.wait("rt_sigtimedwait", bits(SIGUSR1), 0, TIMESPEC.pack(1, 0), 8)
    p.pass_deadline()
    assert p.resume() == -EAGAIN.errno
    p.wait("rt_sigtimedwait", bits(SIGUSR1), 0, 0, 8)
    assert p.interrupt() == -EINTR.errno
    assert p.t.sigwait == 0
    assert p.error("rt_sigtimedwait", bits(SIGUSR1), 0, bytes(16), 8) is EAGAIN
    assert p.error("rt_sigtimedwait", BAD, 0, BAD, 4) is EINVAL
    assert p.error("rt_sigtimedwait", BAD, 0, TIMESPEC.pack(-1, 0), 8) is EFAULT
    assert p.error("rt_sigtimedwait", bytes(8), 0, BAD, 8) is EFAULT
    assert p.error("rt_sigtimedwait", bytes(8), 0, TIMESPEC.pack(-1, 0), 8) is EINVAL


def test_return_from_a_handler_without_a_frame(p: Program) -> None:
    """A frame that cannot be read is SIGSEGV, and the call has no value."""
    p.context.kept.rsp = BAD
    assert p.call("rt_sigreturn") is KEEP
    assert p.t.pending.mask == 1 << 10
