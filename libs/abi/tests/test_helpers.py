"""The few functions beside the constants, against the host's own."""

import os
import stat as host_stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_abi import memory, signal, stat, wait


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_device_numbers(major: int, minor: int) -> None:
    """makedev(3), major(3) and minor(3) undo each other and agree with the C library."""
    dev = stat.makedev(major, minor)
    assert (stat.device_major(dev), stat.device_minor(dev)) == (major, minor)
    if major < 2**31 and minor < 2**31:
        assert dev == os.makedev(major, minor)


def test_directory_types() -> None:
    """The type of an entry follows from the mode."""
    assert stat.directory_type(host_stat.S_IFDIR | 0o755) == stat.DT_DIR
    assert stat.directory_type(host_stat.S_IFSOCK) == stat.DT_SOCK


@given(st.integers(0, 255), st.integers(1, 64), st.booleans())
def test_status_words(code: int, signo: int, core: bool) -> None:  # noqa: FBT001  (a drawn value)
    """The host's macros read them back."""
    assert os.WIFEXITED(wait.status_exited(code))
    assert os.WEXITSTATUS(wait.status_exited(code)) == code
    ended = wait.status_signaled(signo, core=core)
    assert os.WIFSIGNALED(ended)
    assert (os.WTERMSIG(ended), os.WCOREDUMP(ended)) == (signo, core)
    stopped = wait.status_stopped(signo)
    assert os.WIFSTOPPED(stopped)
    assert os.WSTOPSIG(stopped) == signo
    assert wait.status_stopped(5, 3) >> 8 == 5 | 3 << 8
    assert os.WIFCONTINUED(wait.STATUS_CONTINUED)


def test_wrong_use_is_named() -> None:
    """Numbers that are no signals, events or devices."""
    for signo in (0, 65, -1):
        with pytest.raises(ValueError, match=f"ended by signal {signo}"):
            wait.status_signaled(signo)
    for signo, event in ((0, 0), (65, 0), (5, 256), (5, -1), (0x80, 0), (0x105, 0)):
        with pytest.raises(ValueError, match=f"stopped by signal {signo}, event {event}"):
            wait.status_stopped(signo, event)
    assert wait.status_stopped(0x85) == 0x857F
    for major, minor in ((1 << 32, 0), (0, 1 << 32), (-1, 0)):
        with pytest.raises(ValueError, match="32 bits"):
            stat.makedev(major, minor)


def test_default_actions_do_not_overlap() -> None:
    """A signal has one default action."""
    groups = [signal.DEFAULT_IGNORE, signal.DEFAULT_STOP, signal.DEFAULT_CORE]
    assert sum(groups) == groups[0] | groups[1] | groups[2]
    assert signal.SYNCHRONOUS & signal.DEFAULT_CORE == signal.SYNCHRONOUS
    assert signal.UNBLOCKABLE == 1 << 8 | 1 << 18


@given(st.integers(0, 2**64 - 1))
def test_pages(addr: int) -> None:
    """Rounding goes to the nearest boundary in its direction."""
    down, up = memory.page_down(addr), memory.page_up(addr)
    assert down <= addr <= up
    assert up - down in (0, memory.PAGE_SIZE)
    assert down % memory.PAGE_SIZE == up % memory.PAGE_SIZE == 0
