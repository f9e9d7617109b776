"""Platforms whose guests run in stub processes: what `notify` and `ptrace` have in common, which is all but the trap.

Thin bindings over `_native`; the only module that touches its library. See the head of `tracees.c` there for the life
of stubs, and `notify.c` and `sysemu.c` for the two traps.
"""

import errno as host_errno
import os
from collections.abc import Callable, Sequence
from functools import partial
from struct import Struct
from typing import Final, cast

from sentry_abi import errors
from sentry_abi.mman import MAP_FIXED, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED
from sentry_arch import USER_REGS, Regs
from sentry_platform._interface import AddressSpace, Context, MapError, Op, PlatformError, ProbeResult
from sentry_platform._loop import HostLoop
from sentry_platform._native._lib import ffi, lib

SYS_MMAP: Final = 9
SYS_MPROTECT: Final = 10
SYS_MUNMAP: Final = 11

CALL: Final = Struct("=8Q")
BATCH_MAX: Final = lib.KS_BATCH_MAX

CLONE_ERRNOS: Final = (host_errno.EAGAIN, host_errno.ENOMEM)


def _clone_error(code: int) -> errors.LinuxError:
    """Return what a guest's fork or clone fails with when the host's did."""
    return errors.ENOMEM() if -code == host_errno.ENOMEM else errors.EAGAIN()


class StubSpace:
    """A host address space: a helper stub that never runs guest code and walks batches of mapping calls."""

    __slots__ = ("_core", "_platform", "helper")

    def __init__(self, platform: "StubPlatform", helper: int) -> None:
        """Wrap a parked helper."""
        self._platform = platform
        self._core = platform.core
        self.helper = helper

    def apply(self, ops: Sequence[Op]) -> None:
        """Do ops in order, in as few batches as fit.

        Raises: MapError.
        """
        platform = self._platform
        for start in range(0, len(ops), BATCH_MAX):
            part = ops[start : start + BATCH_MAX]
            buffer = platform.calls
            for i, op in enumerate(part):
                kind = op.kind
                if kind == "map":
                    backing = op.backing
                    assert backing is not None
                    flags = MAP_FIXED | (MAP_POPULATE if op.populate else 0)
                    flags |= MAP_SHARED | MAP_NORESERVE if backing.kind in ("memory", "shared") else MAP_PRIVATE
                    CALL.pack_into(
                        buffer, i << 6, SYS_MMAP, op.addr, op.length, op.prot, flags, backing.fd, op.offset, 0
                    )
                elif kind == "unmap":
                    CALL.pack_into(buffer, i << 6, SYS_MUNMAP, op.addr, op.length, 0, 0, 0, 0, 0)
                else:
                    CALL.pack_into(buffer, i << 6, SYS_MPROTECT, op.addr, op.length, op.prot, 0, 0, 0, 0)
            done = lib.ks_batch(self._core, self.helper, platform.c_calls, len(part), platform.c_error)
            if done != len(part):
                raise MapError(start + max(done, 0), host_errno.ENOMEM if done < 0 else -int(platform.c_error[0]))

    def resident_bytes(self) -> int:
        """Return the resident size of the mapped memory, as the host counts it."""
        try:
            with open(f"/proc/{lib.ks_tid(self._core, self.helper)}/statm", "rb") as statm:  # noqa: PTH123  (hot, and no path object is needed)
                return int(statm.read().split()[1]) * 4096
        except OSError:
            return 0

    def fork(self) -> "StubSpace":
        """Return a host clone of this space.

        Raises: EAGAIN, ENOMEM.
        """
        return self._platform.space_from(self.helper)

    def release(self) -> None:
        """Kill the helper; the space goes with its last stub."""
        if self.helper >= 0:
            lib.ks_kill(self._core, self.helper)
            self.helper = -1


