"""Several instruments on one kernel, and the report of an unimplemented call."""

from typing import TYPE_CHECKING

from sentry.kernel.instrument import Instrument
from sentry_abi.errors import ENOSYS

if TYPE_CHECKING:
    from sentry.kernel.pending import Outcome, Pending
    from sentry.kernel.siginfo import SigInfo
    from sentry.kernel.state import KernelState, Task


class Instruments(Instrument["Task"]):
    """Several instruments as one, called in the order in which they were added."""

    __slots__ = ("_all",)

    def __init__(self, *instruments: Instrument["Task"]) -> None:
        """Combine these."""
        self._all = instruments

    def parked(self, task: "Task", pending: "Pending") -> None:
        """Pass on."""
        for instrument in self._all:
            instrument.parked(task, pending)

    def resumed(self, task: "Task", result: "Outcome") -> None:
        """Pass on."""
        for instrument in self._all:
            instrument.resumed(task, result)

    def signal(self, task: "Task", info: "SigInfo", *, stopped: bool) -> None:
        """Pass on."""
        for instrument in self._all:
            instrument.signal(task, info, stopped=stopped)

    def fault(self, task: "Task", info: "SigInfo") -> None:
        """Pass on."""
        for instrument in self._all:
            instrument.fault(task, info)

    def unimplemented(self, task: "Task", nr: int) -> None:
        """Pass on."""
        for instrument in self._all:
            instrument.unimplemented(task, nr)

    def close(self) -> None:
        """Pass on."""
        for instrument in self._all:
            instrument.close()


def add_instrument(kernel: "KernelState", instrument: Instrument["Task"]) -> None:
    """Add an instrument to a kernel that does not run yet."""
    present = kernel.instrument
    kernel.instrument = instrument if present is None else Instruments(present, instrument)
    kernel.table = instrument.wrap(kernel.table)


def unimplemented(task: "Task", nr: int) -> int:
    """Answer a call that does not exist here: report it, and return -ENOSYS."""
    instrument = task.kernel.instrument
    if instrument is not None:
        instrument.unimplemented(task, nr)
    return -ENOSYS.errno
