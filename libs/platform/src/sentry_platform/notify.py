"""The notify platform: seccomp user notifications carry the calls, ptrace the control.

Thin bindings over `_native/notify.c`; the only module that touches its library. See platforms.md section 3 of the design, and
the head of the C file for how a wait ends.
"""

import errno as host_errno
import os
import resource
import sys
from collections.abc import Sequence
from struct import Struct
from typing import Final

from sentry_abi import errors
from sentry_arch import IMAGE, Regs
from sentry_platform._interface import Backing, MapError, Op, ProbeResult
from sentry_platform._native._lib import ffi, lib

SYS_MMAP: Final = 9
SYS_MPROTECT: Final = 10
SYS_MUNMAP: Final = 11
MAP_SHARED: Final = 0x01
MAP_PRIVATE: Final = 0x02
MAP_FIXED: Final = 0x10
MAP_NORESERVE: Final = 0x4000
MAP_POPULATE: Final = 0x8000
PROT_WRITE: Final = 2

EVENT: Final = Struct("=ii6QQIi")
CALL: Final = Struct("=8Q")
BATCH_MAX: Final = lib.KS_BATCH_MAX

CLONE_ERRNOS: Final = (host_errno.EAGAIN, host_errno.ENOMEM)


class HostTrouble(Exception):  # noqa: N818  (it is not the caller's error)
    """The host refused something that the platform cannot do without; says what, in one line."""


def _clone_error(code: int) -> errors.LinuxError:
    """Return what a guest's fork or clone fails with when the host's did."""
    return errors.ENOMEM() if -code == host_errno.ENOMEM else errors.EAGAIN()


class NotifySpace:
    """A host address space: a helper stub that never runs guest code and walks batches of mapping calls."""

    __slots__ = ("_calls", "_core", "_error", "helper")

    def __init__(self, platform: "NotifyPlatform", helper: int) -> None:
        """Wrap a parked helper."""
        self._core = platform.core
        self._calls = platform.calls
        self._error = platform.error
        self.helper = helper

    def apply(self, ops: Sequence[Op]) -> None:
        """Do ops in order, in as few batches as fit.

        Raises: MapError.
        """
        for start in range(0, len(ops), BATCH_MAX):
            part = ops[start : start + BATCH_MAX]
            buffer = self._calls
            for i, op in enumerate(part):
                kind = op.kind
                if kind == "map":
                    backing = op.backing
                    assert backing is not None  # noqa: S101  (the type of Op cannot say it)
                    flags = MAP_FIXED | (MAP_POPULATE if op.populate else 0)
                    flags |= MAP_SHARED | MAP_NORESERVE if backing.kind in ("memory", "shared") else MAP_PRIVATE
                    CALL.pack_into(buffer, i << 6, SYS_MMAP, op.addr, op.length, op.prot, flags, backing.fd, op.offset, 0)
                elif kind == "unmap":
                    CALL.pack_into(buffer, i << 6, SYS_MUNMAP, op.addr, op.length, 0, 0, 0, 0, 0)
                else:
                    CALL.pack_into(buffer, i << 6, SYS_MPROTECT, op.addr, op.length, op.prot, 0, 0, 0, 0)
            done = lib.ks_batch(self._core, self.helper, ffi.from_buffer("struct ks_call *", buffer), len(part), self._error)
            if done != len(part):
                raise MapError(start + max(done, 0), host_errno.ENOMEM if done < 0 else -self._error[0])

    def resident_bytes(self) -> int:
        """Return the resident size of the mapped memory, as the host counts it."""
        try:
            with open(f"/proc/{lib.ks_tid(self._core, self.helper)}/statm", "rb") as statm:  # noqa: PTH123  (hot, and no path object is needed)
                return int(statm.read().split()[1]) * 4096
        except OSError:
            return 0

    def fork(self) -> "NotifySpace":
        """Return a host clone of this space.

        Raises: EAGAIN, ENOMEM.
        """
        raise NotImplementedError

    def release(self) -> None:
        """Kill the helper; the space goes with its last stub."""
        if self.helper >= 0:
            lib.ks_kill(self._core, self.helper)
            self.helper = -1
