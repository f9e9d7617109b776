"""The kernel's side of the vDSO: two pages that every program has, and the clock parameters in the first.

A guest computes time from the CPU's cycle counter, base + cycles * mult. Once a second the parameters are taken anew:
the new base is what guests see at that moment, so that time never jumps, and mult is bent so that they meet the host's
clock a second later. A difference of 250 ms or more is a jump all the same. Where the host's clock source is not the
counter (`Host.clock_source`), the page stays not ready and guests make calls.

Sources: Linux lib/vdso/gettimeofday.c (the reader), kernel/time/timekeeping.c.
"""

from typing import TYPE_CHECKING, Final

from sentry_abi.memory import PAGE_SIZE
from sentry_loader import vdso
from sentry_mm import Extent, Uncounted
from sentry_pgalloc import MemoryKind

if TYPE_CHECKING:
    from sentry.kernel.clocks import KernelClock
    from sentry_ktime import TimerQueue
    from sentry_pgalloc import MemoryFile
    from sentry_platform import Platform

SECOND: Final = 1_000_000_000
CALIBRATION_NS: Final = 2_000_000
JUMP_NS: Final = 250_000_000
TRUSTED: Final = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page")


class Vdso(Uncounted):
    """Parameter page and image, as one mappable, and their updates."""

    __slots__ = (
        "_base_mono",
        "_base_tsc",
        "_first",
        "_mult",
        "_offset",
        "_sequence",
        "clock",
        "memory",
        "platform",
        "timer_seq",
        "timers",
    )

    def __init__(self, memory: "MemoryFile", platform: "Platform", clock: "KernelClock") -> None:
        """Put the image into the memory file; not ready."""
        self.memory = memory
        self.platform = platform
        self.clock = clock
        self.timers: TimerQueue | None = None
        self.timer_seq = 0
        self._offset = memory.allocate(2 * PAGE_SIZE, MemoryKind.SYSTEM)
        image = self._offset + PAGE_SIZE
        memory.view[image : image + PAGE_SIZE] = vdso.image()
        self._sequence = 0
        self._base_tsc = self._base_mono = 0
        self._mult = 0
        self._first = platform.clock_sample()

    # -- Mappable

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """Return the pages."""
        del shared, write
        return [Extent(self.memory, self._offset + offset, min(length, 2 * PAGE_SIZE - offset))]

    def mapped_size(self) -> int:
        """Return the size of both pages."""
        return 2 * PAGE_SIZE

    def mapping_identity(self) -> object:
        """Return itself: it is one file."""
        return self

    # -- clock

    def begin(self, timers: "TimerQueue") -> None:
        """Keep the parameters up to date from now on, if the host trusts its cycle counter."""
        self.timers = timers
        if self.clock.host.clock_source in TRUSTED:
            timers.arm(self, self.clock.monotonic_ns() + CALIBRATION_NS)

    def expired(self, now_ns: int) -> None:
        """Timer callback: take the parameters anew."""
        tsc, host_mono, real_offset, _ = self.platform.clock_sample()
        mono = host_mono + self.clock.offset_ns
        first_tsc, first_mono, _, _ = self._first
        if tsc <= self._base_tsc or tsc <= first_tsc or host_mono <= first_mono:
            self._write(ready=False)
        else:
            rate = ((host_mono - first_mono) << 32) // (tsc - first_tsc)
            shown = mono
            if self._mult:
                shown = self._base_mono + ((tsc - self._base_tsc) * self._mult >> 32)
            if abs(mono - shown) >= JUMP_NS:
                shown = mono
            # Meet the host's clock one second from now.
            cycles = (SECOND << 32) // rate
            self._mult = ((mono + SECOND - shown) << 32) // cycles
            self._base_tsc, self._base_mono = tsc, shown
            self._write(real_offset - self.clock.offset_ns, ready=True)
        interval = SECOND if self._mult and host_mono - first_mono > SECOND // 2 else SECOND // 20
        assert self.timers is not None
        self.timers.arm(self, now_ns + interval)

    def _write(self, real_offset: int = 0, *, ready: bool) -> None:
        view = self.memory.view
        at = self._offset
        view[at : at + 4] = (self._sequence + 1 & 0xFFFF_FFFF).to_bytes(4, "little")
        fields = self._base_tsc, self._mult, self._base_mono + real_offset, self._base_mono
        record = vdso.PARAMETERS.pack(0, int(ready), *fields)
        view[at + 4 : at + len(record)] = record[4:]
        self._sequence = self._sequence + 2 & 0xFFFF_FFFF
        view[at : at + 4] = self._sequence.to_bytes(4, "little")
