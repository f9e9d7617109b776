"""Processes without a host process behind them, for tests of handlers.

A `Box` is a kernel with the clocks and the entropy of `FakeHost`, an in-memory tree, and a platform that runs nothing;
a `Program` is a task in it, whose calls are made by name: through the binder, from registers of 64 bits.
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel.clocks import KernelClock
from sentry.kernel.fork import Parts, new_mm, new_task
from sentry.kernel.kernel import InitKernelArgs, Kernel
from sentry.kernel.namespaces import NetNamespace
from sentry.kernel.park import park, unpark
from sentry.kernel.pending import Bound, Pending, outcome
from sentry.kernel.state import NSProxy, ThreadGroup
from sentry.syscalls.binder import bind
from sentry.syscalls.subjects import NAMES, handler_of
from sentry.syscalls.table import amd64
from sentry_abi.errors import LinuxError
from sentry_abi.fcntl import AT_FDCWD
from sentry_abi.mman import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE
from sentry_arch import Regs
from sentry_auth import INITIAL, root_credentials, user_credentials
from sentry_cpuid import host_features
from sentry_fs import Tmpfs
from sentry_fs._tmpfs import Memfds
from sentry_host.testing import FakeHost
from sentry_limits import LimitSet
from sentry_mm.testing import FakeSpace
from sentry_pgalloc import MemoryFile
from sentry_platform import EVENT, ProbeResult
from sentry_vfs import FDTable, FSContext, MountNamespace

if TYPE_CHECKING:
    from collections.abc import Callable
    from struct import Struct

    from sentry.kernel.pending import Control, Outcome, Result
    from sentry.kernel.state import Task
    from sentry_auth import Credentials
    from sentry_platform import AddressSpace, Context

MASK64: Final = (1 << 64) - 1
BAD: Final = 0xBAD000
"""An address where nothing is mapped."""
NO_FD: Final = 99
"""A descriptor that is not open."""
SCRATCH_BYTES: Final = 4 << 20


class PlainContext:
    """A guest thread that never runs: it keeps what it is given."""

    def __init__(self, index: int, space: "AddressSpace") -> None:
        """Begin in a space, with registers of zero."""
        self.index = index
        self.space = space
        self.kept = Regs()
        self.image = b""
        self.answers: list[int] = []
        """What its calls were answered."""
        self.resumes = 0
        self.interrupts = 0
        self.cpu_ns = 0
        self.ended = False

    def bind(self, space: "AddressSpace") -> None:
        """See Context."""
        self.space = space

    def regs(self) -> Regs:
        """See Context."""
        return self.kept.copy()

    def set_regs(self, regs: Regs) -> None:
        """See Context."""
        self.kept = regs.copy()

    def fpu(self) -> bytes:
        """See Context."""
        return self.image

    def set_fpu(self, image: bytes) -> None:
        """See Context."""
        self.image = image

    def stop(self) -> None:
        """See Context."""

    def resume(self) -> None:
        """See Context."""
        self.resumes += 1

    def answer(self, value: int) -> None:
        """See Context."""
        self.answers.append(value)

    def running(self) -> bool:
        """See Context."""
        return False

    def interrupt(self) -> None:
        """See Context."""
        self.interrupts += 1

    def cpu_time_ns(self) -> int:
        """See Context."""
        return self.cpu_ns

    def halt(self) -> None:
        """See Context."""
        self.ended = True

    def release(self) -> None:
        """See Context."""
        self.ended = True


class PlainPlatform:
    """A platform whose contexts never run."""

    name = "plain"
    fpu_size = 832

    def __init__(self) -> None:
        """Begin without contexts."""
        self.event = memoryview(bytearray(EVENT.size))
        self.next_event: Callable[[int, int, int], int] = self._no_event
        self._contexts = 0

    @staticmethod
    def _no_event(answer_to: int, value: int, deadline_ns: int) -> int:
        message = f"nothing runs here that could have an event: {answer_to}, {value}, {deadline_ns}"
        raise AssertionError(message)

    def new_space(self) -> "AddressSpace":
        """See Platform."""
        return FakeSpace()

    def new_context(self, space: "AddressSpace") -> "Context":
        """See Platform."""
        self._contexts += 1
        return PlainContext(self._contexts - 1, space)

    def watch(self, fd: int, mask: int) -> bool:
        """See Platform."""
        return False

    def unwatch(self, fd: int) -> None:
        """See Platform."""

    def catch(self, signo: int) -> None:
        """See Platform."""

    def wake(self, bits: int) -> None:
        """See Platform."""

    def clock_sample(self) -> tuple[int, int, int, int]:
        """See Platform."""
        return 0, 0, 0, 1

    def close(self) -> None:
        """See Platform."""

    @classmethod
    def probe(cls) -> ProbeResult:
        """See Platform."""
        return ProbeResult(usable=True, reason="it runs nothing")


class Box:
    """A kernel with an empty tmpfs as its only tree; `init` is its first program."""

    def __init__(self) -> None:
        """Make the kernel and its first program, which is root."""
        self.host = FakeHost()
        self.platform = PlainPlatform()
        self.memory = MemoryFile()
        self.kernel = Kernel(self.platform, self.memory, self.host.record)
        clock = KernelClock(self.host.record)
        self.kernel.init(
            InitKernelArgs(host_features(), clock, INITIAL, 2, amd64(), network_stack=NetNamespace(INITIAL))
        )
        self.state = self.kernel.state
        self.state.started = True
        vfs = self.kernel.vfs
        vfs.memfds = Memfds(vfs, self.memory)
        fs = Tmpfs(vfs, self.memory, 0o755, source=b"root")
        self.mnt = MountNamespace(fs, fs.root)
        self.init = self.program()

    def program(self, parent: ThreadGroup | None = None) -> "Program":
        """Return a new process without files, the child of parent; a root's without one."""
        state = self.state
        ns = NSProxy(
            self.mnt,
            state.root_pid_namespace,
            state.root_ipc_namespace,
            state.root_uts_namespace,
            state.network_stack,
            state.root_user_namespace,
        )
        limits = LimitSet.distribution()
        tgid = ns.pid.allocate()
        mm = new_mm(state, limits)
        group = ThreadGroup(state, ns.pid, tgid, parent, limits)
        context = self.platform.new_context(mm.space)
        parts = Parts(context, mm, FDTable(), FSContext(self.mnt.root), root_credentials(), b"plain")
        task = new_task(group, tgid, ns, parts)
        if state.global_init is None:
            state.global_init = group
        scratch = mm.mmap(0, SCRATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, None, 0)
        return Program(self, task, scratch)

    def close(self) -> None:
        """Free what is of the host."""
        self.memory.close()


