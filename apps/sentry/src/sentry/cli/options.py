"""The grammar of `sentry do` as a table: both readers of the command line are made from it.

The plain reader (`plain`) starts a command without loading an option library; the full one (`full`) owns help,
completion and error messages. An option is added here and in `Options`, nowhere else.
"""

from typing import Final, Literal, NamedTuple


class Options(NamedTuple):
    """How a sandbox runs; what the command line and the environment say, checked."""

    platform: str = "auto"
    """What runs guest code: a name of `PLATFORMS`."""
    debug: bool = False
    """Tracebacks of the sentry's own failures, and at the end the calls that are not implemented."""
    debug_log: str | None = None
    """File to append diagnostics to."""
    strace: bool = False
    """Every system call on standard error."""
    torture: bool = False
    """Encode, drop and enter again every waiting call; from SENTRY_TORTURE=1, for tests."""
    closed: int = 0
    """Bit n is set when descriptor n (0 to 2) was closed at the start: a null device only holds its place."""


PLATFORMS: Final = ("auto", "notify", "ptrace", "kvm")
"""Names that --platform takes."""


class Option(NamedTuple):
    """One option: the field that it sets, its names, and how its value is read."""

    field: str
    names: tuple[str, ...]
    help: str
    kind: Literal["flag", "choice", "text"]
    metavar: str = ""
    choices: tuple[str, ...] = ()


OPTIONS: Final = (
    Option("platform", ("--platform",), "What runs guest code.", "choice", "NAME", PLATFORMS),
    Option(
        "debug", ("--debug",), "Show the sentry's own failures in full, and the calls that it does not know.", "flag"
    ),
    Option("debug_log", ("--debug-log",), "Append diagnostics to a file.", "text", "FILE"),
    Option("strace", ("--strace",), "Print every system call of the guest to standard error.", "flag"),
)
"""Accepted before and after `do`; the latter wins."""
