"""The specification of a sandbox."""

from collections.abc import Sequence
from typing import Final, NamedTuple


class SandboxSpec(NamedTuple):
    """One command in a sandbox of its own: the program, its files, and what is reported."""

    argv: Sequence[str | bytes]
    """The command: its name, found as execvp(3) finds it, and its arguments."""
    platform: str = "auto"
    """What runs guest code: a name of `PLATFORMS`."""
    debug: bool = False
    """Tracebacks of the sentry's own failures, and at the end the calls that are not implemented."""
    events: str | None = None
    """Unix socket or file that events go to, as a stream of `sentry_eventchannel`."""
    debug_log: str | None = None
    """File to append diagnostics to."""
    tty: bool = False
    """A terminal of the sandbox's own on standard input and output, which are one."""
    rootfs: str | None = None
    """Directory of the host that is the guest's root, below the overlay; the host's own root without it."""
    volumes: tuple[str, ...] = ()
    """Directories of the host in the guest's tree, as SRC:DST[:ro]."""
    workdir: str | None = None
    """Working directory inside; ours without it."""
    env: tuple[str, ...] = ()
    """Changes of the environment, as KEY=VALUE."""
    strace: bool = False
    """Every system call on standard error."""
    torture: bool = False
    """Encode, drop and enter again every waiting call; from SENTRY_TORTURE=1, for tests."""
    closed: int = 0
    """Bit n is set when descriptor n (0 to 2) was closed at the start: a null device is in its place."""


PLATFORMS: Final = ("auto", "notify", "ptrace", "kvm")
"""Names that --platform takes."""
