"""Waiting for children: wait4(2) and waitid(2) options and status words.

Sources: Linux include/uapi/linux/wait.h; wait(2).
"""

from typing import Final

# Options.
WNOHANG: Final = 1
WUNTRACED: Final = 2
WSTOPPED: Final = 2
WEXITED: Final = 4
WCONTINUED: Final = 8
WNOWAIT: Final = 0x100_0000
__WNOTHREAD: Final = 0x2000_0000
__WALL: Final = 0x4000_0000
__WCLONE: Final = 0x8000_0000

# Kinds of waitid(2).
P_ALL: Final = 0
P_PID: Final = 1
P_PGID: Final = 2
P_PIDFD: Final = 3

# Status word of a child that was continued.
STATUS_CONTINUED: Final = 0xFFFF


def status_exited(code: int) -> int:
    """Return the status word of a child that ended with an exit code; only its low eight bits are seen."""
    return (code & 0xFF) << 8


def status_signaled(signo: int, *, core: bool = False) -> int:
    """Return the status word of a child that a signal ended. Raises: ValueError for what is no signal."""
    if not 1 <= signo <= 64:
        message = f"ended by signal {signo}: signals are 1 to 64"
        raise ValueError(message)
    return signo | (0x80 if core else 0)


def status_stopped(signo: int, event: int = 0) -> int:
    """Return the status word of a stopped child; event is a PTRACE_EVENT_ number.

    signo may have 0x80 in it (PTRACE_O_TRACESYSGOOD). Raises: ValueError for what does not fit.
    """
    if not 1 <= signo & ~0x80 <= 64 or not 0 <= event <= 0xFF:
        message = f"stopped by signal {signo}, event {event}: signals are 1 to 64, events 0 to 255"
        raise ValueError(message)
    return event << 16 | signo << 8 | 0x7F
