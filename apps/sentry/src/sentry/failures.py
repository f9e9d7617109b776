"""Why a sandbox did not run its program: the message, one line, and the exit status.

The tree, with the statuses that shells and container tools agree on::

    Failure                    125
      UsageFailure             125  a wrong command line or option value
      HostFailure              125  the host lacks or forbids what the sandbox needs
      ProgramUnusableFailure   126  found, but not executable or damaged
      ProgramMissingFailure    127  no such program

None of these is seen by a guest (that is `sentry_abi.errors`) and none is a bug of ours (any other exception).
"""

from typing import ClassVar


class Failure(Exception):  # noqa: N818  (not a mistake of the code's caller: the sandbox failed)
    """The message is one line, lower case, without the program's name in front."""

    status: ClassVar[int] = 125


class UsageFailure(Failure):
    """A wrong option, a working directory that does not exist, and the like."""


class HostFailure(Failure):
    """The host lacks or forbids something; the message says what, and what would help."""


class ProgramUnusableFailure(Failure):
    """The program exists, but cannot be executed."""

    status = 126


class ProgramMissingFailure(Failure):
    """There is no such program."""

    status = 127
