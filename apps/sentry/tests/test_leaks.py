"""A thousand processes leave no descriptor, page, batch page or address space behind."""

import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from apps.sentry.tests.beside import beside
from sentry.kernel.kernel import Kernel
from sentry.testing import new_kernel, process_args
from sentry_fs import HostFile, HostFilesystem
from sentry_mm import MemoryManager
from sentry_vfs import FDTable

PATIENCE_S = 60
PROCESSES = r"""
i=0
while [ $i -lt %d ]; do /bin/true; i=$((i + 1)); done
"""
BURST = r"""
/usr/bin/mkfifo /tmp/hold
pids=
i=0
while [ $i -lt 90 ]; do (read -r line < /tmp/hold) & pids="$pids $!"; i=$((i + 1)); done
kill -KILL $pids
wait
/bin/rm /tmp/hold
"""
MAPPINGS = r"""
import mmap, os
for n in range(20):
    with open(f"/tmp/f{n}", "wb+") as file:
        file.truncate(1 << 20)
        shared = mmap.mmap(file.fileno(), 1 << 20)
        shared[:] = b"x" * (1 << 20)
        private = mmap.mmap(file.fileno(), 1 << 20, flags=mmap.MAP_PRIVATE)
        private[::4096] = b"y" * 256
        anonymous = mmap.mmap(-1, 1 << 20)
        anonymous[::4096] = b"z" * 256
    os.unlink(f"/tmp/f{n}")
    if not os.fork():
        shared[:4096] = anonymous[:4096] = b"c" * 4096
        os._exit(0)
    os.wait()
    shared.resize(1 << 18)
    if n % 2:
        shared.close()
        anonymous.close()
"""
FAILURES = r"""
import mmap, os, resource, socket
open("/tmp/text", "w").write("no program")
os.chmod("/tmp/text", 0o755)
resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
def fails(function, *args):
    try:
        function(*args)
    except (OSError, ValueError, OverflowError):
        return
    raise SystemExit(f"{function} did not fail")
for n in range(20):
    fails(os.execv, "/nowhere", ["x"])
    fails(os.execv, "/tmp/text", ["x"])
    fails(os.execv, "/tmp", ["x"])
    fails(mmap.mmap, -1, 1 << 30)
    with open("/bin/true", "rb") as file:
        fails(lambda: mmap.mmap(file.fileno(), 1 << 12, flags=mmap.MAP_SHARED, prot=mmap.PROT_WRITE))
        fails(lambda: mmap.mmap(file.fileno(), 1 << 30, flags=mmap.MAP_PRIVATE))
    fails(os.open, "/tmp/none", os.O_RDONLY)
    fails(os.open, "/tmp/text/x", os.O_RDONLY)
    fails(os.open, "/tmp/text", os.O_CREAT | os.O_EXCL)
    held = []
    def take():
        while True:
            held.append(os.open("/tmp/text", os.O_RDONLY))
    fails(take)
    fails(os.pipe)
    fails(os.open, "/tmp", os.O_TMPFILE | os.O_RDWR)
    fails(socket.socketpair)
    fails(os.memfd_create, "x")
    for fd in held:
        os.close(fd)
os.unlink("/tmp/text")
"""


class Usage(NamedTuple):
    """What is in use."""

    descriptors: int
    pages: list[int]
    """Bytes of the memory file by kind."""
    batch_pages: int
    """Pages of the platform's file of batches that were ever used, in 512-byte blocks."""
    managers: int


