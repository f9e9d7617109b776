"""Parking a task on what its call waits for, and unparking it."""

from typing import TYPE_CHECKING

from sentry.kernel.pending import outcome
from sentry.kernel.signal import has_signal
from sentry.kernel.state import PARKED
from sentry.kernel.stop import participate_group_stop

if TYPE_CHECKING:
    from sentry.kernel.pending import Pending
    from sentry.kernel.state import Task


def park(task: "Task", pending: "Pending") -> None:
    """Register a wait; a signal that already is pending wakes the task at once."""
    kernel = task.kernel
    if kernel.torture is not None:
        pending = kernel.torture.pass_through(pending)
    task.state = PARKED
    task.parked = pending
    entry = task.entry
    for queue, mask in pending.queues:
        queue.register(entry, mask)
    if pending.deadline is not None:
        kernel.timers.arm(task, pending.deadline)
    if kernel.instrument is not None:
        kernel.instrument.parked(task, pending)
    group = task.group
    if group.stop_pending:
        participate_group_stop(group)
    if task.attention and (group.exiting or (not pending.killable and has_signal(task))):
        task.wake()


def unpark(task: "Task") -> "Pending | None":
    """Take a task off the queues and the deadline of its wait; return the wait, None if it does not wait."""
    pending = task.parked
    if pending is not None:
        for queue, _ in pending.queues:
            queue.unregister(task.entry)
        if pending.deadline is not None:
            task.kernel.timers.disarm(task)
        task.parked = None
    return pending


def abort_wait(task: "Task") -> None:
    """End the wait of a task that exits, as a signal would; the result is dropped."""
    pending = unpark(task)
    if pending is not None and pending.on_signal is not None:
        outcome(pending.on_signal, task, pending.state)
