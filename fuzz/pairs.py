"""Calls with several wrong arguments at once: the host and each working platform name the same error.

`fuzz/pairs.py [CALL ...]` makes each call with all combinations of the arguments in its row of `CALLS`, at most `MOST`
of them, once on the host and once in a sandbox of each platform, and prints where they differ. What is known to differ
is in `KNOWN`, with the reason. The orders of errors are those of Linux 6.17 and later: an older host differs in a few.
"""

import ctypes
import errno
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SENTRY: Final = ROOT / ".venv/bin/sentry"
MOST: Final = 700
TICK_S: Final = 0.2
"""How long a call that waits does so: a signal ends it."""
BAD: Final = 0x1000
KERNEL: Final = -4096
NAMES: Final = ("", "x", "nope", "x/y", "d", "l")

# What each letter stands for is in `Domains`; =N is the number itself.
CALLS: Final = """
read 0 fd p n|write 1 fd p n|pread64 17 fd p n off|pwrite64 18 fd p n off|readv 19 fd iov cnt|writev 20 fd iov cnt
preadv 295 fd iov cnt off|pwritev 296 fd iov cnt off|preadv2 327 fd iov cnt off =0 fl
pwritev2 328 fd iov cnt off =0 fl|lseek 8 fd off n32|fstat 5 fd pb|stat 4 path pb|newfstatat 262 at path pb fl
statx 332 at path fl n32 pb|fstatfs 138 fd pb|statfs 137 path pb|ftruncate 77 fd off|truncate 76 path off
fallocate 285 fd fl off off|fadvise64 221 fd off off n32|readahead 187 fd off n|sync_file_range 277 fd off off fl
fsync 74 fd|getdents64 217 fd p n32|fchdir 81 fd|fchmod 91 fd n32|fchmodat2 452 at path n32 fl
fchownat 260 at path n32 n32 fl|utimensat 280 at path ts fl|futimesat 261 at path ts|faccessat2 439 at path fl fl
readlinkat 267 at path pb n32|openat 257 at path fl =0|openat2 437 at path p n32|mkdirat 258 at new =0
mknodat 259 at new fl =0|unlinkat 263 at new fl|renameat2 316 at new at new fl|linkat 265 at path at new fl
symlinkat 266 path at new|fgetxattr 193 fd path pb n|fsetxattr 190 fd path p n fl|getxattr 191 path path pb n
setxattr 188 path path p n fl|flistxattr 196 fd pb n|fremovexattr 199 fd path|removexattr 197 path path
sendfile 40 fd fd ts n|splice 275 fd ts fd ts cnt fl|tee 276 fd fd cnt fl|vmsplice 278 fd iov cnt fl
copy_file_range 326 fd ts fd ts cnt fl|fcntl 72 fd =5 p|fcntl 72 fd =6 p|fcntl 72 fd =37 p|fcntl 72 fd =1031 n32
fcntl 72 fd =0 n32|ioctl 16 fd =0x541b p|ioctl 16 fd =0x5421 pb|ioctl 16 fd =0x5401 p|flock 73 fd fl
inotify_add_watch 254 fd path fl|inotify_rm_watch 255 fd n32|poll 7 p cnt =0|ppoll 271 p cnt ts p n
pselect6 270 cnt p =0 =0 ts p|epoll_ctl 233 fd cnt fd p|epoll_wait 232 fd p cnt =0|epoll_pwait2 441 fd p cnt ts p n32
socket 41 cnt fl n32|socketpair 53 cnt fl n32 p|bind 49 sk ad al|connect 42 sk ad al|listen 50 sk n32
accept4 288 sk p p fl|getsockname 51 sk p p|getpeername 52 sk p p|shutdown 48 sk cnt|setsockopt 54 sk cnt cnt p al
getsockopt 55 sk cnt cnt p p|sendto 44 sk p cnt mf ad al|recvfrom 45 sk p cnt mf p p|sendmsg 46 sk msg mf
recvmsg 47 sk msg mf|mmap 9 p n n32 fl fd off|mprotect 10 p n fl|mremap 25 p n n fl =0|madvise 28 p n n32
msync 26 p n fl|mincore 27 p n pb|timerfd_settime 286 fd fl ts p|timerfd_gettime 287 fd pb|signalfd4 289 fd p n32 fl
rt_sigprocmask 14 n32 p pb n32|rt_sigaction 13 n32 pb pb n32|rt_sigtimedwait 128 p p ts n32|nanosleep 35 ts pb
clock_nanosleep 230 n32 fl ts pb|clock_gettime 228 n32 pb|timer_create 222 n32 p pb|timer_settime 223 n32 fl ts p
setitimer 38 n32 ts pb|semop 65 n32 p cnt|semtimedop 220 n32 p cnt ts|semctl 66 n32 n32 n32 pb|shmctl 31 n32 n32 pb
msgctl 71 n32 n32 pb|msgsnd 69 n32 p n fl|msgrcv 70 n32 pb n n32 =0x800|shmat 30 n32 p fl|mq_open 240 path =0 =0 pb
mq_timedsend 242 fd p cnt n32 ts|mq_timedreceive 243 fd p cnt p ts|mq_notify 244 fd p|mq_getsetattr 245 fd p p
getrlimit 97 n32 pb|sched_setaffinity 203 n32 n32 p|sched_getaffinity 204 n32 n32 pb|sched_setscheduler 144 n32 n32 p
sched_getparam 143 n32 p|getgroups 115 n32 pb|capget 125 p pb|waitid 247 n32 n32 p fl =0|wait4 61 n32 p fl p
futex 202 p n32 n32 ts p n32|memfd_create 319 path fl|execveat 322 at new pb =0 fl|execve 59 new pb pb
pidfd_open 434 n32 fl|pidfd_getfd 438 fd n32 fl|chdir 80 path|getcwd 79 p n|access 21 path fl|sigaltstack 131 p pb
pipe2 293 pb fl|eventfd2 290 n32 fl|epoll_create1 291 fl|inotify_init1 294 fl|timerfd_create 283 n32 fl
"""

