"""The kernel object: the seed's operations, their preconditions and messages, and pausing."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sentry.kernel.kernel import CreateProcessArgs, InitKernelArgs, Kernel, StateError
from sentry.procfs import mount_proc
from sentry.syscalls.table import amd64
from sentry_abi.errors import EACCES, ENOENT, ENOEXEC, ESRCH
from sentry_auth import user_credentials
from sentry_cpuid import feature
from sentry_fs import HostFile, HostFilesystem, build_default_root
from sentry_host import real_host
from sentry_limits import LimitSet
from sentry_pgalloc import MemoryFile
from sentry_platform import Platform, open_platform
from sentry_vfs import FDTable, FSContext, do_filp_open


class Box:
    """A kernel whose processes write into a file of the host."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        """Make and initialise it."""
        self.kernel = Kernel(platform, MemoryFile(), real_host())
        self.creds = user_credentials(os.getuid(), os.getgid())
        self.tree = build_default_root(self.kernel.vfs, self.kernel.memory, cwd=b"/")
        self.kernel.init(InitKernelArgs(amd64(), self.tree, self.creds, 2))
        mount_proc(self.kernel)
        self.path = folder / "out"
        self.out = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def args(self, script: str, container: str = "") -> CreateProcessArgs:
        """Return the arguments of a shell that runs script."""
        files = FDTable()
        filesystem = HostFilesystem(self.kernel.vfs)
        for fd in range(1, 3):
            files.install_at(HostFile(self.out, self.kernel.watcher, filesystem), fd)
        argv = [b"/bin/sh", b"-c", script.encode()]
        fs = FSContext(self.tree.root)
        return CreateProcessArgs(
            argv, [b"PATH=/bin"], self.creds, files, fs, self.kernel.host.limits.copy(), container_id=container
        )

    def said(self) -> str:
        """Return what the processes have written."""
        return self.path.read_text()

    def close(self) -> None:
        """End it."""
        self.kernel.close()
        os.close(self.out)


@pytest.fixture(params=["notify", "ptrace"])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    """Give an initialised kernel on each platform."""
    made = Box(open_platform(request.param), tmp_path)
    yield made
    made.close()


def beside(kernel: Kernel, work: Callable[[], None]) -> None:
    """Serve the kernel here while work runs in another thread."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (shown by the main thread)
            failures.append(error)
            kernel.kill(9)

    thread = threading.Thread(target=run)
    thread.start()
    kernel.wait_exited()
    thread.join()
    if failures:
        raise failures[0]


def test_a_process_runs(box: Box) -> None:
    """Init is the first process, numbered 1; the group has its exit status afterwards."""
    group, tgid = box.kernel.create_process(box.args("echo $$ $PPID; exit 7"))
    assert (tgid, box.kernel.global_init) == (1, group)
    box.kernel.start()
    box.kernel.wait_exited()
    assert box.said() == "1 0\n"
    assert group.exit_status == 7 << 8


def test_several_processes(box: Box) -> None:
    """All that were created before `start` begin with it; the namespace ends with its init."""
    first, _ = box.kernel.create_process(box.args("sleep 0.2; echo init"))
    second, tgid = box.kernel.create_process(box.args("echo second; sleep 100"))
    assert tgid == 2
    box.kernel.start()
    box.kernel.wait_exited()
    assert sorted(box.said().split()) == ["init", "second"]
    assert (first.exit_status, second.exit_status & 0x7F) == (0, 9)


def test_preconditions(box: Box) -> None:
    """Each wrong use says what was done."""
    kernel = box.kernel
    with pytest.raises(StateError, match="initialized already"):
        kernel.init(InitKernelArgs(amd64(), box.tree, box.creds, 2))
    with pytest.raises(StateError, match="no process"):
        kernel.start()
    with pytest.raises(StateError, match="at least one argument"):
        kernel.create_process(box.args("")._replace(argv=[]))
    with pytest.raises(StateError, match="not an absolute path"):
        kernel.create_process(box.args("")._replace(argv=[b"sh"]))
    kernel.create_process(box.args("true"))
    with pytest.raises(StateError, match="memory file"):
        kernel.set_memory_file(kernel.memory_file)
    kernel.start()
    with pytest.raises(StateError, match="started already"):
        kernel.start()
    kernel.wait_exited()
    fresh = Kernel(kernel.platform, kernel.memory, kernel.host)
    with pytest.raises(StateError, match="application core"):
        fresh.init(InitKernelArgs((), box.tree, box.creds, 0))


