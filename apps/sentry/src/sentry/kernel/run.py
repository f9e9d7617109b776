"""The loop: one thread answers guest calls, faults and stops, and lets parked tasks go on.

The way of a call: `next_event` brings number and registers, the table's bound handler does the work, and its int is the
answer that the next `next_event` sends while it waits again. Everything else, a call that waits, a signal on the way, a
thread whose registers change, leaves this fast path through `finish`.
"""

from collections import deque
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from sentry.kernel.pending import Attempt, Pending
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.task import DEAD, HELD, PARKED, RUNNING, VFORK, ZOMBIE
from sentry_abi import errors
from sentry_abi.errors import LinuxError
from sentry_abi.signal import SA_RESTART, SIGBUS, SIGKILL, SIGSEGV
from sentry_arch import Fault
from sentry_platform import EVENT, FAULT_EXEC, FAULT_READ, FAULT_WRITE, EventKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry.kernel.kernel import Kernel
    from sentry.kernel.signals import Delivery
    from sentry.kernel.task import Task

SYSCALL: Final = int(EventKind.SYSCALL)
FAULT: Final = int(EventKind.FAULT)
TRAP: Final = int(EventKind.TRAP)
INTERRUPTED: Final = int(EventKind.INTERRUPTED)
GONE: Final = int(EventKind.GONE)
WAKE: Final = int(EventKind.WAKE)
TIMEOUT: Final = int(EventKind.TIMEOUT)
FD: Final = int(EventKind.FD)

MASK64: Final = 0xFFFF_FFFF_FFFF_FFFF
VSYSCALL_PAGE: Final = 0xFFFF_FFFF_FF60_0000
SYSCALL_LENGTH: Final = 2
SEGV_ACCERR: Final = 2
TRAP_PAGE_FAULT: Final = 14
PF_PRESENT: Final = 1
PF_WRITE: Final = 2
PF_USER: Final = 4
PF_INSTR: Final = 16
TRAP_NUMBERS: Final = {4: 6, 5: 3, 8: 0, 7: 17}


class Control:
    """What a handler returns instead of a value when there is none to give."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Name it, for reports."""
        self.name = name

    def __repr__(self) -> str:
        """Show the name."""
        return f"<{self.name}>"


KEEP: Final = Control("KEEP")
"""The registers stand as they should be (rt_sigreturn, execve, a stopped thread)."""
ENDED: Final = Control("ENDED")
"""The task has exited, or waits in a way that it looks after itself (vfork)."""


class KernelBug(Exception):  # noqa: N818  (named for what it is)
    """A broken invariant of our own: the sandbox ends with a report."""


def _outcome(attempt: Attempt, task: "Task", state: Any) -> Any:  # noqa: ANN401  (as finish; a wait's own record)
    """Try a waiting call again: return what it returns, minus the errno of an error, or the class of a restart."""
    try:
        return attempt(task, state)
    except LinuxError as error:
        return -error.errno
    except errors.RestartError as restart:
        return type(restart)