def usage(kernel: Kernel) -> Usage:
    """Return what this process holds."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    [batch] = [link for link in links if "memfd:sentry-batch" in str(link.readlink())]
    pages = kernel.memory.allocated()
    gc.collect()  # for the objects of tasks, which refer to each other
    managers = sum(type(found) is MemoryManager for found in gc.get_objects())
    return Usage(len(links), pages, batch.stat().st_blocks, managers)


class Shell:
    """A kernel whose init is a shell that runs what it reads, a line at a time, and prints when it is done."""

    def __init__(self, platform: str, folder: Path) -> None:
        """Make kernel and shell."""
        self.folder = folder
        self.kernel, mnt = new_kernel(platform, cwd=os.fsencode(folder))
        read_end, self.input = os.pipe()
        self.output, write_end = os.pipe()
        self.ends = (read_end, self.input, self.output, write_end)
        files = FDTable()
        filesystem = HostFilesystem(self.kernel.vfs)
        for fd, host in enumerate((read_end, write_end, write_end)):
            files.install_at(HostFile(host, self.kernel.watcher, filesystem), fd)
        argv = [b"/bin/sh", b"-c", b'while read -r line; do . "$line"; echo done; done']
        self.kernel.create_process(process_args(self.kernel, mnt, argv)._replace(fd_table=files))
        files.release()

    def do(self, script: str) -> None:
        """Let the shell run a script; wait until it has printed that it is done, and nothing else."""
        path = self.folder / "script"
        path.write_text(script)
        os.write(self.input, os.fsencode(path) + b"\n")
        said = os.read(self.output, 4096)
        assert said == b"done\n", said
        self.settle()

    def settle(self) -> None:
        """Wait until no free page waits to be punched: the kernel does that between events."""
        deadline = time.monotonic() + PATIENCE_S
        while self.kernel.memory.waste_bytes and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        """End it."""
        self.kernel.close()
        for fd in self.ends:
            os.close(fd)


@pytest.fixture(params=["notify", "ptrace"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    """Give a shell on each platform."""
    made = Shell(request.param, tmp_path)
    yield made
    made.close()


def python(code: str, folder: Path) -> str:
    """Return a script that runs Python code."""
    path = folder / "code.py"
    path.write_text(code)
    return f"/usr/bin/python3 -S -E {path}"


def test_nothing_is_left_behind(shell: Shell) -> None:
    """One round of everything first, for caches; more of it, and a thousand processes, then change nothing."""

    def work() -> None:
        shell.do(PROCESSES % 20)
        shell.do(python(MAPPINGS, shell.folder))
        shell.do(python(FAILURES, shell.folder))
        shell.do(BURST)
        before = usage(shell.kernel)
        shell.do(PROCESSES % 1000)
        assert usage(shell.kernel) == before
        shell.do(python(MAPPINGS, shell.folder))
        assert usage(shell.kernel) == before
        shell.do(python(FAILURES, shell.folder))
        assert usage(shell.kernel) == before
        shell.do(BURST)
        assert usage(shell.kernel) == before

    shell.kernel.start()
    beside(shell.kernel, work, end=True)


KILLED = r"""
import os, signal, sys, threading, time
os.mkfifo("/tmp/fifo")

def nobody_reads():
    try:
        os.close(os.open("/tmp/fifo", os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        return error.errno == 6
    return False

def opener(how):
    child = os.fork()
    if child:
        return child
    if how == "exec":
        threading.Thread(target=os.open, args=("/tmp/fifo", os.O_RDONLY), daemon=True).start()
        time.sleep(0.1)
        os.execv("/bin/true", ["true"])
    os.open("/tmp/fifo", os.O_RDONLY)
    os._exit(0)

for how in ("kill", "stop", "exec"):
    child = opener(how)
    time.sleep(0.1)
    if how == "stop":
        os.kill(child, signal.SIGSTOP)
        os.waitpid(child, os.WUNTRACED)
    if how != "exec":
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not nobody_reads():
        sys.exit(f"{how}: a reader is left")
"""


def test_an_open_that_ends_with_its_thread(shell: Shell) -> None:
    """A FIFO has no reader after the process or thread that was opening it was killed."""
    shell.kernel.start()
    beside(shell.kernel, lambda: shell.do(python(KILLED, shell.folder)), end=True)


@pytest.mark.parametrize("platform", ["notify", "ptrace"])
def test_a_kernel_that_is_closed(platform: str, tmp_path: Path) -> None:
    """It leaves no descriptor open, also when a process was killed on the way."""

    def run() -> int:
        shell = Shell(platform, tmp_path)
        shell.kernel.start()
        os.write(shell.input, b"/nowhere\n")

        def kill() -> None:
            os.read(shell.output, 4096)
            shell.kernel.kill(9)

        thread = threading.Thread(target=kill)
        thread.start()
        shell.kernel.wait_exited()
        thread.join()
        shell.close()
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    assert run() == run()
