"""/proc/PID/stat, status, statm, limits, comm and command line of a task."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.state import ZOMBIE
from sentry.procfs._taskfile import memory_of, permit
from sentry_abi.errors import LinuxError
from sentry_abi.signal import SIG_IGN
from sentry_limits import KINDS, UNLIMITED

if TYPE_CHECKING:
    from sentry.kernel.state import Task

TICK_NS: Final = 10_000_000
_STATES: Final = b"RSTZX"
"""By TaskState."""
_STATE_NAMES: Final = {82: b"running", 83: b"sleeping", 68: b"disk sleep", 84: b"stopped", 90: b"zombie", 88: b"dead"}
_MOST: Final = 1 << 20
_MEMORY: Final = (
    *("code_start", "code_end", "stack_start", "data_start", "data_end"),
    *("brk_start", "arg_start", "arg_end", "env_start", "env_end"),
)
"""What /proc/PID/stat shows of an address space, in its order."""


def _range(task: "Task", first: str, last: str) -> bytes:
    mm = memory_of(task)
    if mm is None:
        return b""
    start, end = getattr(mm, first), getattr(mm, last)
    if not 0 < start < end:
        return b""
    try:
        return bytes(mm.copy_in(start, min(end - start, _MOST)))
    except LinuxError:
        return b""


def cmdline(task: "Task") -> bytes:
    """Return the arguments, each with its NUL; one that was overwritten may reach into the environment."""
    return _range(task, "arg_start", "arg_end")


def environ(task: "Task") -> bytes:
    """Return the environment at the last execve."""
    permit(task)
    return _range(task, "env_start", "env_end")


def auxv(task: "Task") -> bytes:
    """Return the auxiliary vector."""
    permit(task)
    mm = memory_of(task)
    return b"" if mm is None else mm.auxv


def comm(task: "Task") -> bytes:
    """Return the name."""
    return task.comm + b"\n"


def state_of(task: "Task") -> int:
    """Return the letter of a task's state."""
    if task.group.stopped and task.state < ZOMBIE:
        return 84
    if task.parked is not None and task.parked.killable:
        return 68
    return _STATES[task.state]


def _masks(task: "Task") -> tuple[int, int]:
    ignored = caught = 0
    for signo, action in task.group.handlers.actions.items():
        if action.handler == SIG_IGN:
            ignored |= 1 << signo - 1
        elif action.handler:
            caught |= 1 << signo - 1
    return ignored, caught


def stat(task: "Task") -> bytes:
    """Return the line of figures."""
    group, mm = task.group, memory_of(task)
    parent = group.parent.tgid if group.parent is not None else 0
    session = group.pgrp.session
    ignored, caught = _masks(task)
    memory = [0 if mm is None else int(getattr(mm, name)) for name in _MEMORY]
    fields = [
        parent,
        group.pgrp.pgid,
        session.sid,
        0 if session.tty is None else 136 << 8 | session.tty.index,
        -1 if session.tty is None else session.tty.foreground or -1,
        0x400000,
        *(0, 0, 0, 0),
        group.cpu_time_ns() // TICK_NS,
        0,
        group.child_cpu_ns // TICK_NS,
        0,
        20 + task.nice,
        task.nice,
        max(1, len(group.tasks)),
        0,
        task.start_ns // TICK_NS,
        0 if mm is None else mm.total_bytes,
        0 if mm is None else mm.resident_bytes() >> 12,
        UNLIMITED,
        memory[0],
        memory[1],
        memory[2],
        0,
        0,
        (task.pending.mask | group.pending.mask) & (1 << 63) - 1,
        task.blocked & (1 << 63) - 1,
        ignored & (1 << 63) - 1,
        caught & (1 << 63) - 1,
        *(0, 0, 0),
        group.termination_signal,
        *(0, 0, 0, 0, 0, 0),
        memory[3],
        memory[4],
        memory[5],
        memory[6],
        memory[7],
        memory[8],
        memory[9],
        group.exit_status if task.state >= ZOMBIE else 0,
    ]
    figures = b" ".join(b"%d" % field for field in fields)
    return b"%d (%b) %c %b\n" % (task.tid, task.comm, state_of(task), figures)


def statm(task: "Task") -> bytes:
    """Return sizes in pages."""
    mm = memory_of(task)
    if mm is None:
        return b"0 0 0 0 0 0 0\n"
    code = mm.code_end - mm.code_start + 4095 >> 12
    return b"%d %d 0 %d 0 %d 0\n" % (mm.total_bytes >> 12, mm.resident_bytes() >> 12, code, mm.data_bytes >> 12)


