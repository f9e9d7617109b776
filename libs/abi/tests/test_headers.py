"""Every constant, structure and number against the headers of the kernel and the C library.

C programs print what the headers say. Constants that no header here has (they are newer, or the kernel keeps them to
itself) stand in a table that names their source; one that a header does have may not hide there.
"""

import ast
import importlib
import itertools
import re
import subprocess
from pathlib import Path
from struct import Struct, calcsize

import pytest

import sentry_abi
from sentry_abi import numbers, structs

SOURCE = Path(sentry_abi.__file__).parent

# Modules of constants: the kernel's own headers first, then the C library's for what only it spells out.
HEADERS: dict[str, tuple[str, str]] = {
    "fcntl": (
        (
            "asm/fcntl.h linux/fcntl.h linux/openat2.h linux/memfd.h linux/falloc.h linux/close_range.h "
            "linux/xattr.h linux/limits.h linux/uio.h linux/fs.h linux/fadvise.h linux/ioprio.h"
        ),
        "fcntl.h sys/file.h unistd.h sys/uio.h",
    ),
    "stat": ("linux/stat.h linux/magic.h", "sys/stat.h dirent.h"),
    "mman": ("linux/mman.h asm/mman.h linux/mempolicy.h linux/membarrier.h", "sys/mman.h"),
    "signal": ("linux/signal.h linux/signalfd.h", "signal.h"),
    "sched": ("linux/sched.h linux/wait.h linux/kcmp.h linux/rseq.h linux/pidfd.h", "sched.h sys/pidfd.h"),
    "wait": ("linux/wait.h", "sys/wait.h"),
    "futex": ("linux/futex.h", ""),
    "poll": (
        "asm/poll.h linux/eventpoll.h linux/inotify.h linux/timerfd.h",
        "poll.h sys/epoll.h sys/eventfd.h sys/timerfd.h sys/inotify.h sys/select.h",
    ),
    "prctl": ("linux/prctl.h asm/prctl.h linux/securebits.h", "sys/prctl.h"),
    "time": ("linux/time.h linux/timex.h", "time.h limits.h"),
    "resource": ("linux/resource.h", "sys/resource.h"),
    "ioctl": (
        (
            "asm/ioctls.h asm/termbits.h asm/termios.h linux/sockios.h linux/fs.h linux/tty_flags.h linux/kd.h "
            "linux/vt.h linux/random.h"
        ),
        "sys/ioctl.h",
    ),
    "mount": ("asm/fcntl.h linux/mount.h", "sys/mount.h sys/statvfs.h"),
    "elf": ("linux/elf.h linux/auxvec.h asm/auxvec.h asm/hwcap2.h linux/binfmts.h", "elf.h"),
    "socket": (
        "sys/socket.h netinet/in.h netinet/tcp.h sys/un.h linux/netlink.h linux/rtnetlink.h linux/if.h",
        "linux/un.h",
    ),
    "seccomp": ("linux/seccomp.h linux/filter.h linux/audit.h", ""),
    "ptrace": ("linux/ptrace.h asm/ptrace.h", "sys/ptrace.h"),
    "capability": ("linux/capability.h", ""),
    "ipc": ("linux/ipc.h linux/sem.h linux/shm.h linux/msg.h linux/mqueue.h", "sys/shm.h"),
    "misc": ("linux/random.h linux/reboot.h linux/utsname.h linux/keyctl.h", ""),
}

