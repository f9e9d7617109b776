"""A waiting call is a record.

A handler that has to wait returns a `Pending`. The loop parks the task on the wait queues and the deadline, goes on
with other tasks, and enters `attempt` again after each wake, signal or timeout. The rules:

R1  Validate, resolve descriptors to files and turn a timeout into an absolute deadline once, into `state`.
R2  After each attempt all effects are in kernel objects or in `state`; after each wake check everything again.
R3  The loop owns queue registration; no `finally` or `with` that has visible effects around a wait.
R4  A waker only queues the task. It hands nothing over, except grants recorded in `state`.
R5  Saving is not a signal: no EINTR, no short count.
R6  A signal: an attempt that has done something returns that; else the restart class decides.
R7  Torture mode encodes `state`, drops the Pending, decodes and enters again, at every wait.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from sentry_abi import errors

if TYPE_CHECKING:
    from sentry_waiter import Queue

SYSCALL_ERROR = type[errors.LinuxError] | type[errors.RestartError]


class Control:
    """What a handler returns when its call has no value."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Name it, for reports."""
        self.name = name

    def __repr__(self) -> str:
        """Show the name."""
        return f"<{self.name}>"


KEEP: Final = Control("KEEP")
"""The registers are those with which the task continues (rt_sigreturn, execve, a stopped thread)."""
ENDED: Final = Control("ENDED")
"""The task has exited."""


class Pending:
    """What a call waits for and how it continues.

    queues    pairs (queue, mask) that wake the task; none for a pure sleep
    deadline  CLOCK_MONOTONIC nanoseconds of the kernel's clock, or None. When it has passed `attempt` is entered once
              more with `task.timed_out` true and must return or raise
    restart   class raised when a signal ends the wait and nothing was done
    on_signal optional attempt entered instead of raising `restart` when a signal or the task's death ends the wait:
              returns what was done so far (a partial count), or raises
    limited   the deadline is a time limit of the file (SO_RCVTIMEO, SO_SNDTIMEO): the first one holds for the whole
              call, at it the call returns what was done or EAGAIN, and a signal gives EINTR instead of a restart
    killable  only the end of the thread group ends the wait (TASK_KILLABLE); signals stay pending
    """

    __slots__ = ("attempt", "deadline", "killable", "limited", "on_signal", "queues", "restart", "state")

    def __init__(
        self,
        attempt: "Attempt",
        state: object,
        queues: "tuple[tuple[Queue, int], ...]" = (),
        deadline: int | None = None,
        restart: SYSCALL_ERROR = errors.ERESTARTSYS,
        on_signal: "Attempt | None" = None,
        *,
        limited: bool = False,
        killable: bool = False,
    ) -> None:
        """Make the record; registers nothing."""
        self.attempt = attempt
        self.state = state
        self.queues = queues
        self.deadline = deadline
        self.restart = restart
        self.on_signal = on_signal
        self.limited = limited
        self.killable = killable


Result = int | Pending
"""What a handler returns: the call's value, or how it waits."""
Outcome = int | Pending | Control | SYSCALL_ERROR
"""How a call left its handler: with a value, a wait, a `Control`, or the class of a restart."""
Attempt = Callable[..., Result]
"""`(task, state) -> int | Pending`, where state is the attempt's own record."""
Bound = Callable[..., Result | Control]
"""`(task, a0, a1, a2, a3, a4, a5)`, the registers as unsigned 64-bit integers."""

AttemptT = TypeVar("AttemptT", bound=Attempt)

attempts: Final[dict[str, Attempt]] = {}
"""Every attempt by its qualified name: a saved image names the attempt of a parked call."""


def attempt(function: AttemptT) -> AttemptT:
    """Register a module-level function `(task, state) -> int | Pending` that a waiting call may enter again."""
    attempts[name_of(function)] = function
    return function


def name_of(function: Attempt) -> str:
    """Return the name of an attempt in `attempts`."""
    return f"{function.__module__}.{function.__qualname__}"


class WaitFilter(Protocol):
    """What torture mode does to each wait before the task is parked."""

    def pass_through(self, pending: Pending) -> Pending:
        """Return an equal wait."""
        ...


def outcome(attempt: Attempt, task: object, state: object) -> Outcome:
    """Enter an attempt: return what it returns, minus the errno of an error, or the class of a restart."""
    try:
        return attempt(task, state)
    except errors.LinuxError as error:
        return -error.errno
    except errors.RestartError as restart:
        return type(restart)