def test_what_cannot_be_run(box: Box) -> None:
    """Create_process fails as execve does, and leaves nothing behind."""
    for name, error in ((b"/no/such", ENOENT), (b"/etc", EACCES), (b"/etc/passwd", EACCES)):
        with pytest.raises(error):
            box.kernel.create_process(box.args("")._replace(filename=name))
    with pytest.raises(ENOEXEC):
        box.kernel.create_process(
            box.args("")._replace(
                filename=b"/proc/1/comm",
                file=do_filp_open(None, b"/etc/passwd", 0, 0, FSContext(box.tree.root), box.creds),
            )
        )
    assert not box.kernel.pids.tasks


def test_kill_from_another_thread(box: Box) -> None:
    """All groups end with the status that was given."""
    group, _ = box.kernel.create_process(box.args("while :; do :; done"))
    box.kernel.start()

    def work() -> None:
        time.sleep(0.1)
        box.kernel.kill(15)

    beside(box.kernel, work)
    assert group.exit_status == 15


def test_signals_from_outside(box: Box) -> None:
    """An external signal reaches init; one for a container its leaders; none for a container that is not there."""
    group, _ = box.kernel.create_process(box.args("trap 'echo got; exit 3' USR1; while :; do sleep 0.05; done", "c1"))
    box.kernel.start()

    def work() -> None:
        time.sleep(0.2)
        box.kernel.send_external_signal(10)

    beside(box.kernel, work)
    assert box.said() == "got\n"
    assert group.exit_status == 3 << 8
    with pytest.raises(ESRCH):
        box.kernel.send_container_signal("c2", 10)


def test_pause_stands_still(box: Box) -> None:
    """While paused nothing runs and nothing is answered; afterwards all goes on, uninterrupted. Pauses nest."""
    box.kernel.create_process(box.args("i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i; done; sleep 0.01; echo end"))
    box.kernel.start()

    def work() -> None:
        for _ in range(10):
            time.sleep(0.005)
            box.kernel.pause()
            box.kernel.pause()
            box.kernel.unpause()
            before = box.said()
            time.sleep(0.01)
            assert box.said() == before
            assert not any(t.context.running() for t in box.kernel.loop.tasks.values())
            box.kernel.unpause()

    beside(box.kernel, work)
    assert box.said().split() == [*map(str, range(1, 401)), "end"]
    with pytest.raises(RuntimeError, match="without pause"):
        box.kernel.unpause()


def test_pause_of_threads_that_compute(box: Box) -> None:
    """Guests that make no call are stopped too, and what they were doing is not disturbed."""
    script = "import threading\nr=[]\ndef f(): r.append(sum(i*i for i in range(300000)))\n"
    script += "t=[threading.Thread(target=f) for _ in range(3)]\n[x.start() for x in t];[x.join() for x in t]\nprint(r)"
    args = box.args("")._replace(argv=[b"/usr/bin/python3", b"-c", script.encode()])
    box.kernel.create_process(args)
    box.kernel.start()

    def work() -> None:
        for _ in range(15):
            time.sleep(0.01)
            box.kernel.pause()
            box.kernel.unpause()

    beside(box.kernel, work)
    assert box.said() == str([sum(i * i for i in range(300000))] * 3) + "\n"


def test_small_operations(box: Box) -> None:
    """Ids, cookies, clocks, the first save error, sockets by weak reference, the supervisor."""
    kernel = box.kernel
    assert [kernel.unique_id() for _ in range(3)] == [1, 2, 3]
    assert kernel.generate_inotify_cookie() == 1
    kernel.vfs._cookie = 0xFFFF_FFFF
    assert kernel.generate_inotify_cookie() == 1, "0 is left out"
    first, second = ValueError("first"), ValueError("second")
    kernel.set_save_error(first)
    kernel.set_save_error(second)
    assert kernel.save_error() is first
    assert abs(kernel.now_nanoseconds() - time.time_ns()) < 10**9
    assert abs(kernel.now_monotonic() - time.monotonic_ns()) < 10**9
    assert kernel.cpu_clock_now() == pytest.approx(kernel.monotonic_clock() // 10_000_000, abs=2)
    assert kernel.realtime_clock() > 0
    assert kernel.timekeeper is kernel.clock
    assert kernel.task_set is kernel.pids
    assert kernel.network_stack is kernel.network
    assert b"Linux version" in kernel.syslog()
    context = kernel.supervisor_context()
    assert (context.kernel, context.creds) == (kernel, box.creds)
    assert isinstance(context.limits, LimitSet)
    assert kernel.netlink_ports.allocate(0, 77) == 77
    assert kernel.root_uts_namespace.hostname == b"sentry"
    assert kernel.application_cores == 2
    assert kernel.feature_set.has(feature("fpu"))