# In no header of Debian 12: value and where it is defined.
ELSEWHERE: dict[str, tuple[int, str]] = {
    "F_DUPFD_QUERY": (1027, "include/uapi/linux/fcntl.h (6.10)"),
    "F_SEAL_EXEC": (0x20, "include/uapi/linux/fcntl.h (6.3)"),
    "MFD_NOEXEC_SEAL": (8, "include/uapi/linux/memfd.h (6.3)"),
    "MFD_EXEC": (16, "include/uapi/linux/memfd.h (6.3)"),
    "RWF_ATOMIC": (0x40, "include/uapi/linux/fs.h (6.11)"),
    "MAX_RW_COUNT": (0x7FFFF000, "include/linux/fs.h MAX_RW_COUNT, INT_MAX & PAGE_MASK"),
    "SYMLINK_MAX_FOLLOW": (40, "include/linux/namei.h MAXSYMLINKS"),
    "STATX_MNT_ID_UNIQUE": (0x4000, "include/linux/stat.h (6.8)"),
    "MQUEUE_MAGIC": (0x19800202, "ipc/mqueue.c MQUEUE_MAGIC"),
    "MAP_ABOVE4G": (0x80, "arch/x86/include/uapi/asm/mman.h (6.6)"),
    "PIDFD_THREAD": (0o200, "include/uapi/linux/pidfd.h (6.9)"),
    "MAX_ARG_STRLEN": (131072, "include/uapi/linux/binfmts.h, in pages of 4096 bytes"),
    "MAX_ARG_STRINGS": (0x7FFFFFFF, "include/uapi/linux/binfmts.h, in pages of 4096 bytes"),
    "STATUS_CONTINUED": (0xFFFF, "kernel/exit.c wait_task_continued"),
    "FUTEX2_SIZE_U8": (0, "include/uapi/linux/futex.h (6.7)"),
    "FUTEX2_SIZE_U16": (1, "include/uapi/linux/futex.h (6.7)"),
    "FUTEX2_SIZE_U32": (2, "include/uapi/linux/futex.h (6.7)"),
    "FUTEX2_SIZE_U64": (3, "include/uapi/linux/futex.h (6.7)"),
    "FUTEX2_NUMA": (4, "include/uapi/linux/futex.h (6.7)"),
    "FUTEX2_PRIVATE": (128, "include/uapi/linux/futex.h (6.7)"),
    "PR_SET_MDWE": (65, "include/uapi/linux/prctl.h (6.3)"),
    "PR_GET_MDWE": (66, "include/uapi/linux/prctl.h (6.3)"),
    "SUID_DUMP_DISABLE": (0, "include/linux/sched/coredump.h"),
    "SUID_DUMP_USER": (1, "include/linux/sched/coredump.h"),
    "ARCH_SHSTK_ENABLE": (0x5001, "arch/x86/include/uapi/asm/prctl.h (6.6)"),
    "ARCH_SHSTK_DISABLE": (0x5002, "arch/x86/include/uapi/asm/prctl.h (6.6)"),
    "ARCH_SHSTK_STATUS": (0x5005, "arch/x86/include/uapi/asm/prctl.h (6.6)"),
    "ARCH_CET_STATUS": (0x3001, "include/uapi/asm-generic/prctl.h of the first CET patches; glibc still asks"),
    "CPUCLOCK_PERTHREAD_MASK": (4, "include/linux/posix-timers_types.h"),
    "CPUCLOCK_CLOCK_MASK": (3, "include/linux/posix-timers_types.h"),
    "CPUCLOCK_PROF": (0, "include/linux/posix-timers_types.h"),
    "CPUCLOCK_VIRT": (1, "include/linux/posix-timers_types.h"),
    "CPUCLOCK_SCHED": (2, "include/linux/posix-timers_types.h"),
    "CLOCKFD": (3, "include/linux/posix-timers_types.h"),
    "NSEC_PER_SEC": (1000000000, "include/vdso/time64.h, asm-generic/param.h USER_HZ"),
    "NSEC_PER_USEC": (1000, "include/vdso/time64.h, asm-generic/param.h USER_HZ"),
    "USEC_PER_SEC": (1000000, "include/vdso/time64.h, asm-generic/param.h USER_HZ"),
    "USER_HZ": (100, "include/vdso/time64.h, asm-generic/param.h USER_HZ"),
    "INR_OPEN_CUR": (1024, "include/linux/fs.h"),
    "INR_OPEN_MAX": (4096, "include/linux/fs.h"),
    "MQ_BYTES_MAX": (819200, "include/uapi/linux/mqueue.h"),
    "ST_VALID": (0x20, "include/linux/statfs.h"),
    "ST_NOSYMFOLLOW": (0x2000, "include/linux/statfs.h"),
    "SCM_SECURITY": (3, "include/linux/socket.h"),
    "SCM_PIDFD": (4, "include/linux/socket.h"),
    "SOL_UDP": (17, "include/linux/socket.h"),
    "SCM_MAX_FD": (253, "include/net/scm.h"),
    "SO_PASSPIDFD": (76, "include/uapi/asm-generic/socket.h (6.5)"),
    "SO_PEERPIDFD": (77, "include/uapi/asm-generic/socket.h (6.5)"),
    "SOCK_TYPE_MASK": (0xF, "include/linux/net.h"),
    "SYSLOG_ACTION_CLOSE": (0, "kernel/printk, include/linux/syslog.h"),
    "SYSLOG_ACTION_OPEN": (1, "kernel/printk, include/linux/syslog.h"),
    "SYSLOG_ACTION_READ": (2, "kernel/printk, include/linux/syslog.h"),
    "SYSLOG_ACTION_READ_ALL": (3, "kernel/printk, include/linux/syslog.h"),
    "SYSLOG_ACTION_READ_CLEAR": (4, "kernel/printk, include/linux/syslog.h"),
    "SYSLOG_ACTION_CLEAR": (5, "kernel/printk, include/linux/syslog.h"),
    "SYSLOG_ACTION_CONSOLE_OFF": (6, "kernel/printk, include/linux/syslog.h"),
    "SYSLOG_ACTION_CONSOLE_ON": (7, "kernel/printk, include/linux/syslog.h"),
    "SYSLOG_ACTION_CONSOLE_LEVEL": (8, "kernel/printk, include/linux/syslog.h"),
    "SYSLOG_ACTION_SIZE_UNREAD": (9, "kernel/printk, include/linux/syslog.h"),
    "SYSLOG_ACTION_SIZE_BUFFER": (10, "kernel/printk, include/linux/syslog.h"),
    "TASK_COMM_LEN": (16, "include/linux/sched.h"),
}

