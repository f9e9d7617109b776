"""The command line: reads words, calls the sandbox, turns every failure into one line and an exit status.

`sentry do` is read by `plain`, which loads next to nothing; everything else by `full`. No other logic lives here.
"""

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

import sentry
from sentry.cli.plain import parse

if TYPE_CHECKING:
    from sentry.spec import SandboxSpec

__all__ = ["main", "run"]

CLOSED_PIPE = 141
"""128 + SIGPIPE: what a shell shows for a program whose output has no reader."""
INTERRUPTED = 130
"""128 + SIGINT."""


def hold_standard_descriptors() -> int:
    """Put a null device where descriptor 0, 1 or 2 is closed; return the mask of those.

    Else a file of the sentry's would get the number, and the guest would inherit it.
    """
    closed = 0
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            closed |= 1 << fd
            # The lowest free number is fd itself: those below are open by now.
            os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    return closed


def complain(text: str) -> None:
    """Print one line for the user, if standard error has a reader."""
    try:
        os.write(2, f"sentry: {text}\n".encode(errors="surrogateescape"))
    except OSError:
        return


def run(words: list[str], closed: int = 0) -> int:
    """Run the command line; return the exit status. Never raises but for SystemExit."""
    debug = "--debug" in words
    try:
        found: SandboxSpec | int | None = parse(words)
        if found is None:
            from sentry.cli import full  # noqa: PLC0415  (40 ms)

            found = full.parse(words)
        if isinstance(found, int):
            return found
        debug = found.debug
        return sentry.run(found._replace(closed=closed, torture=os.environ.get("SENTRY_TORTURE") == "1"))
    except BrokenPipeError:
        return CLOSED_PIPE
    except Exception as error:  # noqa: BLE001  (the last line of defence)
        return explain(error, debug=debug)


def explain(error: Exception, *, debug: bool) -> int:
    """Print a failure in one line; return the exit status."""
    from sentry.failures import Failure  # noqa: PLC0415  (failures are rare)

    if debug:
        import traceback  # noqa: PLC0415  (10 ms, for those who ask)

        traceback.print_exception(error)
    text = " ".join(str(error).split())
    if isinstance(error, Failure):
        complain(text)
        return error.status
    hint = "" if debug else " (--debug shows where)"
    complain(f"internal error: {type(error).__name__}: {text}{hint}")
    return 125


def interrupted(signo: int, frame: object) -> None:
    """End the process at an interrupt before or after the guests' time: an exception could come where none is caught.

    What is left of stubs dies with their tracer.
    """
    del signo, frame
    os._exit(INTERRUPTED)


def main() -> None:
    """Run the command line and end the process.

    The interpreter's own clearing up is left out: the sandbox is gone by then, and it takes milliseconds.
    """
    gc.disable()  # importing makes next to no garbage, and 3 ms of looking for it; the sandbox turns it on again
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupted)
    closed = hold_standard_descriptors()
    status = run(sys.argv[1:], closed)
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        status = status or CLOSED_PIPE
    os._exit(status)
