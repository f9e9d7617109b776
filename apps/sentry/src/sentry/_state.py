"""Which objects of the kernel can be saved, and how. Only save, load and tests import this.

A restored kernel is given its platform, memory file and host record from outside (externals), and the table of calls is
built anew. An attempt, which a parked call names, is saved by its name in `sentry.kernel.pending.attempts`.
"""

from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Final

from sentry.build import Machine
from sentry.console import Console
from sentry.kernel.binprm import BinPrm, Executable, Program
from sentry.kernel.clocks import KernelClock
from sentry.kernel.cputimers import CpuTicker
from sentry.kernel.deliver import Delivery
from sentry.kernel.events import Events
from sentry.kernel.fork import CloneArgs, Parts, Vfork
from sentry.kernel.freezer import Freezer
from sentry.kernel.instruments import Instruments
from sentry.kernel.itimer import Alarm, TimerSpec
from sentry.kernel.kernel import CreateProcessArgs, InitKernelArgs, Kernel, KernelContext
from sentry.kernel.loop import Loop
from sentry.kernel.namespaces import IPCNamespace, NetNamespace, SharedUndo, UTSNamespace
from sentry.kernel.pending import ENDED, KEEP, Control, Pending, attempts
from sentry.kernel.pidfd import PidFile
from sentry.kernel.posix_timers import SignalTimer
from sentry.kernel.reclaim import Reclaimer
from sentry.kernel.siginfo import SigAction, SigInfo, SignalHandlers, SignalQueue
from sentry.kernel.signalfd import SignalFile
from sentry.kernel.state import (
    CpuTimer,
    FrozenEvent,
    KernelState,
    NSProxy,
    ParkEntry,
    PIDNamespace,
    PosixTimer,
    ProcessGroup,
    RealTimer,
    Session,
    Task,
    TaskState,
    ThreadGroup,
)
from sentry.kernel.terminals import Terminals
from sentry.kernel.timerfd import TimerFile
from sentry.kernel.torture import Torture
from sentry.kernel.vdso import Vdso
from sentry.kernel.watcher import Watcher
from sentry.procfs import _maps, _mounts, _stat, _sysctl, _system, _sysvipc, _task
from sentry.procfs._fd import FdDirectory, FdInfo, FdLink
from sentry.procfs._figure import Figure
from sentry.procfs._filesystem import Procfs, Root, SelfLink, ThreadSelfLink
from sentry.procfs._net import NetDirectory, SocketTable
from sentry.procfs._sysctl import Hostname, Setting
from sentry.procfs._task import Comm, NamespaceDirectory, PlaceLink, ProcessDirectory, Score, TaskList
from sentry.procfs._taskfile import TaskFile
from sentry.report import Report
from sentry.spec import SandboxSpec
from sentry.strace import Names, Strace
from sentry.syscalls.attributes import RealIds, Stamps
from sentry.syscalls.binder import Calls, Convert
from sentry.syscalls.futex import Call, FutexWaiter, Wait
from sentry.syscalls.guest import SigEvent
from sentry.syscalls.io import Transfer, Typing, VectorTransfer
from sentry.syscalls.locks import Flocking, Locking
from sentry.syscalls.messages import Many, Receive, Send
from sentry.syscalls.mqueue import MqWait
from sentry.syscalls.msg import Receiving, Sending
from sentry.syscalls.openat import Opening
from sentry.syscalls.poll import EpollWait, Polled, Selected
from sentry.syscalls.sem import SemWait
from sentry.syscalls.signals import SigWaitState
from sentry.syscalls.sockets import Accept, Connect
from sentry.syscalls.splice import Copy, Giving, Splice, Tee
from sentry.syscalls.subjects import subjects
from sentry.syscalls.time import SleepState
from sentry.syscalls.wait import WaitState
from sentry.syscalls.xattrs import Attribute
from sentry.volumes import Volume
from sentry_abi import errors
from sentry_auth._state import EXTERNALS

if TYPE_CHECKING:
    from sentry_state import Registry