def status(task: "Task") -> bytes:
    """Return figures with names."""
    group, creds, mm = task.group, task.creds, memory_of(task)
    letter = state_of(task)
    ignored, caught = _masks(task)
    parent = group.parent.tgid if group.parent is not None else 0
    rows = [
        b"Name:\t%b" % task.comm.replace(b"\\", b"\\\\").replace(b"\n", b"\\n"),
        b"Umask:\t%04o" % task.fs.umask if mm is not None else b"",
        b"State:\t%c (%b)" % (letter, _STATE_NAMES[letter]),
        b"Tgid:\t%d" % group.tgid,
        b"Ngid:\t0",
        b"Pid:\t%d" % task.tid,
        b"PPid:\t%d" % parent,
        b"TracerPid:\t0",
        b"Uid:\t%d\t%d\t%d\t%d" % (creds.uid, creds.euid, creds.suid, creds.fsuid),
        b"Gid:\t%d\t%d\t%d\t%d" % (creds.gid, creds.egid, creds.sgid, creds.fsgid),
        b"FDSize:\t%d" % (0 if mm is None else max(64, len(task.files))),
        b"Groups:\t" + b"".join(b"%d " % gid for gid in creds.groups),
        b"NStgid:\t%d" % group.tgid,
        b"NSpid:\t%d" % task.tid,
        b"NSpgid:\t%d" % group.pgrp.pgid,
        b"NSsid:\t%d" % group.pgrp.session.sid,
    ]
    if mm is not None:
        resident = mm.resident_bytes() >> 10
        rows += [
            b"VmPeak:\t%8d kB" % (mm.total_bytes >> 10),
            b"VmSize:\t%8d kB" % (mm.total_bytes >> 10),
            b"VmLck:\t%8d kB" % (mm.locked_bytes >> 10),
            b"VmPin:\t%8d kB" % 0,
            b"VmHWM:\t%8d kB" % resident,
            b"VmRSS:\t%8d kB" % resident,
            b"RssAnon:\t%8d kB" % resident,
            b"RssFile:\t%8d kB" % 0,
            b"RssShmem:\t%8d kB" % 0,
            b"VmData:\t%8d kB" % (mm.data_bytes >> 10),
            b"VmStk:\t%8d kB" % (mm.stack_bytes >> 10),
            b"VmExe:\t%8d kB" % (mm.code_end - mm.code_start + 1023 >> 10),
            b"VmLib:\t%8d kB" % 0,
            b"VmPTE:\t%8d kB" % 0,
            b"VmSwap:\t%8d kB" % 0,
        ]
    cores = task.kernel.application_cores
    rows += [
        b"Threads:\t%d" % max(1, len(group.tasks)),
        b"SigQ:\t0/%d" % group.limits.soft(11),
        b"SigPnd:\t%016x" % task.pending.mask,
        b"ShdPnd:\t%016x" % group.pending.mask,
        b"SigBlk:\t%016x" % task.blocked,
        b"SigIgn:\t%016x" % ignored,
        b"SigCgt:\t%016x" % caught,
        b"CapInh:\t%016x" % creds.inheritable,
        b"CapPrm:\t%016x" % creds.permitted,
        b"CapEff:\t%016x" % creds.effective,
        b"CapBnd:\t%016x" % creds.bounding,
        b"CapAmb:\t%016x" % creds.ambient,
        b"NoNewPrivs:\t%d" % task.no_new_privs,
        b"Seccomp:\t0",
        b"Seccomp_filters:\t0",
        b"Cpus_allowed:\t%x" % ((1 << cores) - 1),
        b"Cpus_allowed_list:\t%b" % (b"0-%d" % (cores - 1) if cores > 1 else b"0"),
        b"Mems_allowed:\t1",
        b"Mems_allowed_list:\t0",
        b"voluntary_ctxt_switches:\t0",
        b"nonvoluntary_ctxt_switches:\t0",
    ]
    return b"\n".join(row for row in rows if row) + b"\n"


def limits(task: "Task") -> bytes:
    """Return the table of resource limits."""
    rows = [b"%-25b %-20b %-20b %-10b\n" % (b"Limit", b"Soft Limit", b"Hard Limit", b"Units")]
    for number, kind in enumerate(KINDS):
        values = [b"unlimited" if value >= UNLIMITED else b"%d" % value for value in task.group.limits.get(number)]
        rows.append(b"%-25b %-20b %-20b %-10b\n" % (kind.name.encode(), values[0], values[1], kind.unit.encode()))
    return b"".join(rows)
