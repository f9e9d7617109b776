"""The securebits of a thread: each odd bit locks the one before it.

Sources: capabilities(7), "The securebits flags"; Linux include/uapi/linux/securebits.h (6.14).
"""

from typing import Final

NOROOT: Final = 1 << 0
NOROOT_LOCKED: Final = 1 << 1
NO_SETUID_FIXUP: Final = 1 << 2
NO_SETUID_FIXUP_LOCKED: Final = 1 << 3
KEEP_CAPS: Final = 1 << 4
KEEP_CAPS_LOCKED: Final = 1 << 5
NO_CAP_AMBIENT_RAISE: Final = 1 << 6
NO_CAP_AMBIENT_RAISE_LOCKED: Final = 1 << 7
EXEC_RESTRICT_FILE: Final = 1 << 8
EXEC_RESTRICT_FILE_LOCKED: Final = 1 << 9
EXEC_DENY_INTERACTIVE: Final = 1 << 10
EXEC_DENY_INTERACTIVE_LOCKED: Final = 1 << 11

ALL_BITS: Final = (
    NOROOT | NO_SETUID_FIXUP | KEEP_CAPS | NO_CAP_AMBIENT_RAISE | EXEC_RESTRICT_FILE | EXEC_DENY_INTERACTIVE
)
ALL_LOCKS: Final = ALL_BITS << 1
UNPRIVILEGED: Final = EXEC_RESTRICT_FILE | EXEC_DENY_INTERACTIVE
"""What a program asks of itself: no capability is needed to set these and their locks."""