_PROCFS_MAKERS = (_maps, _mounts, _stat, _sysctl, _system, _sysvipc, _task)
_RUN = "belongs to one run of the sentry, made anew by a restore"
_CALL = "lives for one call"
UNSAVABLE: Final[dict[type, str]] = {
    Attribute: _CALL,
    BinPrm: _CALL,
    Call: _CALL,
    Calls: "code: the handlers of a subject",
    CloneArgs: _CALL,
    Console: _RUN,
    Control: "its two values have names",
    Convert: "code: a parameter's type",
    CreateProcessArgs: _CALL,
    Delivery: _CALL,
    Events: _RUN,
    Executable: _CALL,
    Freezer: _RUN,
    InitKernelArgs: _CALL,
    Instruments: _RUN,
    Kernel: "what is saved of it is its KernelState",
    KernelContext: _CALL,
    Loop: _RUN,
    Machine: _RUN,
    Names: _RUN,
    Parts: _CALL,
    Program: _CALL,
    RealIds: _CALL,
    Report: _RUN,
    SandboxSpec: _RUN,
    SigEvent: _CALL,
    Stamps: _CALL,
    Strace: _RUN,
    TimerSpec: _CALL,
    Torture: _RUN,
    Volume: _RUN,
    Watcher: "host descriptors: files that are restored watch theirs again",
}
UNSAVABLE_STATE: Final = {
    "current": "no event is being handled while the kernel is saved",
    "instrument": _RUN,
    "table": "code: built by sentry.syscalls.table",
    "torture": _RUN,
}


LIBRARIES: Final = (
    "waiter", "limits", "host", "cpuid", "eventchannel", "netlink_port", "ktime", "auth", "usermem", "futex",
    "pgalloc", "arch", "platform", "mm", "vfs", "tty", "fs", "sockets", "loader", "sysvipc",
)  # fmt: skip
"""Libraries with state, bases before what derives from them."""


def externals(kernel: Kernel) -> dict[str, object]:
    """Return the live objects that an image names by key: the kernel's own, and those of the libraries."""
    return {
        "host": kernel.host,
        "memory": kernel.memory,
        "platform": kernel.platform,
        "watcher": kernel.watcher,
        **EXTERNALS,
    }


def register_all(registry: "Registry") -> None:
    """Register the classes of every library, then the kernel's."""
    for name in LIBRARIES:
        import_module(f"sentry_{name}._state").register(registry)
    register(registry)


def register(registry: "Registry") -> None:
    """Register the kernel's classes. Needs those of every library."""
    _register_names(registry)
    _register_tasks(registry)
    _register_kernel(registry)
    _register_files(registry)
    _register_procfs(registry)
    _register_waits(registry)


def _register_names(registry: "Registry") -> None:
    """Register functions, error classes and lone values that state refers to, under chosen names."""
    subjects()  # imports every attempt
    for name, function in attempts.items():
        registry.named(f"attempt.{name.removeprefix('sentry.')}")(function)
    for name, value in vars(errors).items():
        if (
            isinstance(value, type)
            and issubclass(value, errors.LinuxError | errors.RestartError)
            and value.__name__ == name
        ):
            registry.named(f"errors.{name}")(value)
    registry.named("kernel.KEEP")(KEEP)
    registry.named("kernel.ENDED")(ENDED)


def _register_tasks(registry: "Registry") -> None:
    registry.enumeration("kernel.TaskState")(TaskState)
    registry.savable(
        "kernel.Task",
        fields=tuple(name for name in Task.__slots__ if name != "context"),
        unsaved={"context": "the platform's: registers and extended state are saved beside it"},
    )(Task)
    registry.savable("kernel.ParkEntry", fields=ParkEntry.__slots__)(ParkEntry)
    registry.savable("kernel.ThreadGroup", fields=ThreadGroup.__slots__)(ThreadGroup)
    registry.savable("kernel.ProcessGroup", fields=ProcessGroup.__slots__)(ProcessGroup)
    registry.savable("kernel.Session", fields=Session.__slots__)(Session)
    registry.savable("kernel.PIDNamespace", fields=PIDNamespace.__slots__)(PIDNamespace)
    registry.savable("kernel.NSProxy")(NSProxy)
    registry.savable("kernel.CpuTimer", fields=CpuTimer.__slots__)(CpuTimer)
    registry.savable("kernel.RealTimer", fields=RealTimer.__slots__)(RealTimer)
    registry.savable("kernel.Alarm")(Alarm)
    registry.savable("kernel.PosixTimer", fields=PosixTimer.__slots__)(PosixTimer)
    registry.savable("kernel.SignalTimer")(SignalTimer)
    registry.savable("kernel.SigAction")(SigAction)
    registry.savable("kernel.SigInfo")(SigInfo)
    registry.savable("kernel.SignalHandlers", fields=SignalHandlers.__slots__)(SignalHandlers)
    registry.savable("kernel.SignalQueue", fields=SignalQueue.__slots__)(SignalQueue)
    registry.savable("kernel.Pending", fields=Pending.__slots__)(Pending)


