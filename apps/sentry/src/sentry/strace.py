"""`--strace`: the guest's calls as text on standard error, in the manner of strace(1).

An argument is shown as its parameter is annotated in the handler: descriptors and integers in decimal, flags and
pointers in hexadecimal, paths as strings. What the annotation calls a pointer and python-ptrace's prototype calls a
buffer of a write is shown as a string too, as long as the next argument says. Numbers without a handler are shown as
that prototype names them.

Tracing wraps the table's entries: a run without it pays nothing.
"""

import importlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sentry.kernel.instrument import Instrument
from sentry.kernel.pending import ENDED, Pending
from sentry.syscalls.binder import converters
from sentry_abi.errors import BY_NUMBER, EFAULT, LinuxError
from sentry_abi.fcntl import PATH_MAX
from sentry_abi.numbers import AMD64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry.kernel.pending import Outcome
    from sentry.kernel.state import Task
    from sentry.syscalls.binder import Handler

SHOWN: Final = 32
"""Bytes of a buffer that are shown."""
ADDRESSES: Final = frozenset(("mmap", "brk", "mremap", "shmat"))
SENT: Final = frozenset(("write", "pwrite64", "send", "sendto", "sethostname", "setdomainname"))
"""Calls whose second argument (the first of sethostname) points to bytes that go in."""

NAMED: Final = {
    ("open", 1): ("fcntl", "O_"),
    ("openat", 2): ("fcntl", "O_"),
    ("pipe2", 1): ("fcntl", "O_"),
    ("dup3", 2): ("fcntl", "O_"),
    ("newfstatat", 3): ("fcntl", "AT_"),
    ("unlinkat", 2): ("fcntl", "AT_"),
    ("faccessat2", 3): ("fcntl", "AT_"),
    ("statx", 2): ("fcntl", "AT_"),
    ("mmap", 2): ("mman", "PROT_"),
    ("mmap", 3): ("mman", "MAP_"),
    ("mprotect", 2): ("mman", "PROT_"),
    ("clone", 0): ("sched", "CLONE_"),
    ("wait4", 2): ("wait", "W"),
    ("kill", 1): ("signal", "SIG"),
    ("tgkill", 2): ("signal", "SIG"),
    ("rt_sigaction", 0): ("signal", "SIG"),
    ("rt_sigprocmask", 0): ("signal", "SIG_"),
}
"""Which constants of `sentry_abi` name a parameter: (call, index) to (module, prefix)."""


class Names:
    """The constants of one prefix: by value, and the single bits among them."""

    __slots__ = ("_bits", "_values")

    def __init__(self, module: str, prefix: str) -> None:
        """Collect them."""
        constants = vars(importlib.import_module(f"sentry_abi.{module}"))
        found = {v: k for k, v in constants.items() if k.startswith(prefix) and isinstance(v, int) and v >= 0}
        self._values = found
        self._bits = [(value, name) for value, name in sorted(found.items()) if value and not value & (value - 1)]

    def show(self, value: int) -> str:
        """Return a value by name, as alternatives of bits, or in hexadecimal."""
        if value in self._values:
            return self._values[value]
        shown = []
        rest = value
        for mask, name in self._bits:
            if rest & mask:
                shown.append(name)
                rest &= ~mask
        if rest or not shown:
            shown.append(self._values.get(rest, f"{rest:#x}"))
        return "|".join(shown)


def quoted(data: bytes, *, whole: bool) -> str:
    """Return bytes as a C string, with dots behind it when there were more."""
    text = "".join(
        {10: "\\n", 9: "\\t", 13: "\\r", 34: '\\"', 92: "\\\\"}.get(b, chr(b) if 32 <= b < 127 else f"\\{b:o}")
        for b in data
    )
    return f'"{text}"' + ("" if whole else "...")


def prototype(name: str) -> "Sequence[tuple[str, str]]":
    """Return (type, name) of each parameter as python-ptrace has them; empty if it lacks the call."""
    from ptrace.syscall.prototypes import SYSCALL_PROTOTYPES  # noqa: PLC0415  (25 ms; only a traced run needs it)

    found = SYSCALL_PROTOTYPES.get(name)
    return found[1] if found else ()


