"""The command line."""

import sys


def main() -> int:
    """Run the command line; return the exit status."""
    from sentry.sandbox import run_command  # noqa: PLC0415

    return run_command(sys.argv[1:])