def _register_kernel(registry: "Registry") -> None:
    registry.savable(
        "kernel.KernelState",
        fields=tuple(name for name in KernelState.__slots__ if name not in UNSAVABLE_STATE),
        unsaved=UNSAVABLE_STATE,
    )(KernelState)
    registry.savable("kernel.FrozenEvent")(FrozenEvent)
    registry.savable("kernel.KernelClock", fields=(), unsaved={"realtime_ns": "the host's function"})(KernelClock)
    registry.savable("kernel.CpuTicker", fields=CpuTicker.__slots__)(CpuTicker)
    registry.savable("kernel.Reclaimer", fields=Reclaimer.__slots__)(Reclaimer)
    registry.savable("kernel.UTSNamespace", fields=UTSNamespace.__slots__)(UTSNamespace)
    registry.savable("kernel.IPCNamespace", fields=IPCNamespace.__slots__)(IPCNamespace)
    registry.savable("kernel.SharedUndo", fields=SharedUndo.__slots__)(SharedUndo)
    registry.savable("kernel.NetNamespace", fields=NetNamespace.__slots__)(NetNamespace)
    registry.savable("kernel.Terminals", fields=Terminals.__slots__)(Terminals)
    registry.savable(
        "kernel.Vdso",
        fields=("_offset", "_sequence", "clock", "memory", "platform", "timer_seq", "timers"),
        unsaved={
            "_base_mono": "of the host's cycle counter: taken anew",
            "_base_tsc": "as _base_mono",
            "_first": "as _base_mono",
            "_mult": "as _base_mono",
        },
    )(Vdso)


def _register_files(registry: "Registry") -> None:
    registry.savable("kernel.PidFile", fields=PidFile.__slots__)(PidFile)
    registry.savable("kernel.SignalFile", fields=SignalFile.__slots__)(SignalFile)
    registry.savable("kernel.TimerFile", fields=TimerFile.__slots__)(TimerFile)
    registry.savable("syscalls.FutexWaiter", fields=FutexWaiter.__slots__)(FutexWaiter)


def _register_procfs(registry: "Registry") -> None:
    """Register /proc; the functions that make its files by their modules and names."""
    for module in _PROCFS_MAKERS:
        for name, value in vars(module).items():
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                registry.named(f"procfs.{module.__name__.rpartition('.')[2].lstrip('_')}.{name}")(value)
    for cls in (
        Procfs, Root, SelfLink, ThreadSelfLink, Figure, Hostname, Setting, TaskFile, Comm, Score, PlaceLink,
        FdDirectory, FdLink, FdInfo, TaskList, ProcessDirectory, NamespaceDirectory, NetDirectory, SocketTable,
    ):  # fmt: skip
        registry.savable(f"procfs.{cls.__name__}", fields=vars(cls)["__slots__"])(cls)


def _register_waits(registry: "Registry") -> None:
    """Register the records of waiting calls."""
    for record in (
        Accept, Connect, Copy, EpollWait, Flocking, Giving, Locking, Many, MqWait, Opening, Polled, Receive, Receiving,
        Selected, SemWait, Send, Sending, SigWaitState, SleepState, Splice, Tee, Transfer, Typing, VectorTransfer,
        Vfork, Wait, WaitState,
    ):  # fmt: skip
        registry.savable(f"syscalls.{record.__name__}")(record)
