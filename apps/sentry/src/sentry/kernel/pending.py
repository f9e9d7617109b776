"""A waiting call is a record.

A handler that has to wait returns a `Pending`. The kernel loop parks the task on the wait queues and the deadline, goes
on with other tasks, and enters `attempt` again after each wake, signal or timeout. Rules R1 to R7 of the design:

R1  Validate, resolve descriptors to files and turn a timeout into an absolute deadline once, into `state`.
R2  After each attempt all effects are in kernel objects or in `state`; after each wake check everything again.
R3  The loop owns queue registration; no `finally` or `with` that has visible effects around a wait.
R4  Wakers only queue the task. Nothing is handed over, except grants recorded in `state`.
R5  Saving is not a signal: nobody sees EINTR or a short count.
R6  A signal: an attempt that has done something returns that; else the restart class decides.
R7  Torture mode encodes `state`, drops the Pending, decodes and enters again, at every wait.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sentry_abi import errors

if TYPE_CHECKING:
    from sentry.kernel.task import Task
    from sentry_waiter import Queue

Attempt = Callable[["Task", Any], "int | Pending"]

attempts: Final[dict[str, Attempt]] = {}
"""Every attempt by its qualified name: a parked call names its attempt, it does not hold it."""


def attempt(function: Attempt) -> Attempt:
    """Register a module-level function `(task, state) -> int | Pending` as one that a waiting call may enter again."""
    name = f"{function.__module__}.{function.__qualname__}"
    attempts[name] = function
    return function


class Pending:
    """What a call waits for and how it goes on.

    queues    pairs (queue, mask) to be told by; none for a pure sleep
    deadline  CLOCK_MONOTONIC nanoseconds of the kernel's clock, or None. When it has passed `attempt` is entered once
              more with `task.timed_out` true and must return or raise
    restart   class raised when a signal ends the wait and nothing was done
    on_signal optional attempt-like function entered instead of raising `restart` when a signal ends the wait:
              returns what was done so far (a partial count), or raises
    """

    __slots__ = ("attempt", "deadline", "on_signal", "queues", "restart", "state")

    def __init__(
        self,
        attempt: Attempt,
        state: Any,  # noqa: ANN401  (any record that the codec knows)
        queues: "tuple[tuple[Queue, int], ...]" = (),
        deadline: int | None = None,
        restart: type[errors.RestartError] | type[errors.LinuxError] = errors.ERESTARTSYS,
        on_signal: Attempt | None = None,
    ) -> None:
        """Describe a wait; registers nothing."""
        self.attempt = attempt
        self.state = state
        self.queues = queues
        self.deadline = deadline
        self.restart = restart
        self.on_signal = on_signal


Result = int | Pending
"""What a handler returns: the call's value, or how it waits."""