class Loop:
    """The kernel thread's work."""

    __slots__ = ("_calls", "_ready", "current", "kernel", "running", "tasks", "thread", "trace")

    def __init__(self, kernel: "Kernel") -> None:
        """Make the loop of one kernel."""
        self.kernel = kernel
        self.tasks: dict[int, Task] = {}
        """Tasks by the index of their context."""
        self.current: Task | None = None
        self.trace: Any = None
        self.running = False
        """Whether `run` is serving: calls from other threads go through it then."""
        self.thread = 0
        self._ready: deque[Task] = deque()
        self._calls: deque[Callable[[], None]] = deque()

    def make_ready(self, task: "Task") -> None:
        """Let a parked, held or vforking task look at its situation once more."""
        if not task.queued:
            task.queued = True
            self._ready.append(task)

    def call_soon(self, function: "Callable[[], None]") -> None:
        """Run a function on the kernel thread; from any thread."""
        self._calls.append(function)
        self.kernel.platform.wake(1)

    def run_calls(self) -> None:
        """Run what other threads have handed over."""
        while self._calls:
            self._calls.popleft()()

    def run(self) -> None:
        """Serve all tasks until none is left.

        Raises: KernelBug when the platform breaks down.
        """
        self.thread = get_ident()
        self.running = True
        try:
            self.run_calls()
            if self.kernel.freezer.paused:
                self._stand()
            self._serve()
        finally:
            self.running = False

    def _stand(self) -> None:
        """Stand still until unpaused, then serve what came meanwhile."""
        for kind, fields in self.kernel.freezer.stand():
            if kind == SYSCALL:
                index, nr, *args = fields[:8]
                task = self.tasks.get(index)
                if task is not None:
                    self._call(task, nr, args)
            elif kind == FAULT:
                index = self._fault(fields)
                if index >= 0:
                    self.tasks[index].context.resume()
            else:
                self._other(kind, fields)

    def _call(self, task: "Task", nr: int, args: "Sequence[int]") -> None:
        """Serve one call off the fast path."""
        self.current = task
        task.nr = nr
        table = self.kernel.table
        result: Any
        try:
            result = table[nr](task, *args) if 0 <= nr < len(table) else self.kernel.unimplemented(task, nr)
        except LinuxError as error:
            result = -error.errno
        except errors.RestartError as restart:
            result = type(restart)
        self.finish(task, result)

    def _serve(self) -> None:
        kernel = self.kernel
        next_event = kernel.platform.next_event
        event = kernel.platform.event
        unpack = EVENT.unpack_from
        table = kernel.table
        tasks = self.tasks
        timers = kernel.timers
        ready = self._ready
        answer, value = -1, 0
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
                self.current = task
                task.nr = nr
                try:
                    result = table[nr](task, a0, a1, a2, a3, a4, a5)
                except LinuxError as error:
                    result = -error.errno
                except errors.RestartError as restart:
                    result = type(restart)
                except IndexError:
                    if 0 <= nr < len(table):
                        raise
                    result = kernel.unimplemented(task, nr)
                if task.attention or result.__class__ is not int:
                    self.finish(task, result)
                else:
                    answer, value = index, result
            elif kind == FAULT:
                answer = self._fault(unpack(event))
            else:
                self._other(kind, unpack(event))

    # -- on the way to user mode

    def finish(self, task: "Task", result: Any) -> None:  # noqa: ANN401  (int, Pending or Control)
        """Let a task go on after a call (or a stop) whose outcome is `result`, once its signals are dealt with."""
        if isinstance(result, Pending):
            self._park(task, result)
            return
        if result is ENDED:
            return
        if task.attention or isinstance(result, type):
            self._to_user(task, result, None)
        else:
            task.state = RUNNING
            if result is KEEP:
                task.context.resume()
            else:
                task.context.answer(result)

    def _to_user(self, task: "Task", result: Any, delivery: "Delivery | None") -> None:  # noqa: ANN401  (as finish)
        """Deliver what is pending, beginning with a delivery already taken, then let the task run."""
        signals = self.kernel.signals
        group = task.group
        try:
            while True:
                if group.exiting:
                    self.kernel.exits.exit_task(task)
                    return
                if delivery is None and (group.stop_pending or group.stopped):
                    task.state = HELD
                    task.held = result
                    self.kernel.jobs.arrived(group)
                    return
                if delivery is None:
                    delivery = signals.next(task)
                if delivery is not None:
                    held = task.hold()
                    if result is not KEEP:
                        self._settle(task, result, delivery)
                        result = KEEP
                    signals.enter(task, held, delivery)
                    delivery = None
                    continue
                if group.exiting or group.stop_pending:
                    continue
                if task.saved_mask is None:
                    break
                mask, task.saved_mask = task.saved_mask, None
                signals.set_blocked(task, mask)
            task.state = RUNNING
            if result is not KEEP and result.__class__ is not int:
                task.hold()
            regs = task.regs
            task.regs = None
            if regs is None:
                signals.recalculate(task)
                if result is KEEP:
                    task.context.resume()
                else:
                    task.context.answer(result)
                return
            if result.__class__ is int:
                regs.rax = result & MASK64
            elif result is not KEEP:  # an interrupted call that no handler ended
                regs.rip -= SYSCALL_LENGTH
                regs.rax = task.nr
            task.context.set_regs(regs)
            signals.recalculate(task)
            task.context.resume()
        except errors.ESRCH:
            # The host has killed the stub; its death is an event of its own.
            task.regs = None

    @staticmethod
    def _settle(task: "Task", result: Any, delivery: "Delivery") -> None:  # noqa: ANN401  (as finish)
        """Put a call's outcome into the registers of a task whose handler runs next.

        A value, or whether it starts again.
        """
        regs = task.regs
        assert regs is not None
        if result.__class__ is int:
            regs.rax = result & MASK64
            return
        again = result is errors.ERESTARTNOINTR or (result is errors.ERESTARTSYS and delivery.action.flags & SA_RESTART)
        if again:
            regs.rip -= SYSCALL_LENGTH
            regs.rax = task.nr
        elif issubclass(result, errors.LinuxError):
            regs.rax = -result.errno & MASK64
        else:
            regs.rax = -errors.EINTR.errno & MASK64

    # -- waiting

    def _park(self, task: "Task", pending: Pending) -> None:
        if self.kernel.torture is not None:
            pending = self.kernel.torture.pass_through(task, pending)
        task.state = PARKED
        task.parked = pending
        entry = task.entry
        for queue, mask in pending.queues:
            queue.register(entry, mask)
        if pending.deadline is not None:
            self.kernel.timers.arm(task, pending.deadline)
        group = task.group
        if group.stop_pending:
            self.kernel.jobs.arrived(group)
        if task.attention and (group.exiting or (task.pending.mask | group.pending.mask) & ~task.blocked):
            self.make_ready(task)

    def unpark(self, task: "Task") -> None:
        """Take a parked task off its queues."""
        pending = task.parked
        if pending is not None:
            for queue, _ in pending.queues:
                queue.unregister(task.entry)
            if pending.deadline is not None:
                self.kernel.timers.disarm(task)
            task.parked = None

    def _reenter(self, task: "Task") -> None:
        """Look after a task that something has happened to."""
        task.queued = False
        state = task.state
        group = task.group
        self.current = task
        if state >= ZOMBIE or state == RUNNING:
            return
        if group.exiting:
            self.unpark(task)
            self.kernel.exits.exit_task(task)
            return
        if group.stop_pending or group.stopped:
            return  # continue_group makes it ready again
        if state == HELD:
            task.state = RUNNING
            result, task.held = task.held, None
            if result is KEEP or task.attention:
                self._to_user(task, result, None)
            else:
                self.finish(task, result)
            return
        if state == VFORK:
            if task.held is not None:
                result, task.held = task.held, None
                task.state = RUNNING
                self.finish(task, result)
            return
        self._retry(task)

    def _retry(self, task: "Task") -> None:
        pending = task.parked
        if pending is None:
            message = f"{task} is parked without a wait"
            raise KernelBug(message)
        self.unpark(task)
        deadline = pending.deadline
        task.timed_out = deadline is not None and self.kernel.clock.monotonic_ns() >= deadline
        result = _outcome(pending.attempt, task, pending.state)
        task.timed_out = False
        if not isinstance(result, Pending):
            if self.trace is not None:
                self.trace.resumed(task, result)
            self.finish(task, result)
            return
        group = task.group
        if task.attention and (task.pending.mask | group.pending.mask) & ~task.blocked:
            delivery = self.kernel.signals.next(task)
            if delivery is not None:
                self._interrupted(task, result, delivery)
                return
            if group.exiting:
                self.kernel.exits.exit_task(task)
                return
        self._park(task, result)

    def _interrupted(self, task: "Task", pending: Pending, delivery: "Delivery") -> None:
        """End a wait for a handler: with what was done so far, or as the call's restart class says."""
        result: Any = pending.restart
        if pending.on_signal is not None:
            result = _outcome(pending.on_signal, task, pending.state)
        task.state = RUNNING
        if self.trace is not None:
            self.trace.resumed(task, result)
        self._to_user(task, result, delivery)

    # -- everything that is not a call

    def _fault(self, fields: tuple[int, ...]) -> int:
        """Serve a page fault; return the context to resume, or -1 when a signal takes its place."""
        index, signo, addr, code, _, _, _, _, ip, _, _ = fields
        task = self.tasks[index]
        self.current = task
        protection = code == SEGV_ACCERR
        access = FAULT_EXEC if addr == ip else FAULT_WRITE if protection else FAULT_READ
        outcome = task.mm.handle_fault(addr, access, signo) if code in (1, 2) or signo == SIGBUS else (SIGSEGV, code)
        if not outcome:
            if not task.attention:
                return index
            self.finish(task, KEEP)
            return -1
        signo, code = outcome
        error = PF_USER | (PF_PRESENT if protection else 0)
        error |= PF_INSTR if access == FAULT_EXEC else PF_WRITE if access == FAULT_WRITE else 0
        fault = Fault(error, TRAP_PAGE_FAULT, addr) if code in (1, 2) else Fault(0, 13, 0)
        self.kernel.signals.force(task, SigInfo(signo, code, addr=addr), fault)
        self.finish(task, KEEP)
        return -1

    def _other(self, kind: int, fields: tuple[int, ...]) -> None:
        kernel = self.kernel
        index, nr = fields[0], fields[1]
        if kind < 0:
            message = f"the platform failed with host errno {-kind}"
            raise KernelBug(message)
        if kind == TIMEOUT:
            kernel.timers.expire()
        elif kind == INTERRUPTED:
            task = self.tasks[index]
            self.finish(task, KEEP)
        elif kind == FD:
            kernel.watcher.ready(nr, fields[2])
        elif kind == WAKE:
            self.run_calls()
            if kernel.freezer.paused:
                self._stand()
            signals = fields[2]
            while signals:
                signo = (signals & -signals).bit_length()
                signals &= signals - 1
                kernel.host_signal(signo)
        elif kind == TRAP:
            task = self.tasks[index]
            fault = Fault(0, TRAP_NUMBERS.get(nr, 0), 0)
            kernel.signals.force(task, SigInfo(nr, fields[3] & 0x7FFF_FFFF, addr=fields[2]), fault)
            self.finish(task, KEEP)
        elif kind == GONE:
            self._gone(index)
        else:
            self._foreign(fields)

    def _foreign(self, fields: tuple[int, ...]) -> None:
        """Serve a call that came another way: the vsyscall page's three are ordinary calls, all others do not exist."""
        index, nr, *args = fields[:8]
        task = self.tasks[index]
        self.current = task
        task.nr = nr
        try:
            task.hold()  # a stopped thread takes its result in a register
        except errors.ESRCH:
            return
        if fields[8] >= VSYSCALL_PAGE:
            self._call(task, nr, args)
        else:
            self.finish(task, -errors.ENOSYS.errno)

    def _gone(self, index: int) -> None:
        """Treat the death of a stub from outside as a SIGKILL of its group."""
        task = self.tasks.get(index)
        if task is None or task.state == DEAD:
            return
        self.kernel.exits.begin_group_exit(task.group, SIGKILL)
        if task.state < ZOMBIE:
            self.unpark(task)
            self.kernel.exits.exit_task(task)