KNOWN: Final = (
    (r" KERN", "Linux looks at the ends of a buffer first, even of a buffer of nothing"),
    (r" OOB| ERRQ", "no urgent data, no queues of errors"),
    (r"^(sendto|sendmsg) udp ", "Linux looks at the destination before the data"),
    (r"^preadv2|^pwritev2.* 0x100$", "a flag of 6.18"),
    (r"^fallocate .* max$", "the largest file is that of the file system"),
    (r"^setsockopt (tcp|udp) 0 ", "an option that IP does not have is refused before it is read"),
    (r"^flistxattr un", "sockets of Linux have an attribute"),
    (r"^mmap .* un ", "an executable mapping of a socket"),
    (r"^sendfile \w+ un ", "sockets cannot be spliced from"),
    (r"^copy_file_range .* -1 0$", "counts of 64 bits that wrap"),
    (r"^msync .* -1 |^sigaltstack buf BAD|^timer_settime", "rare"),
)


class Domains:
    """The values that arguments take, by the names in `CALLS`; their files are in the working directory."""

    def __init__(self) -> None:
        """Make files, sockets and structures."""
        self.kept: list[object] = []
        file = os.open("x", os.O_RDWR | os.O_CREAT, 0o644)
        os.write(file, b"hello world")
        Path("d").mkdir()
        Path("l").symlink_to("x")
        place, folder = os.open("x", os.O_PATH), os.open("d", os.O_RDONLY)
        r, w = os.pipe2(os.O_NONBLOCK)
        pair = socket.socketpair()
        lone, tcp = socket.socket(socket.AF_UNIX), socket.socket()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for each in (*pair, lone, tcp, udp):
            each.settimeout(0)
            self.kept.append(each)
        un = pair[0].fileno()
        buf = self.put(bytes(4096))
        vector = self.put(struct.pack("<QQ", buf, 1))
        bad_vector = self.put(struct.pack("<QQ", BAD, 5))
        message = struct.Struct("<QI4xQQQQi4x").pack
        self.values: dict[str, dict[str, int]] = {
            "fd": {
                "none": 99, "rw": file, "ro": os.open("x", os.O_RDONLY), "wo": os.open("x", os.O_WRONLY), "path": place,
                "dir": folder, "r": r, "w": w, "un": un,
            },
            "sk": {
                "none": 99, "rw": file, "path": place, "un": un, "lone": lone.fileno(), "tcp": tcp.fileno(),
                "udp": udp.fileno(),
            },
            "at": {"none": 99, "cwd": -100, "rw": file, "dir": folder},
            "p": {"0": 0, "BAD": BAD, "KERN": KERNEL, "buf": buf},
            "pb": {"BAD": BAD, "KERN": KERNEL},
            "path": {"0": 0, "BAD": BAD} | {name: self.put(name.encode()) for name in NAMES},
            "new": {"BAD": BAD} | {name: self.put(name.encode()) for name in ("", "x", "nope2/z", "d")},
            "n": {"0": 0, "1": 1, "-1": -1, "1<<40": 1 << 40},
            "n32": {"0": 0, "1": 1, "-1": -1, "9999": 9999},
            "off": {"0": 0, "-1": -1, "max": (1 << 63) - 1},
            "fl": {"0": 0, "1": 1, "0x100": 0x100, "0x1000": 0x1000, "-1": -1},
            "ts": {"0": 0, "BAD": BAD, "neg": self.put(struct.pack("<qq", -1, 0)), "zero": buf},
            "iov": {
                "BAD": BAD, "bad": bad_vector, "neg": self.put(struct.pack("<QQ", buf, 1 << 63)), "one": vector,
            },
            "cnt": {"0": 0, "1": 1, "-1": -1, "2000": 2000},
            "msg": {
                "BAD": BAD,
                "iov": self.put(message(0, 0, BAD, 1, 0, 0, 0)),
                "data": self.put(message(0, 0, bad_vector, 1, 0, 0, 0)),
                "name": self.put(message(BAD, 5, vector, 1, 0, 0, 0)),
                "control": self.put(message(0, 0, vector, 1, BAD, 16, 0)),
                "many": self.put(message(0, 0, 0, 2000, 0, 0, 0)),
            },
            "ad": {
                "BAD": BAD, "un": self.put(b"\1\0\0nobody"), "odd": self.put(b"\x63\0" + bytes(20)),
                "in": self.put(struct.pack("<H2s4s8x", 2, b"\0\1", b"\x7f\0\0\1")), "unspec": self.put(bytes(20)),
            },
            "al": {"0": 0, "1": 1, "2": 2, "16": 16, "-1": -1, "200": 200},
            "mf": {"0": 0, "OOB": 1, "DONT": 0x40, "ERRQ": 0x2040, "PEEK": 0x42},
        }  # fmt: skip

    def put(self, data: bytes) -> int:
        """Put data into memory for good; return its address."""
        kept = ctypes.create_string_buffer(data, len(data) + 64)
        self.kept.append(kept)
        return ctypes.addressof(kept)

    def combinations(self, words: list[str]) -> "list[list[tuple[str, int]]]":
        """Return combinations of arguments, as texts and numbers."""
        rows = [[(word, int(word[1:], 0))] if word[0] == "=" else list(self.values[word].items()) for word in words]
        found = [list(row) for row in product(*rows)]
        return random.Random(7).sample(found, MOST) if len(found) > MOST else found


