"""Pending signals against a naive model, and siginfo_t byte by byte."""

from hypothesis import given
from hypothesis import strategies as st

from sentry.kernel.siginfo import ALL, SigAction, SigInfo, SignalHandlers, SignalQueue, bit, bits
from sentry_abi.signal import (
    SI_QUEUE,
    SI_TIMER,
    SI_USER,
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SIGINT,
    SIGKILL,
    SIGRTMIN,
    SIGSEGV,
    SIGURG,
    SYNCHRONOUS,
)
from sentry_abi.structs import SIGINFO_CHLD, SIGINFO_FAULT, SIGINFO_KILL, SIGINFO_QUEUE, SIGINFO_TIMER

signos = st.integers(1, 64)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), signos),
        st.tuples(st.just("pop"), st.integers(0, ALL)),
        st.tuples(st.just("discard"), st.integers(0, ALL)),
    ),
    max_size=60,
)


@given(steps)
def test_queue_against_a_model(actions: list[tuple[str, int]]) -> None:
    """Standard signals once, real-time ones queued, lowest first, faults before all."""
    queue = SignalQueue()
    model: list[SigInfo] = []
    for serial, (what, argument) in enumerate(actions):
        if what == "push":
            info = SigInfo(argument, SI_USER, pid=serial)
            assert queue.push(info)
            if argument >= SIGRTMIN or all(m.signo != argument for m in model):
                model.append(info)
        elif what == "pop":
            ready = [m for m in model if argument >> (m.signo - 1) & 1]
            wanted = min(ready, key=lambda m: (not SYNCHRONOUS >> (m.signo - 1) & 1, m.signo), default=None)
            if wanted is not None:
                model.remove(wanted)
            assert queue.pop(argument) == wanted
        else:
            queue.discard(argument)
            model = [m for m in model if not argument >> (m.signo - 1) & 1]
        assert queue.mask == bits(*{m.signo for m in model})


def test_a_full_real_time_queue_refuses() -> None:
    """The limit is per number; standard signals are never refused."""
    queue = SignalQueue()
    accepted = 0
    while queue.push(SigInfo(40)):
        accepted += 1
        assert accepted < 10_000
    assert accepted == 1024
    assert queue.push(SigInfo(41))
    assert queue.push(SigInfo(SIGINT))
    assert queue.push(SigInfo(SIGINT))


def test_layouts() -> None:
    """Each form of siginfo_t is that of the header."""
    assert SigInfo(SIGINT, SI_USER, 5, 6).pack() == SIGINFO_KILL.pack(SIGINT, 0, SI_USER, 5, 6)
    assert SigInfo(40, SI_QUEUE, 5, 6, 1 << 40).pack() == SIGINFO_QUEUE.pack(40, 0, SI_QUEUE, 5, 6, 1 << 40)
    assert SigInfo(14, SI_TIMER, value=7, timer=3, overrun=9).pack() == SIGINFO_TIMER.pack(14, 0, SI_TIMER, 3, 9, 7, 0)
    child = SigInfo(SIGCHLD, 1, 5, 6, 42, utime=3, stime=4)
    assert child.pack() == SIGINFO_CHLD.pack(SIGCHLD, 0, 1, 5, 6, 42, 3, 4)
    assert SigInfo(SIGSEGV, 1, addr=0x1234).pack() == SIGINFO_FAULT.pack(SIGSEGV, 0, 1, 0x1234, 0)
    assert SigInfo(40, raw=b"x" * 128).pack() == b"x" * 128


def test_what_is_ignored() -> None:
    """By default or by choice; and what execve keeps."""
    handlers = SignalHandlers()
    assert handlers.ignored(SIGCHLD)
    assert handlers.ignored(SIGURG)
    assert not handlers.ignored(SIGKILL)
    handlers.actions[SIGINT] = SigAction(SIG_IGN)
    handlers.actions[SIGCHLD] = SigAction(0x4000)
    assert handlers.ignored(SIGINT)
    assert not handlers.ignored(SIGCHLD)
    copy = handlers.copy()
    copy.actions[SIGINT] = SigAction(SIG_DFL)
    assert handlers.ignored(SIGINT)
    after = handlers.after_exec()
    assert after.ignored(SIGINT)
    assert after.get(SIGCHLD).handler == SIG_DFL
    assert bit(1) == 1
