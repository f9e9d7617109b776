"""The platform interface: how guest code runs.

A platform owns guest threads (`Context`) and host address spaces (`AddressSpace`). Stubs, thread ids, injection and
guest-physical addresses are hidden below it. Addresses and lengths are bytes and page-aligned; deadlines are
nanoseconds of CLOCK_MONOTONIC. All calls come from the kernel thread, which made the platform, except `Platform.wake`.

`AddressSpace.apply` is a promise that the guest's next access then succeeds without the kernel's help, not that pages
are present: the host fills them. Copy-on-write is a map (or protect) without PROT_WRITE, then a FAULT event with access
`FAULT_WRITE`, then `apply` of a writable map.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from struct import Struct
from typing import Final, Literal, NamedTuple, Protocol

from sentry_arch import Regs

PROT_NONE: Final = 0
PROT_READ: Final = 1
PROT_WRITE: Final = 2
PROT_EXEC: Final = 4


class Backing(Protocol):
    """A host file whose pages guests may see: the memory file, a host file, a saved image.

    "memory" is mapped MAP_SHARED. "host" and "image" are mapped MAP_PRIVATE and never both private and writable: a page
    that the guest may write privately is copied to the memory file first. "shared" is a host file mapped MAP_SHARED.
    """

    @property
    def fd(self) -> int:
        """Descriptor in the sentry; open as long as a mapping may be made from it."""
        ...

    @property
    def kind(self) -> Literal["memory", "host", "image", "shared"]:
        """How its pages may be mapped."""
        ...


class Op(NamedTuple):
    """One change of an address space; it replaces whatever was there."""

    kind: Literal["map", "unmap", "protect"]
    addr: int
    length: int
    prot: int = 0
    backing: Backing | None = None
    offset: int = 0
    populate: bool = False


class MapError(Exception):
    """Operation `index` failed with host error `errno`; those before it are in force, those after it were not tried."""

    def __init__(self, index: int, errno: int) -> None:
        """Say which operation failed and why."""
        super().__init__(f"operation {index} failed with errno {errno}")
        self.index = index
        self.errno = errno


class AddressSpace(Protocol):
    """A host address space that guest threads run in."""

    def apply(self, ops: Sequence[Op]) -> None:
        """Do ops in order; afterwards no thread can use an old translation.

        Raises: MapError.
        """
        ...

    def fork(self) -> "AddressSpace":
        """Return a new space with the same mappings and protections as now.

        Raises: EAGAIN, ENOMEM (LinuxError).
        """
        ...

    def resident_bytes(self) -> int:
        """Return how much of the mapped memory is present for this space."""
        ...

    def release(self) -> None:
        """Free the space; idempotent; no context may be bound to it."""
        ...


class Context(Protocol):
    """One guest thread.

    It runs, or it waits after its last event. Then `answer` lets it go on (a SYSCALL or FOREIGN event: the value is the
    call's result), or `resume` (any other event, or registers that were set), or `next_event`, which answers. Reading
    or setting registers or extended state holds it: its call then counts as made, and `resume` lets it go on.
    """

    index: int
    """Small number that events carry; the same for the life of the context."""

    def bind(self, space: AddressSpace) -> None:
        """Move to another space (execve), with index and CPU time; it must not be running.

        Registers and extended state must be set before it runs again.
        Raises: EAGAIN, ENOMEM; then the context is as before.
        """
        ...

    def regs(self) -> Regs:
        """Return the registers, settled: never in the middle of a host restart. Raises: ESRCH."""
        ...

    def set_regs(self, regs: Regs) -> None:
        """Set all registers; they count from the next resume. Raises: ESRCH."""
        ...

    def fpu(self) -> bytes:
        """Return the extended state: `Platform.fpu_size` bytes of a standard-format (not compacted) XSAVE area.

        Its components are those that guests have, x87 to AVX-512 and PKRU as far as the CPU does; bytes 464 to 472 name
        them, bytes 512 to 520 (XSTATE_BV) those not in their initial state. Raises: ESRCH.
        """
        ...

    def set_fpu(self, area: bytes) -> None:
        """Set the whole extended state, in the form that `fpu` returns; an empty area is the initial state.

        Raises: EINVAL if the area has another form or the CPU refuses it, ESRCH.
        """
        ...

    def stop(self) -> None:
        """Hold a context whose last event was a call; that call then counts as made. Raises: ESRCH."""
        ...

    def resume(self) -> None:
        """Run guest code from the present registers on: as `answer`, from now or from `next_event` on."""
        ...

    def answer(self, value: int) -> None:
        """Give a call its result: guest code may run from now on, and runs at the latest in `next_event`."""
        ...

    def running(self) -> bool:
        """Return whether guest code may be executing."""
        ...

    def interrupt(self) -> None:
        """Make a running context stop: exactly one INTERRUPTED event unless another event of it comes first."""
        ...

    def cpu_time_ns(self) -> int:
        """Return the CPU time that guest code of this context has used, in all spaces it was bound to."""
        ...

    def halt(self) -> None:
        """End the thread at once, even if it is running.

        Afterwards it executes nothing; `release` must still follow.
        """
        ...

    def release(self) -> None:
        """End the thread; idempotent."""
        ...


class EventKind(IntEnum):
    """What `Platform.next_event` returned; the fields of `EVENT` that count are named with each."""

    SYSCALL = 1
    """context; nr; args; ip behind the call. A call of the 64-bit table, the vsyscall page's included."""
    FAULT = 2
    """context; nr: SIGSEGV or SIGBUS; args: address, si_code, vector, error code, CR2, access. ip.

    A page fault that the address space may be able to serve. The error code is x86's (present, write, user, fetch), the
    access one of FAULT_READ, FAULT_WRITE, FAULT_EXEC. A platform that is not shown them works them out from what it is
    shown; an access that stays unknown is a read.
    """
    TRAP = 3
    """context; nr: signal; args: address, si_code, vector, error code, CR2. ip. Any other exception of the CPU."""
    INTERRUPTED = 4
    """context. The answer to `Context.interrupt`."""
    GONE = 5
    """context; nr: wait status. Something outside has killed it."""
    WAKE = 6
    """args: signals of the host, bit n - 1 for signal n; bits of `wake`."""
    TIMEOUT = 7
    """The deadline has passed."""
    FD = 8
    """nr: descriptor; args: mask. A watched descriptor of the host is ready."""
    FOREIGN = 9
    """context; nr; args; ip; arch: AUDIT_ARCH_*. A call of another table: int 0x80, x32."""


EVENT: Final = Struct("=ii6QQIi")
"""Layout of `Platform.event`: context, nr, six args, ip, arch, kind. `EventKind` says what a kind puts there."""

FAULT_READ: Final = 1
FAULT_WRITE: Final = 2
FAULT_EXEC: Final = 4


class PlatformError(Exception):
    """The host refuses something that the platform needs; the message says what, in one line."""


class Platform(Protocol):
    """A way to run guest code.

    The kernel's loop is `next_event`, which answers one context and waits in one host call.
    """

    def __init__(self) -> None:
        """Start, with the calling thread as the kernel thread. Raises: PlatformError."""
        ...

    name: str
    event: memoryview
    """The event that `next_event` returned, laid out as `EVENT`."""

    fpu_size: int
    """Length in bytes of an extended state: the same for all contexts, and on all platforms of a host."""

    next_event: Callable[[int, int, int], int]
    """(answer_to, value, deadline_ns) -> EventKind. Answers a context (index, or -1 for none) and waits for any event;
    a deadline of -1 is none. Below zero: the platform is broken, minus the host's error."""

    def new_space(self) -> AddressSpace:
        """Return an empty space. Raises: EAGAIN, ENOMEM."""
        ...

    def new_context(self, space: AddressSpace) -> Context:
        """Return a thread in space that does not run yet. Raises: EAGAIN, ENOMEM."""
        ...

    def watch(self, fd: int, mask: int) -> bool:
        """Ask for one FD event when host descriptor fd is ready for mask; False: it is always ready."""
        ...

    def unwatch(self, fd: int) -> None:
        """Forget a host descriptor, before it is closed."""
        ...

    def catch(self, signo: int) -> None:
        """Turn a signal that the host sends to the sentry into WAKE events."""
        ...

    def wake(self, bits: int) -> None:
        """Make `next_event` return a WAKE event; from any thread."""
        ...

    def clock_sample(self) -> tuple[int, int, int, int]:
        """Return cycle counter, monotonic ns at that moment, real minus monotonic ns, and the width in cycles."""
        ...

    def close(self) -> None:
        """Kill and reap everything, then return; idempotent."""
        ...

    @classmethod
    def probe(cls) -> "ProbeResult":
        """Run a guest call here, and say whether that works."""
        ...


class ProbeResult(NamedTuple):
    """Whether a platform works on this host."""

    usable: bool
    reason: str
    """One line: what was found, or what is missing and what would help."""
    built: bool = True
    """Whether this version has the platform at all."""

    def verdict(self) -> str:
        """Return all of it in one line."""
        if not self.built:
            return "is not part of this version"
        return f"works: {self.reason}" if self.usable else f"does not work: {self.reason}"
