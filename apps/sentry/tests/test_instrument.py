"""An instrument sees calls, waits, results, signals, faults and what does not exist, and changes nothing."""

import os
from collections.abc import Sequence
from pathlib import Path

from sentry.kernel.instrument import Instrument
from sentry.kernel.instruments import add_instrument
from sentry.kernel.pending import Outcome, Pending, name_of
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.state import Task
from sentry.testing import new_kernel, process_args
from sentry_abi.numbers import AMD64


class Seen(Instrument["Task"]):
    """Notes everything."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.calls: list[str] = []
        self.results: list[tuple[str, Outcome]] = []
        self.waits: list[str] = []
        self.resumes: list[Outcome] = []
        self.signals: list[int] = []
        self.faults: list[tuple[int, int]] = []
        self.missing: list[str] = []
        self.closed = 0

    def entered(self, task: Task, nr: int, args: Sequence[int]) -> None:
        """Note the name of a call."""
        assert len(args) == 6
        self.calls.append(AMD64[nr])

    def done(self, task: Task, nr: int, result: Outcome) -> None:
        """Note what a handler returned."""
        self.results.append((AMD64[nr], result))

    def parked(self, task: Task, pending: Pending) -> None:
        """Note the attempt that waits."""
        self.waits.append(name_of(pending.attempt))

    def resumed(self, task: Task, result: Outcome) -> None:
        """Note the result of a wait."""
        self.resumes.append(result)

    def signal(self, task: Task, info: SigInfo, *, stopped: bool) -> None:
        """Note a fatal signal."""
        self.signals.append(info.signo)

    def fault(self, task: Task, info: SigInfo) -> None:
        """Note a fault."""
        self.faults.append((info.signo, info.addr))

    def unimplemented(self, task: Task, nr: int) -> None:
        """Note a call that does not exist."""
        self.missing.append(AMD64[nr])

    def close(self) -> None:
        """Count."""
        self.closed += 1


SCRIPT = """
import ctypes, os, subprocess
ctypes.CDLL(None).syscall(139, 0)  # sysfs(2)
os.system("sleep 0.01")
try:
    os.stat("/no/such/file")
except FileNotFoundError:
    pass
ctypes.string_at(64)
"""


def test_what_is_seen(tmp_path: Path) -> None:
    """One program that calls, waits, fails, misses and dies of a fault."""
    kernel, mnt = new_kernel("auto")
    first, second = Seen(), Seen()
    add_instrument(kernel.state, first)
    add_instrument(kernel.state, second)
    output = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    try:
        kernel.create_process(process_args(kernel, mnt, [b"/usr/bin/python3", b"-c", SCRIPT.encode()], output))
        kernel.start()
        kernel.wait_exited()
    finally:
        kernel.close()
        os.close(output)
    for seen in (first, second):
        assert seen.missing == ["sysfs"]
        assert ("sysfs", -38) in seen.results
        assert ("newfstatat", -2) in seen.results
        assert "sentry.syscalls.wait.wait_again" in seen.waits
        assert "sentry.syscalls.time.sleep_again" in seen.waits
        assert any(isinstance(result, int) and result > 1 for result in seen.resumes), "wait4 returned a child"
        assert seen.faults == [(11, 64)]
        assert seen.signals == [11]
        # execve and exit_group have no value; every other call that was entered is done
        assert len(seen.calls) == len(seen.results)
    assert first.calls == second.calls


def test_without_calls_the_table_is_not_wrapped() -> None:
    """Only an instrument that looks at calls costs anything per call."""

    class Quiet(Instrument["Task"]):
        def close(self) -> None:
            """Do something else than looking at calls."""

    table = [lambda _task: 0]
    assert Quiet().wrap(table) is table
    assert Seen().wrap(table) is not table
