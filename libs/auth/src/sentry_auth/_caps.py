"""How a task changes its own capability sets: capset(2) and the capability options of prctl(2).

Functions from credentials to credentials, as in `_transitions`.

Sources: capset(2), prctl(2), capabilities(7); Linux security/commoncap.c cap_capset, cap_task_prctl (6.14).
"""

from typing import TYPE_CHECKING

from sentry_abi.capability import CAP_LAST_CAP, CAP_SETPCAP
from sentry_abi.errors import EINVAL, EPERM
from sentry_auth._filecaps import ALL_CAPS
from sentry_auth._securebits import (
    ALL_BITS,
    ALL_LOCKS,
    KEEP_CAPS,
    KEEP_CAPS_LOCKED,
    NO_CAP_AMBIENT_RAISE,
    UNPRIVILEGED,
)

if TYPE_CHECKING:
    from sentry_auth._credentials import Credentials


def check_capability(capability: int) -> int:
    """Return a capability's bit. Raises: EINVAL if there is no such capability."""
    if not 0 <= capability <= CAP_LAST_CAP:
        raise EINVAL
    return 1 << capability


def capset(creds: "Credentials", permitted: int, inheritable: int, effective: int) -> "Credentials":
    """Set the three classic sets; what is no capability is dropped. Ambient shrinks to what both others hold.

    Raises: EPERM if inheritable gains what is neither permitted nor allowed by CAP_SETPCAP, or what is not in the
    bounding set; if permitted gains anything; if effective goes beyond permitted.
    """
    permitted, inheritable, effective = permitted & ALL_CAPS, inheritable & ALL_CAPS, effective & ALL_CAPS
    gained = inheritable & ~creds.inheritable
    if gained & ~creds.permitted and not creds.capable(CAP_SETPCAP):
        raise EPERM
    if gained & ~creds.bounding or permitted & ~creds.permitted or effective & ~permitted:
        raise EPERM
    ambient = creds.ambient & permitted & inheritable
    return creds._replace(permitted=permitted, inheritable=inheritable, effective=effective, ambient=ambient)


def drop_bounding(creds: "Credentials", capability: int) -> "Credentials":
    """Take a capability out of the bounding set (PR_CAPBSET_DROP). Raises: EPERM without CAP_SETPCAP; EINVAL."""
    if not creds.capable(CAP_SETPCAP):
        raise EPERM
    return creds._replace(bounding=creds.bounding & ~check_capability(capability))


def raise_ambient(creds: "Credentials", capability: int) -> "Credentials":
    """Add to the ambient set (PR_CAP_AMBIENT_RAISE).

    Raises: EINVAL; EPERM unless it is permitted and inheritable and SECBIT_NO_CAP_AMBIENT_RAISE is off.
    """
    bit = check_capability(capability)
    if not creds.permitted & creds.inheritable & bit or creds.securebits & NO_CAP_AMBIENT_RAISE:
        raise EPERM
    return creds._replace(ambient=creds.ambient | bit)


def lower_ambient(creds: "Credentials", capability: int) -> "Credentials":
    """Take out of the ambient set (PR_CAP_AMBIENT_LOWER). Raises: EINVAL."""
    return creds._replace(ambient=creds.ambient & ~check_capability(capability))


def clear_ambient(creds: "Credentials") -> "Credentials":
    """Empty the ambient set (PR_CAP_AMBIENT_CLEAR_ALL)."""
    return creds._replace(ambient=0)


def set_keep_caps(creds: "Credentials", value: int) -> "Credentials":
    """Say whether capabilities outlive the last root id (PR_SET_KEEPCAPS).

    Raises: EINVAL unless value is 0 or 1; EPERM if the bit is locked.
    """
    if value not in (0, 1):
        raise EINVAL
    if creds.securebits & KEEP_CAPS_LOCKED:
        raise EPERM
    return creds._replace(securebits=creds.securebits & ~KEEP_CAPS | value * KEEP_CAPS)


def set_securebits(creds: "Credentials", bits: int) -> "Credentials":
    """Set all securebits (PR_SET_SECUREBITS).

    Raises: EPERM for a locked bit, a lock undone, an unknown bit; without CAP_SETPCAP, for all but a change of the bits
    that need no privilege.
    """
    old = creds.securebits
    changed = old ^ bits
    if (old & ALL_LOCKS) >> 1 & changed or old & ALL_LOCKS & ~bits or bits & ~(ALL_LOCKS | ALL_BITS):
        raise EPERM
    if not creds.capable(CAP_SETPCAP) and (not changed or changed & ~(UNPRIVILEGED | UNPRIVILEGED << 1)):
        raise EPERM
    return creds._replace(securebits=bits)