NEWER_CALLS: dict[int, str] = {
    # Linux 6.11 arch/x86/entry/syscalls/syscall_64.tbl
    335: "uretprobe",
    336: "uprobe",
    451: "cachestat",
    452: "fchmodat2",
    453: "map_shadow_stack",
    454: "futex_wake",
    455: "futex_wait",
    456: "futex_requeue",
    457: "statmount",
    458: "listmount",
    459: "lsm_get_self_attr",
    460: "lsm_set_self_attr",
    461: "lsm_list_modules",
    462: "mseal",
}


def run_c(folder: Path, headers: str, lines: list[str]) -> tuple[list[str], set[str]]:
    """Compile and run a program that holds lines; return what it prints, and the numbers of lines that gcc refuses."""
    includes = "".join(f"#include <{header}>\n" for header in headers.split())
    body = "".join(f'#line 1 "line-{index}"\n{line}\n' for index, line in enumerate(lines))
    file = folder / "probe.c"
    file.write_text(
        f"#define _GNU_SOURCE\n{includes}#include <stdio.h>\n#include <stddef.h>\n"
        f"int main(void) {{\n{body}return 0; }}\n"
    )
    argv = ["gcc", "-w", "-fmax-errors=0", "-o", str(folder / "probe"), str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        unknown = set(re.findall(r"^line-(\d+):\d+:\d+: error", done.stderr, re.MULTILINE))
        assert unknown, done.stderr
        return [], unknown
    return subprocess.run([folder / "probe"], capture_output=True, text=True, check=True).stdout.splitlines(), set()


def constants(module: str) -> dict[str, int]:
    """Return the constants that a module defines by plain assignment of a number."""
    found = {}
    for node in ast.parse((SOURCE / f"{module}.py").read_text()).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            try:
                value = ast.literal_eval(node.value)
            except ValueError:
                continue
            if isinstance(value, int):
                found[node.target.id] = value
    return found


def values(folder: Path, headers: str, names: list[str]) -> dict[str, int]:
    """Return what headers say about those of names that they know."""
    for _ in range(8):  # gcc may report an error of one line only after those of others are gone
        lines = [f'printf("{name} %lld\\n", (long long)({name}));' for name in names]
        printed, unknown = run_c(folder, headers, lines)
        if not unknown:
            return {name: int(value) for name, value in (line.split() for line in printed)}
        names = [name for index, name in enumerate(names) if str(index) not in unknown]
    raise AssertionError(headers)


def same(ours: int, theirs: int) -> bool:
    """Tell whether two numbers are one, seen as 32 or 64 bits with or without a sign."""
    return ours == theirs or ours == theirs & 0xFFFFFFFF or ours == theirs & 0xFFFFFFFFFFFFFFFF


def test_every_module_is_checked() -> None:
    """A new module of constants has to name its headers."""
    with_constants = {path.stem for path in SOURCE.glob("*.py") if constants(path.stem)}
    assert with_constants - {"memory", "numbers"} == set(HEADERS)


@pytest.mark.parametrize("module", HEADERS)
def test_constants(module: str, tmp_path: Path) -> None:
    """Each constant has the value that the headers give, or is in the table with its source."""
    ours = constants(module)
    assert {name: getattr(importlib.import_module(f"sentry_abi.{module}"), name) for name in ours} == ours
    theirs: dict[str, int] = {}
    for headers in HEADERS[module]:
        if headers:
            theirs |= values(tmp_path, headers, [name for name in ours if name not in theirs])
    unknown = set(ours) - set(theirs)
    assert {name for name in ours if name in ELSEWHERE} == unknown
    wrong = {name: (ours[name], value) for name, value in theirs.items() if not same(ours[name], value)}
    wrong |= {name: (ours[name], ELSEWHERE[name][0]) for name in unknown if ours[name] != ELSEWHERE[name][0]}
    assert not wrong


def documented() -> list[tuple[str, Struct, str]]:
    """Return name, packer and docstring of each structure."""
    body = ast.parse((SOURCE / "structs.py").read_text()).body
    found = []
    for node, after in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            assert isinstance(after, ast.Expr), node.target.id
            assert isinstance(after.value, ast.Constant), node.target.id
            found.append((node.target.id, getattr(structs, node.target.id), str(after.value.value)))
    return found


def offsets(packer: Struct) -> list[tuple[int, int]]:
    """Return offset and size in bytes of each value of a packer."""
    found, place = [], 0
    for count, code in re.findall(r"(\d*)([a-zA-Z])", packer.format):
        size = calcsize(f"<{count}{code}")
        if code != "x":
            found.append((place, size))
        place += size
    assert place == packer.size
    return found


@pytest.mark.parametrize(
    ("name", "packer", "text"), [row for row in documented() if row[0] not in {"SIGSET", "DIRENT"}]
)
def test_structures(name: str, packer: Struct, text: str, tmp_path: Path) -> None:
    """Size of the whole, offset and size of each field."""
    match = re.fullmatch(r"(Begins )?((?:struct )?\w+) <([\w/.]+)>: (.*)", text, re.DOTALL)
    assert match, name
    begins, ctype, header, fields = match[1], match[2], match[3], match[4].split()
    lines = [f'printf("%zu 0\\n", {f"offsetof({ctype}, {fields[-1]})" if begins else f"sizeof({ctype})"});']
    if begins:
        fields = fields[:-1]
    lines += [f'printf("%zu %zu\\n", offsetof({ctype}, {f}), sizeof((({ctype} *)0)->{f}));' for f in fields]
    printed, unknown = run_c(tmp_path, header, lines)
    assert not unknown
    size, *rest = [tuple(map(int, line.split())) for line in printed]
    assert packer.size == size[0]
    assert offsets(packer) == rest


def test_structures_without_a_header() -> None:
    """A signal set is one word; getdents(2) says what linux_dirent holds."""
    assert structs.SIGSET.size == 8
    assert offsets(structs.DIRENT) == [(0, 8), (8, 8), (16, 2)]


def test_numbers(tmp_path: Path) -> None:
    """The table is the header's, and for what is newer the one above."""
    file = tmp_path / "numbers.c"
    file.write_text("#include <asm/unistd.h>\n")
    macros = subprocess.run(["gcc", "-E", "-dM", file], capture_output=True, text=True, check=True).stdout
    theirs = {int(number): name for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", macros, re.MULTILINE)}
    assert {number: numbers.AMD64.get(number) for number in theirs if number <= numbers.LAST} == {
        number: name for number, name in theirs.items() if number <= numbers.LAST
    }
    newer = {number: name for number, name in numbers.AMD64.items() if number not in theirs}
    assert newer.items() <= NEWER_CALLS.items()
    assert numbers.by_name()["read"] == 0
    assert len(numbers.by_name()) == len(numbers.AMD64)
    assert max(numbers.AMD64) == numbers.LAST == 462
    assert set(numbers.AMD64) == {*range(337), *range(424, 463)}  # between them nothing was ever given out
