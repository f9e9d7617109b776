"""The grammar of `sentry do` as a table: both readers of the command line are made from it.

The plain reader (`plain`) starts a command without loading an option library; the full one (`full`) owns help,
completion and error messages. An option is added here and in `SandboxSpec`, nowhere else.
"""

from typing import Final, Literal, NamedTuple

from sentry.spec import PLATFORMS


class Option(NamedTuple):
    """One option: the field that it sets, its names, and how its value is read."""

    field: str
    names: tuple[str, ...]
    help: str
    kind: Literal["flag", "choice", "text", "list"]
    """A list may be given several times, before and after `do`: all of them count."""
    metavar: str = ""
    choices: tuple[str, ...] = ()


OPTIONS: Final = (
    Option("platform", ("--platform",), "What runs guest code.", "choice", "NAME", PLATFORMS),
    Option(
        "debug", ("--debug",), "Show the sentry's own failures in full, and the calls that it does not know.", "flag"
    ),
    Option("events", ("--events",), "Send events to a Unix socket, or append them to a file.", "text", "PATH"),
    Option("debug_log", ("--debug-log",), "Append diagnostics to a file.", "text", "FILE"),
    Option(
        "tty", ("-t", "--tty"), "Give the command a terminal of its own; standard input and output must be one.", "flag"
    ),
    Option("rootfs", ("--rootfs",), "Show this directory as the root, in place of the host's.", "text", "DIR"),
    Option(
        "volumes",
        ("--volume",),
        "Show a directory of the host, to be written to unless :ro follows. May be repeated.",
        "list",
        "SRC:DST[:ro]",
    ),
    Option("workdir", ("-w", "--workdir"), "Working directory inside.", "text", "DIR"),
    Option("env", ("-e", "--env"), "Set an environment variable. May be repeated.", "list", "KEY=VALUE"),
    Option("strace", ("--strace",), "Print every system call of the guest to standard error.", "flag"),
)
"""Accepted before and after `do`; the latter wins, lists grow."""
