"""The sixteen resource limits of a thread group: a soft and a hard value each.

A `LimitSet` belongs to one thread group: its threads share the object, a fork copies it, execve keeps it. It decides
what may be set and returns what is set; the owner of a resource enforces its limit, and the caller that changes
RLIMIT_CPU re-arms the group's timer. Not thread-safe: one kernel thread.

Differs from gVisor's kernel/limits, as Linux does: a kind that was never set is unlimited and obeys the same
rules as any other, soft above hard is found before a missing privilege, a hard limit of open files above `NR_OPEN` is
refused even with privilege.

Sources: Linux kernel/sys.c do_prlimit (6.1), include/asm-generic/resource.h INIT_RLIMITS, fs/proc/base.c lnames;
getrlimit(2).
"""

import resource as host
from typing import Final, NamedTuple

from sentry_abi import resource
from sentry_abi.errors import EINVAL, EPERM

UNLIMITED: Final = resource.RLIM_INFINITY
"""The value for no limit, 2^64 - 1."""

NR_OPEN: Final = 1 << 20
"""Highest number of open files that a hard limit may allow: fs.nr_open of Linux."""

DEFAULT_PROCESSES: Final = 1 << 15
"""Processes and pending signals when nothing else is said; Linux derives them from the machine's memory."""

DISTRIBUTION_PROCESSES: Final = 1 << 20
"""Soft limit of processes as distributions set it."""


class Kind(NamedTuple):
    """How /proc/PID/limits shows a kind."""

    name: str
    unit: str


KINDS: Final = (
    Kind("Max cpu time", "seconds"),
    Kind("Max file size", "bytes"),
    Kind("Max data size", "bytes"),
    Kind("Max stack size", "bytes"),
    Kind("Max core file size", "bytes"),
    Kind("Max resident set", "bytes"),
    Kind("Max processes", "processes"),
    Kind("Max open files", "files"),
    Kind("Max locked memory", "bytes"),
    Kind("Max address space", "bytes"),
    Kind("Max file locks", "locks"),
    Kind("Max pending signals", "signals"),
    Kind("Max msgqueue size", "bytes"),
    Kind("Max nice priority", ""),
    Kind("Max realtime priority", ""),
    Kind("Max realtime timeout", "us"),
)
"""The kinds by number: `resource.RLIMIT_CPU` is 0."""


class Limit(NamedTuple):
    """One limit, in the unit of its kind."""

    soft: int
    """What is enforced; the owner may move it up to `hard`."""
    hard: int
    """What only a privileged task may raise."""


