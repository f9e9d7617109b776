"""One command in a sandbox: build it from its spec, serve it, return its exit status.

On every way out the platform kills and reaps its stubs first, then what is open is closed. Limits, signals and garbage
collector of the process are as before.
"""

import gc
import signal
from _thread import allocate_lock
from typing import TYPE_CHECKING, Final

from sentry.build import Machine, raise_host_limits, restore_host_limits, start_platform
from sentry.failures import UsageFailure
from sentry_host import real_host

if TYPE_CHECKING:
    from sentry.console import Console
    from sentry.kernel.kernel import Kernel
    from sentry.kernel.state import ThreadGroup
    from sentry.spec import SandboxSpec

SIGNALS_PASSED_ON: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
SIGNALED: Final = 128

_one: Final = allocate_lock()
"""Held while a sandbox runs: the signals of a process have one receiver."""


def run(spec: "SandboxSpec") -> int:
    """Run a command; return its exit status, 128 + n if signal n ended it.

    Raises: UsageFailure, also while another sandbox runs in this process; HostFailure, ProgramMissingFailure,
    ProgramUnusableFailure.
    """
    if not _one.acquire(blocking=False):
        message = "another sandbox is running in this process"
        raise UsageFailure(message)
    try:
        return _run(spec)
    finally:
        _one.release()


def _run(spec: "SandboxSpec") -> int:
    host = real_host()
    limits = raise_host_limits()
    try:
        platform = start_platform(spec.platform)
        try:
            machine = Machine(spec, platform, host)
            try:
                return serve(machine)
            finally:
                machine.close()
        finally:
            platform.close()
    finally:
        restore_host_limits(limits)


def serve(machine: Machine) -> int:
    """Start a machine, serve it until its last task has exited, and return the exit status of its init."""
    kernel = machine.kernel
    group = machine.create()
    for signo in SIGNALS_PASSED_ON:
        if signal.getsignal(signo) is not signal.SIG_IGN:
            kernel.platform.catch(signo)
    if machine.console is not None:
        take_console(kernel, machine.console, group)
    enabled, thresholds, frozen = gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()
    gc.freeze()  # modules, classes and the table live to the end
    gc.enable()
    gc.set_threshold(50_000, 50, 100)
    try:
        kernel.start()
        kernel.wait_exited()
    finally:
        gc.set_threshold(*thresholds)
        if not enabled:
            gc.disable()
        if not frozen:
            gc.unfreeze()
    machine.report.finish()
    status = group.exit_status
    return SIGNALED + (status & 0x7F) if status & 0x7F else status >> 8


def take_console(kernel: "Kernel", console: "Console", group: "ThreadGroup") -> None:
    """Make the console the controlling terminal of the command, and let the window's size follow."""
    kernel.terminals.attach(console.tty, group)
    kernel.platform.catch(signal.SIGWINCH)

    def passed_on(signo: int) -> None:
        if signo == signal.SIGWINCH:
            console.resized()
        else:
            kernel.signal_init(signo)

    kernel.on_host_signal = passed_on