class Program:
    """A task whose calls the test makes.

    An argument of a call is a number, whose low 64 bits are the register, or bytes, which are put into the task's
    memory with a NUL behind them: a path, a structure.
    """

    def __init__(self, box: Box, task: "Task", scratch: int) -> None:
        """Let a task, with memory at scratch for arguments, make calls."""
        self.box = box
        self.t = task
        self._next = scratch

    @property
    def context(self) -> PlainContext:
        """The task's context."""
        context = self.t.context
        assert isinstance(context, PlainContext)
        return context

    # -- memory

    def zeros(self, size: int) -> int:
        """Return the address of size bytes of zero, at a multiple of 16."""
        address = self._next
        self._next += size + 15 & -16
        return address

    def put(self, data: bytes) -> int:
        """Put data into memory; return its address."""
        address = self.zeros(len(data))
        self.t.mm.copy_out(address, data)
        return address

    def get(self, address: int, size: int) -> bytes:
        """Return size bytes of memory."""
        return bytes(self.t.mm.copy_in(address, size))

    def number(self, address: int, size: int = 4) -> int:
        """Return an unsigned number in memory."""
        return int.from_bytes(self.get(address, size), "little")

    def fields(self, layout: "Struct", address: int) -> tuple[int, ...]:
        """Return the fields of a structure in memory."""
        return layout.unpack(self.get(address, layout.size))

    # -- calls

    def call(self, name: str, *args: int | bytes) -> "Result | Control":
        """Make a call; return or raise what its handler does."""
        registers = [self.put(arg + b"\0") if isinstance(arg, bytes) else arg & MASK64 for arg in args]
        registers += [0xDEAD_BEEF_DEAD_BEEF] * (6 - len(registers))
        self.box.state.current = self.t
        return bound(name)(self.t, *registers)

    def ok(self, name: str, *args: int | bytes) -> int:
        """Make a call that has a value."""
        result = self.call(name, *args)
        assert isinstance(result, int), f"{name}: {result!r}"
        return result

    def error(self, name: str, *args: int | bytes) -> type[LinuxError]:
        """Make a call that fails; return the class of its error."""
        try:
            result = self.call(name, *args)
        except LinuxError as error:
            return type(error)
        message = f"{name} returned {result!r}"
        raise AssertionError(message)

    def open(self, path: bytes, flags: int, mode: int = 0o644) -> int:
        """Open a file; return its descriptor."""
        return self.ok("openat", AT_FDCWD, path, flags, mode)

    def pipe(self) -> tuple[int, int]:
        """Make a pipe; return its ends."""
        fds = self.zeros(8)
        self.ok("pipe2", fds, 0)
        return self.number(fds), self.number(fds + 4)

    # -- waits

    def wait(self, name: str, *args: int | bytes) -> Pending:
        """Make a call that has to wait, and park the task as the loop does."""
        result = self.call(name, *args)
        assert isinstance(result, Pending), f"{name}: {result!r}"
        park(self.t, result)
        return result

    def woken(self) -> bool:
        """Return whether something has woken the task since it was parked."""
        return self.t.queued

    def resume(self) -> "Outcome":
        """Enter the attempt of the woken task again, as the loop does; a task that waits on is parked again."""
        task = self.t
        assert task.queued, "nothing has woken the task"
        self.box.state.ready.remove(task)
        task.queued = False
        pending = unpark(task)
        assert pending is not None, "the task does not wait"
        self.box.state.current = task
        clock = self.box.state.clock
        expired = pending.deadline is not None and clock.monotonic_ns() >= pending.deadline
        task.timed_out = expired and not pending.limited
        result = outcome(pending.attempt, task, pending.state)
        task.timed_out = False
        if isinstance(result, Pending):
            park(task, result)
        return result

    def pass_deadline(self) -> None:
        """Let time pass until the deadline of the wait, and the timers expire."""
        parked = self.t.parked
        assert parked is not None
        assert parked.deadline is not None
        self.box.host.now_ns = max(self.box.host.now_ns, parked.deadline)
        self.box.state.timers.expire()

    def interrupt(self) -> "Outcome":
        """End the wait as a signal with a handler does; return what the call then gives."""
        pending = unpark(self.t)
        assert pending is not None, "the task does not wait"
        return pending.restart if pending.on_signal is None else outcome(pending.on_signal, self.t, pending.state)

    # -- other programs

    def child(self) -> "Program":
        """Return a new child process, with nothing of this one's but its place in the process tree."""
        return self.box.program(self.t.group)

    def forked(self, tid: int) -> "Program":
        """Return the task that fork or clone has made."""
        return Program(self.box, self.t.ns.pid.tasks[tid], self._next)

    def become(self, uid: int, gid: int | None = None) -> "Program":
        """Become a user without capabilities; return the program itself."""
        self.t.creds = plain_user(uid, uid if gid is None else gid)
        return self


def plain_user(uid: int, gid: int) -> "Credentials":
    """Return the credentials of a user without capabilities."""
    return user_credentials(uid, gid)


_bound: Final[dict[str, Bound]] = {}


def bound(name: str) -> Bound:
    """Return the handler of a call as the table has it: a function of a task and six registers."""
    found = _bound.get(name)
    if found is None:
        found = _bound[name] = bind(handler_of(NAMES[name], name))
    return found
