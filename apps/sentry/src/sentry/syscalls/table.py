"""The numbers of system calls, here alone: x86-64 numbers to handlers.

A number is handled or in ABSENT with the reason why not. Its subject's module is imported, and its handler bound, on
the number's first call (see `binder`): most programs use a third of the subjects.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sentry.kernel.instruments import unimplemented
from sentry.kernel.pending import Bound, Control, Result
from sentry.syscalls.absent import ABSENT, REFUSED
from sentry.syscalls.binder import bind
from sentry.syscalls.subjects import NAMES, handler_of, subject
from sentry_abi.errors import ENOSYS
from sentry_abi.numbers import AMD64

if TYPE_CHECKING:
    from sentry.kernel.state import Task

PRELOADED: Final = ("process", "wait")
"""Subjects that are imported before the first process runs: a first fork is not to wait for them."""


def refused(t: "Task", *_registers: int) -> int:
    """Answer ENOSYS, without a report."""
    del t
    return -ENOSYS.errno


def absent_entry(nr: int) -> Bound:
    """Return the entry of a number without a handler: ENOSYS, reported."""

    def entry(t: "Task", *_args: int) -> int:
        return unimplemented(t, nr)

    return entry


def _on_first_call(table: list[Bound], nr: int, module: str, name: str) -> Bound:
    def first(t: "Task", *registers: int) -> Result | Control:
        bound = table[nr] = bind(handler_of(module, name))
        return bound(t, *registers)

    return first


def build(numbers: Mapping[int, str], handled: Mapping[str, str], absent: Mapping[str, str]) -> list[Bound]:
    """Return the table: an entry for each number from 0 on. handled: the module of each call's handler.

    Raises: ValueError if a name is handled and absent, neither, or not a call at all.
    """
    known = set(numbers.values())
    wrong = set(handled) & set(absent) | (set(handled) | set(absent)) ^ known
    if wrong:
        message = f"neither handled nor absent, both, or unknown: {', '.join(sorted(wrong))}"
        raise ValueError(message)
    table = [absent_entry(nr) for nr in range(max(numbers) + 1)]
    for nr, name in numbers.items():
        if name in handled:
            table[nr] = _on_first_call(table, nr, handled[name], name)
        elif name in REFUSED:
            table[nr] = refused
    return table


def amd64() -> list[Bound]:
    """Return the table of x86-64."""
    for module in PRELOADED:
        subject(module)
    return build(AMD64, NAMES, ABSENT)
