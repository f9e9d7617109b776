"""Output of a run beside the program's own: unimplemented calls, events, the call log."""

import os
import sys
from typing import TYPE_CHECKING

from sentry.failures import UsageFailure
from sentry.kernel.instrument import Instrument
from sentry.kernel.instruments import add_instrument
from sentry.syscalls.subjects import all_handlers
from sentry_host import KeptDescriptors

if TYPE_CHECKING:
    from sentry.kernel.events import Events
    from sentry.kernel.kernel import Kernel
    from sentry.kernel.state import Task
    from sentry.spec import SandboxSpec
    from sentry_host import Host


class Report(Instrument["Task"]):
    """Counts unimplemented calls, for the debug log and a line at the end."""

    __slots__ = ("_kernel", "_log", "_missing", "_show")

    def __init__(self, kernel: "Kernel", spec: "SandboxSpec") -> None:
        """Add the spec's instruments to a kernel, this among them."""
        self._missing: dict[int, int] = {}
        self._show = spec.debug
        self._log = -1
        if spec.debug_log is not None:
            try:
                self._log = os.open(spec.debug_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                message = f"--debug-log {spec.debug_log}: {os.strerror(error.errno or 0)}"
                raise UsageFailure(message) from error
        self._kernel = kernel
        add_instrument(kernel.state, self)
        if spec.events is not None:
            add_instrument(kernel.state, open_events(spec.events, kernel.host))
        if spec.strace:
            from sentry.strace import Strace  # noqa: PLC0415  (only where asked for)

            add_instrument(kernel.state, Strace(all_handlers()))

    def unimplemented(self, task: "Task", nr: int) -> None:
        """Count an unimplemented call."""
        if nr not in self._missing:
            self._missing[nr] = 0
            if self._log >= 0:
                text = f"[{task.group.tgid}] {os.fsdecode(task.comm)}: call {call_name(nr)} is not implemented\n"
                os.write(self._log, text.encode(errors="replace"))
        self._missing[nr] += 1

    def close(self) -> None:
        """Close the debug log."""
        log, self._log = self._log, -1
        if log >= 0:
            os.close(log)

    def finish(self) -> None:
        """Print the unimplemented calls."""
        if self._show and self._missing:
            names = ", ".join(f"{call_name(nr)} ({count})" for nr, count in sorted(self._missing.items()))
            sys.stderr.write(f"sentry: calls that are not implemented: {names}\n")


def open_events(path: str, host: "Host") -> "Events":
    """Return the events of a kernel that go to a Unix socket or a file. Raises: UsageFailure."""
    import socket  # noqa: PLC0415  (only where asked for)
    import stat  # noqa: PLC0415  (as above)

    from sentry.kernel.events import Events  # noqa: PLC0415  (as above)
    from sentry_eventchannel import SocketEmitter  # noqa: PLC0415  (as above)

    try:
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH110, PTH116  (start-up: no pathlib)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as made:
                made.connect(path)
                fd = made.detach()
        else:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        message = f"--events {path}: {os.strerror(error.errno or 0)}"
        raise UsageFailure(message) from error
    return Events(SocketEmitter(fd), host)


def call_name(nr: int) -> str:
    """Return the name of a call's number."""
    with KeptDescriptors():
        from sentry_abi.numbers import AMD64  # noqa: PLC0415  (reports alone)

    return AMD64.get(nr, f"number {nr}")