class StubContext:
    """One guest thread: a stub that runs guest code."""

    __slots__ = ("_core", "_platform", "index")

    def __init__(self, platform: "StubPlatform", space: AddressSpace) -> None:
        """Make a stopped thread in space; it needs `set_regs` and `set_fpu` before it may run.

        Raises: EAGAIN, ENOMEM.
        """
        self._platform = platform
        self._core = platform.core
        self.index = lib.ks_thread_new(self._core, cast("StubSpace", space).helper)
        if self.index < 0:
            raise _clone_error(self.index)

    def bind(self, space: AddressSpace) -> None:
        """Move to another space: a new stub there takes the place of this one, which cannot leave its own.

        Raises: EAGAIN, ENOMEM; then the context is as before.
        """
        r = lib.ks_bind(self._core, self.index, cast("StubSpace", space).helper)
        if r < 0:
            raise _clone_error(r)

    def stop(self) -> None:
        """Hold a context whose event was a call; the call then counts as made. Nothing happens if it is held already.

        Raises: ESRCH when it was killed from outside.
        """
        if lib.ks_stop(self._core, self.index) < 0:
            raise errors.ESRCH

    def regs(self) -> Regs:
        """Return the settled registers; stops the context if its event was a call. Raises: ESRCH."""
        platform = self._platform
        if lib.ks_get_regs(self._core, self.index, platform.c_regs) < 0:
            self.stop()
            if lib.ks_get_regs(self._core, self.index, platform.c_regs) < 0:
                raise errors.ESRCH
        return Regs(platform.regs_area)

    def set_regs(self, regs: Regs) -> None:
        """Set all registers of a held context. Raises: ESRCH."""
        platform = self._platform
        platform.regs_area[:] = regs.pack()
        if lib.ks_set_regs(self._core, self.index, platform.c_regs) < 0:
            self.stop()
            if lib.ks_set_regs(self._core, self.index, platform.c_regs) < 0:
                raise errors.ESRCH

    def fpu(self) -> bytes:
        """Return the extended state of a held context. Raises: ESRCH."""
        platform = self._platform
        if lib.ks_get_xstate(self._core, self.index, platform.c_xstate) < 0:
            self.stop()
            if lib.ks_get_xstate(self._core, self.index, platform.c_xstate) < 0:
                raise errors.ESRCH
        return bytes(platform.xstate)

    def set_fpu(self, area: bytes) -> None:
        """Set the whole extended state of a held context; an empty area is the initial state.

        Raises: EINVAL if the host refuses the area, ESRCH.
        """
        self.stop()
        if not area:
            area = self._platform.initial_fpu
        r = lib.ks_set_xstate(self._core, self.index, ffi.from_buffer("char *", area), len(area))
        if r < 0:
            raise errors.EINVAL if -r in (host_errno.EINVAL, host_errno.EFAULT) else errors.ESRCH

    def resume(self) -> None:
        """Let a held context run from its registers on."""
        lib.ks_answer(self._core, self.index, 0)

    def answer(self, value: int) -> None:
        """Answer a call without waiting for the next event."""
        lib.ks_answer(self._core, self.index, value)

    def interrupt(self) -> None:
        """Request an INTERRUPTED event; nothing happens unless it is running."""
        lib.ks_interrupt(self._core, self.index)

    def running(self) -> bool:
        """Return whether guest code may be executing."""
        return lib.ks_state(self._core, self.index) == lib.KS_RUNNING

    def cpu_time_ns(self) -> int:
        """Return the host's CPU time of the stub and of those that the context had before."""
        return lib.ks_cpu_time(self._core, self.index)

    def halt(self) -> None:
        """Kill the stub and wait until it executes nothing any more."""
        lib.ks_halt(self._core, self.index)

    def release(self) -> None:
        """Kill the stub; idempotent."""
        if self.index >= 0:
            lib.ks_kill(self._core, self.index)
            self.index = -1


class StubPlatform(HostLoop):
    """Guest code in stub processes; see the module. A subclass names its trap."""

    name = "stubs"
    works = ""
    """The probe's reason when the platform works."""
    _sysemu = 0

    @staticmethod
    def explain(number: int) -> str:
        """Say in one line why no template could be made, and what would help."""
        return os.strerror(number)

    def __init__(self) -> None:
        """Make the template for the calling thread, which becomes the kernel thread.

        Raises: PlatformError.
        """
        core = lib.ks_open(self._sysemu)
        if core == ffi.NULL:
            message = f"the host has no memory for the sandbox's tables: {os.strerror(ffi.errno)}"
            raise PlatformError(message)
        super().__init__(lib.ks_loop(core))
        self.core = core
        self.calls = bytearray(CALL.size * BATCH_MAX)
        self.c_calls = ffi.from_buffer("struct ks_call *", self.calls)
        self.c_error = ffi.new("int64_t *")
        self.regs_area = bytearray(USER_REGS.size)
        self.c_regs = ffi.from_buffer("struct ks_regs *", self.regs_area)
        self.fpu_size = lib.ks_xstate_size(core)
        self.initial_fpu = initial_xstate(self.fpu_size)
        self.xstate = bytearray(self.fpu_size)
        self.c_xstate = ffi.from_buffer("char *", self.xstate)
        template = ffi.new("int *")
        r = lib.ks_boot(core, template)
        if r < 0:
            lib.ks_close(core)
            raise PlatformError(self.explain(-r))
        self._template = int(template[0])
        self.event = memoryview(ffi.buffer(lib.ks_event(core)))
        self.next_event = cast("Callable[[int, int, int], int]", partial(lib.ks_next, core))
        self._closed = False

    def new_space(self) -> StubSpace:
        """Return an empty space. Raises: EAGAIN, ENOMEM."""
        return self.space_from(self._template)

    def space_from(self, helper: int) -> StubSpace:
        """Return a host clone of a helper's space. Raises: EAGAIN, ENOMEM."""
        index = lib.ks_space_new(self.core, helper)
        if index < 0:
            raise _clone_error(index)
        return StubSpace(self, index)

    def new_context(self, space: AddressSpace) -> StubContext:
        """Return a held thread in space. Raises: EAGAIN, ENOMEM."""
        return StubContext(self, space)

    def host_tid(self, context: "Context") -> int:
        """Return the host's thread id of a context, 0 when it is gone; for reports and tests."""
        return lib.ks_tid(self.core, context.index)

    def close(self) -> None:
        """Kill and reap every stub, then return; idempotent."""
        if not self._closed:
            self._closed = True
            lib.ks_close(self.core)

    @classmethod
    def probe(cls) -> ProbeResult:
        """Boot a template, whose own parking call is the guest call that shows that the trap works."""
        try:
            platform = cls()
        except PlatformError as error:
            return ProbeResult(usable=False, reason=str(error))
        platform.close()
        return ProbeResult(usable=True, reason=cls.works)


MXCSR_OFFSET: Final = 24
MXCSR_INITIAL: Final = 0x1F80


def initial_xstate(size: int) -> bytes:
    """Return the XSAVE area of a thread that has used no extended state.

    No component present, MXCSR at its default.
    """
    area = bytearray(size)
    area[0:2] = b"\x7f\x03"
    area[MXCSR_OFFSET : MXCSR_OFFSET + 4] = MXCSR_INITIAL.to_bytes(4, "little")
    return bytes(area)
