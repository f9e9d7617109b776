"""A userspace Linux kernel: unmodified x86-64 Linux programs run under it, never under the host's."""

from sentry.spec import SandboxSpec

__all__ = ["SandboxSpec", "__version__", "run"]

__version__ = "0.2.0"


def run(spec: SandboxSpec) -> int:
    """Run a command in a sandbox of its own; return its exit status, 128 + n if signal n ended it.

    Raises: `sentry.failures.Failure`, whose message is one line and whose `status` is what a shell would show.
    """
    from sentry import sandbox  # noqa: PLC0415  (the kernel; not for those who only import a library or ask for help)

    return sandbox.run(spec)
