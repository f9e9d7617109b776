"""The loop: one thread answers guest calls, faults and stops, and resumes parked tasks.

The way of a call: `next_event` brings number and registers, the table's bound handler does the work, and its int is the
answer that the next `next_event` sends while it waits again. Everything else, a call that waits, a signal on the way, a
thread whose registers change, leaves this fast path through `finish`.
"""

from collections import deque
from typing import TYPE_CHECKING, Final

from sentry.kernel.deliver import get_signal, handle_signal
from sentry.kernel.exit import do_exit
from sentry.kernel.freezer import Freezer
from sentry.kernel.instruments import unimplemented
from sentry.kernel.park import park, unpark
from sentry.kernel.pending import ENDED, KEEP, Outcome, Pending, outcome
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.signal import force_sig, has_signal, recalc_sigpending, set_current_blocked, start_group_exit
from sentry.kernel.state import DEAD, PARKED, RUNNING, STOPPED, ZOMBIE, KernelBug
from sentry.kernel.stop import participate_group_stop
from sentry_abi import errors
from sentry_abi.errors import LinuxError
from sentry_abi.signal import SA_RESTART, SIGKILL
from sentry_arch import Fault
from sentry_platform import EVENT, EventKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry.kernel.deliver import Delivery
    from sentry.kernel.state import KernelState, Task
    from sentry.kernel.watcher import Watcher

SYSCALL: Final = int(EventKind.SYSCALL)
FAULT: Final = int(EventKind.FAULT)
TRAP: Final = int(EventKind.TRAP)
INTERRUPTED: Final = int(EventKind.INTERRUPTED)
GONE: Final = int(EventKind.GONE)
WAKE: Final = int(EventKind.WAKE)
TIMEOUT: Final = int(EventKind.TIMEOUT)
FD: Final = int(EventKind.FD)


CALL_ERRORS: Final = (LinuxError, errors.RestartError, IndexError)