class LimitSet:
    """The limits of one thread group."""

    __slots__ = ("_hard", "_soft")

    def __init__(self) -> None:
        """Make a set in which everything is unlimited."""
        self._soft = [UNLIMITED] * len(KINDS)
        self._hard = [UNLIMITED] * len(KINDS)

    @classmethod
    def initial(cls, processes: int = DEFAULT_PROCESSES) -> "LimitSet":
        """Return the limits that Linux gives its first process; processes is half of its kernel.threads-max."""
        limits = cls()
        for kind, soft, hard in (
            (resource.RLIMIT_STACK, 8 << 20, UNLIMITED),
            (resource.RLIMIT_CORE, 0, UNLIMITED),
            (resource.RLIMIT_NPROC, processes, processes),
            (resource.RLIMIT_NOFILE, resource.INR_OPEN_CUR, resource.INR_OPEN_MAX),
            (resource.RLIMIT_MEMLOCK, resource.MLOCK_LIMIT, resource.MLOCK_LIMIT),
            (resource.RLIMIT_SIGPENDING, processes, processes),
            (resource.RLIMIT_MSGQUEUE, resource.MQ_BYTES_MAX, resource.MQ_BYTES_MAX),
            (resource.RLIMIT_NICE, 0, 0),
            (resource.RLIMIT_RTPRIO, 0, 0),
        ):
            limits.put(kind, Limit(soft, hard))
        return limits

    @classmethod
    def distribution(cls) -> "LimitSet":
        """Return the limits that a login finds on a usual distribution: as `initial`, with many more processes."""
        limits = cls.initial()
        limits.put(resource.RLIMIT_NPROC, Limit(DISTRIBUTION_PROCESSES, UNLIMITED))
        return limits

    def copy(self) -> "LimitSet":
        """Return a set of its own with the same values, for a new thread group."""
        other = LimitSet()
        other._soft[:] = self._soft
        other._hard[:] = self._hard
        return other

    def soft(self, kind: int) -> int:
        """Return the value that is enforced, `UNLIMITED` if there is none.

        Raises: EINVAL if there is no such kind.
        """
        if not 0 <= kind < len(KINDS):
            raise EINVAL
        return self._soft[kind]

    def get(self, kind: int) -> Limit:
        """Return both values of a kind.

        Raises: EINVAL if there is no such kind.
        """
        return Limit(self.soft(kind), self._hard[kind])

    def capped(self, kind: int, maximum: int) -> int:
        """Return the value that is enforced, but no more than maximum.

        Raises: EINVAL if there is no such kind. ValueError for a negative maximum.
        """
        if maximum < 0:
            message = f"capped at {maximum}: a limit is not negative"
            raise ValueError(message)
        return min(self.soft(kind), maximum)

    def set(self, kind: int, soft: int, hard: int, *, privileged: bool) -> Limit:
        """Change a kind as setrlimit(2) does; return what it was.

        privileged: the caller has CAP_SYS_RESOURCE in the root user namespace.

        Raises: EINVAL if there is no such kind or soft is above hard; EPERM if hard grows without privilege, or
        allows more than `NR_OPEN` files. ValueError for a number that no guest can pass.
        Linux: kernel/sys.c do_prlimit.
        """
        old = self.get(kind)
        _check(soft, hard)
        if soft > hard:
            raise EINVAL
        if kind == resource.RLIMIT_NOFILE and hard > NR_OPEN:
            raise EPERM
        if hard > old.hard and not privileged:
            raise EPERM
        self._soft[kind], self._hard[kind] = soft, hard
        return old

    def put(self, kind: int, limit: Limit) -> None:
        """Set a kind without any check, for a process that is made from outside.

        Raises: EINVAL if there is no such kind. ValueError for a number that no guest can pass.
        """
        self.soft(kind)
        _check(*limit)
        self._soft[kind], self._hard[kind] = limit

    def after_load(self) -> None:
        """Refuse what no set can be. Raises: ValueError."""
        if len(self._soft) != len(KINDS) or len(self._hard) != len(KINDS):
            message = f"{len(self._soft)} soft and {len(self._hard)} hard limits: there are {len(KINDS)} kinds"
            raise ValueError(message)
        for soft, hard in zip(self._soft, self._hard, strict=True):
            _check(soft, hard)

    def render(self) -> str:
        """Return the text of /proc/PID/limits."""
        lines = [f"{'Limit':<25} {'Soft Limit':<20} {'Hard Limit':<20} {'Units':<10}\n"]
        for kind, soft, hard in zip(KINDS, self._soft, self._hard, strict=True):
            values = " ".join(f"{'unlimited' if value == UNLIMITED else value:<20}" for value in (soft, hard))
            lines.append(f"{kind.name:<25} {values} {kind.unit:<10}\n" if kind.unit else f"{kind.name:<25} {values} \n")
        return "".join(lines)

    def __eq__(self, other: object) -> bool:
        """Return whether all values are the same."""
        return isinstance(other, LimitSet) and (self._soft, self._hard) == (other._soft, other._hard)

    __hash__ = None  # type: ignore[assignment]  # a set changes


def _check(soft: int, hard: int) -> None:
    if not (0 <= soft <= UNLIMITED and 0 <= hard <= UNLIMITED):
        message = f"soft {soft}, hard {hard}: a limit has 64 bits, unsigned"
        raise ValueError(message)


def host_limits() -> LimitSet:
    """Return a set with the limits that this process itself has on its host."""
    limits = LimitSet()
    for kind in range(len(KINDS)):
        soft, hard = host.getrlimit(kind)
        limits.put(kind, Limit(soft % (1 << 64), hard % (1 << 64)))
    return limits