class Strace(Instrument["Task"]):
    """Formats calls and writes them to a descriptor of the host."""

    __slots__ = ("_begun", "_fd", "_formats", "_handlers", "_names", "_open")

    def __init__(self, handlers: "dict[str, Handler]", fd: int = 2) -> None:
        """Write to fd; handlers by the name of their call tell how arguments are shown."""
        self._fd = fd
        self._handlers = handlers
        self._formats: dict[int, list[str]] = {}
        self._names: dict[str, Names] = {}
        self._begun: dict[Task, tuple[int, str]] = {}
        """Calls whose handler runs: thread id, which execve may change, and text."""
        self._open: dict[int, str] = {}
        """Calls that wait, by thread id."""

    def entered(self, task: "Task", nr: int, args: "Sequence[int]") -> None:
        """Format a call while its arguments are what they were."""
        name = self._name(nr)
        formats = self._formats.get(nr)
        if formats is None:
            formats = self._formats[nr] = self._formats_of(name, self._handlers.get(name))
        shown = ", ".join(self._argument(task, formats, i, args) for i in range(len(formats)))
        self._begun[task] = task.tid, f"{name}({shown})"

    def done(self, task: "Task", nr: int, result: "Outcome") -> None:
        """Print a call with its value, or that it is unfinished."""
        tid, text = self._begun.pop(task)
        name = self._name(nr)
        if isinstance(result, Pending):
            self._open[tid] = name
            self._line(tid, f"{text} <unfinished ...>")
        elif isinstance(result, int):
            self._line(tid, f"{text} = {self._value(name, result)}")
        elif isinstance(result, type):
            self._line(tid, f"{text} = ? {result.__name__}")
        else:
            self._line(tid, f"{text} = {'?' if result is ENDED else self._value(name, 0)}")

    @staticmethod
    def _name(nr: int) -> str:
        return AMD64.get(nr, f"syscall_{nr}")

    def _formats_of(self, name: str, handler: "Handler | None") -> list[str]:
        parameters = prototype(name)
        if handler is None:
            return ["str" if kind.startswith("const char*") else "ptr" for kind, _ in parameters]
        formats = [convert.show for convert in converters(handler)]
        if name in SENT:
            formats[formats.index("ptr")] = "sent"
        for i, (kind, _) in enumerate(parameters[: len(formats)]):
            if formats[i] == "ptr" and kind == "const char*":
                formats[i] = "path"
        for i in range(len(formats)):
            source = NAMED.get((name, i))
            if source is not None:
                formats[i] = ".".join(source)
                self._names[formats[i]] = Names(*source)
        return formats

    def _argument(self, t: "Task", formats: list[str], i: int, registers: "Sequence[int]") -> str:
        value, show = registers[i], formats[i]
        low = value & 0xFFFF_FFFF
        if show in self._names:
            return self._names[show].show(low)
        if show in ("fd", "int", "signo"):
            signed = low - (1 << 32) if low >> 31 else low
            return "AT_FDCWD" if show == "fd" and signed == -100 else str(signed)
        if show == "uint":
            return str(value)
        if show == "mode":
            return f"{low:#o}"
        try:
            if show == "path" and value:
                return quoted(t.mm.cstring(value, PATH_MAX), whole=True)
            if show == "sent":
                count = min(registers[i + 1], 0x7FFF_F000)
                return quoted(t.mm.copy_in(value, min(count, SHOWN)), whole=count <= SHOWN)
        except LinuxError:
            pass  # shown as the address that it is
        return "NULL" if show in ("ptr", "path", "str", "sent") and not value else f"{value:#x}"

    @staticmethod
    def _value(name: str, value: int) -> str:
        if value < 0:
            cls = BY_NUMBER.get(-value, EFAULT)
            return f"-1 {cls.__name__} ({os.strerror(-value)})"
        return f"{value:#x}" if name in ADDRESSES else str(value)

    def resumed(self, task: "Task", result: "Outcome") -> None:
        """Print the end of a call that had waited."""
        name = self._open.pop(task.tid, "")
        if name:
            shown = self._value(name, result) if isinstance(result, int) else f"? {getattr(result, '__name__', result)}"
            self._line(task.tid, f"<... {name} resumed> = {shown}")

    def _line(self, tid: int, text: str) -> None:
        with suppress(OSError):  # the reader has gone
            os.write(self._fd, f"[{tid:5}] {text}\n".encode(errors="replace"))