def make(row: str, out: int) -> None:
    """Make the calls of one row; write a line for each."""
    name, number, *words = row.split()
    libc = ctypes.CDLL(None, use_errno=True)
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, TICK_S, TICK_S)
    domains = Domains()  # which keeps what the addresses point at
    for arguments in domains.combinations(words):
        result = libc.syscall(ctypes.c_long(int(number)), *(ctypes.c_long(value) for _, value in arguments))
        said = "ok" if result != -1 else errno.errorcode[ctypes.get_errno()]
        os.write(out, f"{name} {' '.join(text or 'empty' for text, _ in arguments)}: {said}\n".encode())


def guest(rows: list[str]) -> None:
    """Make the calls of all rows, each in a process and a folder of its own."""
    out = os.dup2(1, 200)
    for row in rows:
        with TemporaryDirectory() as folder:
            child = os.fork()
            if not child:
                os.chdir(folder)
                make(row, out)
                os._exit(0)
            _, status = os.waitpid(child, 0)
        if status:
            os.write(out, f"{row}: ended with {status}\n".encode())


def answers(argv: list[str], rows: list[str]) -> dict[str, str]:
    """Run the guest's part under a command; return its answers by what was asked."""
    words = [*argv, "/usr/bin/python3", str(Path(__file__).resolve()), "--guest", *rows]
    done = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=600, check=False)
    lines = done.stdout.decode(errors="replace").splitlines()
    return dict(line.rsplit(": ", 1) for line in lines if ": " in line)


def main() -> int:
    """Compare the host with each platform; return 1 if there is a difference that is not known."""
    rows = [row for line in CALLS.strip().splitlines() for row in line.split("|")]
    if sys.argv[1:2] == ["--guest"]:
        guest(sys.argv[2:])
        return 0
    rows = [row for row in rows if not sys.argv[1:] or row.split()[0] in sys.argv[1:]]
    known = re.compile("|".join(pattern for pattern, _ in KNOWN))
    host = answers([], rows)
    status = int(len(host) < len(rows))
    for platform in ("notify", "ptrace"):
        ours = answers([str(SENTRY), "do", "--platform", platform, "--"], rows)
        wrong = [asked for asked, said in host.items() if ours.get(asked) != said and not known.search(asked)]
        print(f"{platform}: {len(host)} calls, {len(wrong)} differ")
        for asked in wrong[:40]:
            print(f"  {asked}: host {host[asked]}, sandbox {ours.get(asked)}")
        status |= bool(wrong)
    return status


if __name__ == "__main__":
    sys.exit(main())
