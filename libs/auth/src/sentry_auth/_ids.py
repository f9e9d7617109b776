"""Ids of users and groups: as the kernel compares them, and as a user namespace shows them.

A `KUID` or `KGID` is a number of the initial namespace; only these may be compared for identity. What a program passes
or sees is a plain int, a number of its own user namespace; `UserNamespace` translates.

Sources: Linux include/linux/uidgid.h, kernel/user_namespace.c, Documentation/admin-guide/sysctl/kernel.rst overflowuid.
"""

from typing import Final, NewType

KUID = NewType("KUID", int)
"""A user id of the initial user namespace."""

KGID = NewType("KGID", int)
"""A group id of the initial user namespace."""

NO_ID: Final = 0xFFFF_FFFF
"""No id: what a mapping that fails gives, and "leave unchanged" in the set*id calls."""

NO_KUID: Final = KUID(NO_ID)
"""`NO_ID` as a kernel id."""

NO_KGID: Final = KGID(NO_ID)
"""`NO_ID` as a kernel id."""

OVERFLOW_ID: Final = 65534
"""What is shown for an id without a mapping. Differs: /proc/sys/kernel/overflow{u,g}id cannot change it."""

ROOT_KUID: Final = KUID(0)
"""The superuser of the initial namespace."""

ROOT_KGID: Final = KGID(0)
"""Its group."""