class Loop:
    """Serves the tasks of one kernel, on the thread that made its platform."""

    __slots__ = ("_calls", "_watcher", "freezer", "kernel", "on_host_signal")

    def __init__(self, kernel: "KernelState", watcher: "Watcher", on_host_signal: "Callable[[int], None]") -> None:
        """Make the loop of a kernel; watcher gets the host's descriptors, on_host_signal the host's signals."""
        self.kernel = kernel
        self._watcher = watcher
        self.on_host_signal = on_host_signal
        self.freezer = Freezer(kernel, self.serve_outside)
        self._calls: deque[Callable[[], None]] = deque()

    def call_soon(self, function: "Callable[[], None]") -> None:
        """Run a function on the kernel thread; from any thread."""
        self._calls.append(function)
        self.kernel.platform.wake(1)

    def run(self) -> None:
        """Serve all tasks until the last one has exited.

        Raises: KernelBug when the platform breaks down.
        """
        self.freezer.begin()
        try:
            self._run_calls()
            self._wait_thawed()
            self._serve()
        finally:
            self.freezer.end()

    def _run_calls(self) -> None:
        """Run what other threads have handed over."""
        while self._calls:
            self._calls.popleft()()

    def _wait_thawed(self) -> None:
        """While paused, freeze; then serve what came meanwhile, also in a pause that is already over."""
        while self.freezer.paused or self.kernel.frozen_events:
            if self.freezer.paused:
                self.freezer.freeze()
                self.freezer.wait_thawed()
            self.thaw()

    def thaw(self) -> None:
        """Serve the events that came while the kernel was frozen, in their order, until the next pause."""
        events = self.kernel.frozen_events
        while events and not self.freezer.paused:
            kind, fields = events.popleft()
            if kind == SYSCALL:
                index, nr, *args = fields[:8]
                task = self.kernel.contexts.get(index)
                if task is not None:
                    self._call(task, nr, args)
            elif kind == FAULT:
                if fields[0] in self.kernel.contexts:
                    index = self._fault(fields)
                    if index >= 0:
                        self.kernel.contexts[index].context.resume()
            elif kind == WAKE:
                self._host_signals(fields[2])
            elif fields[0] in self.kernel.contexts:
                self._other(kind, fields)

    def _call(self, task: "Task", nr: int, args: "Sequence[int]") -> None:
        """Serve one call off the fast path."""
        kernel = self.kernel
        kernel.current = task
        task.nr = nr
        table = kernel.table
        result: Outcome
        try:
            result = table[nr](task, *args)
        except CALL_ERRORS as error:
            result = _failed(task, error)
        self.finish(task, result)

    def _serve(self) -> None:
        kernel = self.kernel
        next_event = kernel.platform.next_event
        event = kernel.platform.event
        unpack = EVENT.unpack_from
        table = kernel.table
        tasks = kernel.contexts
        timers = kernel.timers
        ready = kernel.ready
        answer, value = -1, 0
        result: Outcome
        while True:
            if ready:
                if answer >= 0:
                    tasks[answer].context.answer(value)
                    answer = -1
                while ready:
                    self._reenter(ready.popleft())
            if not tasks:
                return
            kind = next_event(answer, value, timers.next_ns)
            answer = -1
            if kind == SYSCALL:
                index, nr, a0, a1, a2, a3, a4, a5, _, _, _ = unpack(event)
                task = tasks[index]
                kernel.current = task
                task.nr = nr
                try:
                    result = table[nr](task, a0, a1, a2, a3, a4, a5)
                except CALL_ERRORS as error:
                    result = _failed(task, error)
                if task.attention or result.__class__ is not int:
                    self.finish(task, result)
                else:
                    answer, value = index, result
            elif kind == FAULT:
                answer = self._fault(unpack(event))
            else:
                self._other(kind, unpack(event))

    # -- on the way to user mode

    def finish(self, task: "Task", result: Outcome) -> None:
        """Resume a task after a call (or a stop) whose outcome is `result`, once its signals are delivered."""
        if isinstance(result, Pending):
            park(task, result)
            return
        if task.attention or isinstance(result, type):
            if result is not ENDED:
                self._to_user(task, result, None)
        elif isinstance(result, int):
            task.state = RUNNING
            task.context.answer(result)
        elif result is KEEP:
            task.state = RUNNING
            task.context.resume()

    def _to_user(self, task: "Task", result: Outcome, delivery: "Delivery | None") -> None:
        """Deliver what is pending, beginning with a delivery already taken, then let the task run."""
        group = task.group
        try:
            while True:
                if group.exiting:
                    do_exit(task)
                    return
                if delivery is None and (group.stop_pending or group.stopped):
                    task.state = STOPPED
                    task.stop_result = result
                    participate_group_stop(group)
                    return
                if delivery is None:
                    delivery = get_signal(task)
                if delivery is not None:
                    regs = task.hold()
                    if result is not KEEP:
                        self._settle(task, result, delivery)
                        result = KEEP
                    handle_signal(task, regs, delivery)
                    delivery = None
                    continue
                if group.exiting or group.stop_pending:
                    continue
                if task.saved_mask is None:
                    break
                mask, task.saved_mask = task.saved_mask, None
                set_current_blocked(task, mask)
            self._resume(task, result)
        except errors.ESRCH:
            # The host has killed the stub; its death is another event.
            task.regs = None

    @staticmethod
    def _resume(task: "Task", result: Outcome) -> None:
        """Resume guest code with the task's registers and the outcome of its call. Raises: ESRCH."""
        task.state = RUNNING
        if isinstance(result, type):
            task.hold()
        regs = task.regs
        task.regs = None
        if regs is None:
            recalc_sigpending(task)
            if isinstance(result, int):
                task.context.answer(result)
            else:
                task.context.resume()
            return
        if isinstance(result, int):
            regs.set_return_value(result)
        elif result is not KEEP:  # an interrupted call that no handler ended
            regs.restart_syscall(task.nr)
        task.context.set_regs(regs)
        recalc_sigpending(task)
        task.context.resume()

    @staticmethod
    def _settle(task: "Task", result: Outcome, delivery: "Delivery") -> None:
        """Put a call's outcome into the registers of a task whose handler runs next: its value, or its restart."""
        regs = task.regs
        assert regs is not None
        if isinstance(result, int):
            regs.set_return_value(result)
            return
        assert isinstance(result, type)
        again = result is errors.ERESTARTNOINTR or (result is errors.ERESTARTSYS and delivery.action.flags & SA_RESTART)
        if again:
            regs.restart_syscall(task.nr)
        elif issubclass(result, errors.LinuxError):
            regs.set_return_value(-result.errno)
        else:
            regs.set_return_value(-errors.EINTR.errno)

    # -- waiting

    def _reenter(self, task: "Task") -> None:
        """Continue, park again or end a task that was woken."""
        task.queued = False
        state = task.state
        group = task.group
        self.kernel.current = task
        if state is not PARKED and state is not STOPPED:
            return
        if group.exiting:
            do_exit(task)
            return
        if group.stop_pending or group.stopped:
            return  # SIGCONT wakes it again
        if state is STOPPED:
            task.state = RUNNING
            result, task.stop_result = task.stop_result, None
            assert result is not None
            if result is KEEP or task.attention:
                self._to_user(task, result, None)
            else:
                self.finish(task, result)
            return
        self._retry(task)

    def _retry(self, task: "Task") -> None:
        """Enter the attempt of a parked task again."""
        pending = unpark(task)
        if pending is None:
            message = f"{task} is parked without a wait"
            raise KernelBug(message)
        deadline = pending.deadline
        if deadline is None:
            result = outcome(pending.attempt, task, pending.state)
        else:
            result = self._retry_until(task, pending, deadline)
        if not isinstance(result, Pending):
            if self.kernel.instrument is not None:
                self.kernel.instrument.resumed(task, result)
            self.finish(task, result)
            return
        group = task.group
        if task.attention and not result.killable and has_signal(task):
            delivery = get_signal(task)
            if delivery is not None:
                self._interrupted(task, result, delivery)
                return
            if group.exiting:
                task.parked = result
                do_exit(task)
                return
        park(task, result)

    def _retry_until(self, task: "Task", pending: Pending, deadline: int) -> Outcome:
        """Enter an attempt that has a deadline: it sees that the deadline has passed, unless that is a file's limit."""
        expired = self.kernel.clock.monotonic_ns() >= deadline
        task.timed_out = expired and not pending.limited
        result = outcome(pending.attempt, task, pending.state)
        task.timed_out = False
        if isinstance(result, Pending) and pending.limited:
            if expired:
                return _limit_reached(task, result)
            result.limited, result.deadline = True, deadline
        return result

    def _interrupted(self, task: "Task", pending: Pending, delivery: "Delivery") -> None:
        """End a wait for a handler: with what was done so far, or as the call's restart class says."""
        result: Outcome = pending.restart
        if pending.on_signal is not None:
            result = outcome(pending.on_signal, task, pending.state)
        if pending.limited and result is errors.ERESTARTSYS:
            result = -errors.EINTR.errno
        task.state = RUNNING
        if self.kernel.instrument is not None:
            self.kernel.instrument.resumed(task, result)
        self._to_user(task, result, delivery)

    # -- everything that is not a call

    def _fault(self, fields: tuple[int, ...]) -> int:
        """Serve a page fault; return the context to resume, or -1 when a signal takes its place."""
        index, signo, addr, _, vector, error, cr2, access, _, _, _ = fields
        task = self.kernel.contexts[index]
        self.kernel.current = task
        unserved = task.mm.handle_fault(addr, access, signo)
        if not unserved:
            if not task.attention:
                return index
            self.finish(task, KEEP)
            return -1
        signo, code = unserved
        force_sig(task, SigInfo(signo, code, addr=addr), Fault(error, vector, cr2))
        self.finish(task, KEEP)
        return -1

    def serve_outside(self, kind: int, fields: tuple[int, ...]) -> bool:
        """Serve an event that does not come from a guest, also while frozen; return whether it was one."""
        if kind == TIMEOUT:
            self.kernel.timers.expire()
        elif kind == FD:
            self._watcher.ready(fields[1], fields[2])
        elif kind == WAKE:
            self._run_calls()
            return not fields[2]  # signals of the host wait for the thaw
        else:
            return False
        return True

    def _other(self, kind: int, fields: tuple[int, ...]) -> None:
        kernel = self.kernel
        index, nr = fields[0], fields[1]
        if kind < 0:
            message = f"the platform failed with host errno {-kind}"
            raise KernelBug(message)
        if self.serve_outside(kind, fields):
            self._wait_thawed()
        elif kind == INTERRUPTED:
            self.finish(kernel.contexts[index], KEEP)
        elif kind == WAKE:
            self._wait_thawed()
            self._host_signals(fields[2])
        elif kind == TRAP:
            task = kernel.contexts[index]
            addr, code, vector, error, cr2 = fields[2:7]
            force_sig(task, SigInfo(nr, code, addr=addr), Fault(error, vector, cr2))
            self.finish(task, KEEP)
        elif kind == GONE:
            self._gone(index)
        else:
            self._foreign(fields)

    def _host_signals(self, signals: int) -> None:
        while signals:
            signo = (signals & -signals).bit_length()
            signals &= signals - 1
            self.on_host_signal(signo)

    def _foreign(self, fields: tuple[int, ...]) -> None:
        """Refuse a call of another table (int 0x80, x32): there is none."""
        task = self.kernel.contexts[fields[0]]
        self.kernel.current = task
        task.nr = fields[1]
        self.finish(task, -errors.ENOSYS.errno)

    def _gone(self, index: int) -> None:
        """Kill the group of a stub that was killed from outside."""
        task = self.kernel.contexts.get(index)
        if task is None or task.state == DEAD:
            return
        start_group_exit(task.group, SIGKILL)
        if task.state < ZOMBIE:
            do_exit(task)


def _failed(task: "Task", error: Exception) -> Outcome:
    """Return the outcome of a call that raised: -errno, the class of a restart, or -ENOSYS beyond the table."""
    if isinstance(error, LinuxError):
        return -error.errno
    if isinstance(error, errors.RestartError):
        return type(error)
    if 0 <= task.nr < len(task.kernel.table):
        raise error  # a handler's own mistake
    return unimplemented(task, task.nr)


def _limit_reached(task: "Task", pending: Pending) -> Outcome:
    """Return the result of a call at its file's time limit: what was done, or EAGAIN."""
    if pending.on_signal is not None:
        result = outcome(pending.on_signal, task, pending.state)
        if isinstance(result, int):
            return result
    return -errors.EAGAIN.errno
