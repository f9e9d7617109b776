"""The kernel object: gVisor's operations, their preconditions and messages, and pausing."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from apps.sentry.tests.beside import beside
from sentry.kernel.exit import do_exit
from sentry.kernel.instrument import Instrument
from sentry.kernel.instruments import add_instrument
from sentry.kernel.kernel import CreateProcessArgs, Kernel, StateError
from sentry.kernel.namespaces import IPCNamespace, UTSNamespace
from sentry.kernel.state import FrozenEvent, PIDNamespace, Task
from sentry.procfs import mount_proc
from sentry.testing import init_args, new_kernel, process_args
from sentry_abi.errors import EACCES, EAGAIN, ELOOP, ENOENT, ENOEXEC, ESRCH
from sentry_auth import INITIAL, root_credentials, user_credentials
from sentry_cpuid import feature
from sentry_fs import build_default_root
from sentry_limits import LimitSet
from sentry_pgalloc import MemoryFile
from sentry_sockets import AbstractSocketNamespace
from sentry_vfs import FSContext, do_filp_open, do_symlinkat

GETPPID = 110


class Box:
    """A kernel whose processes write into a file of the host."""

    def __init__(self, platform: str, folder: Path) -> None:
        """Make and initialise it."""
        self.kernel, self.tree = new_kernel(platform)
        self.creds = user_credentials(os.getuid(), os.getgid())
        self.path = folder / "out"
        self.out = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def args(self, script: str, container: str = "") -> CreateProcessArgs:
        """Return the arguments of a shell that runs script."""
        argv = [b"/bin/sh", b"-c", script.encode()]
        return process_args(self.kernel, self.tree, argv, self.out)._replace(container_id=container)

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
    made = Box(request.param, tmp_path)
    yield made
    made.close()


def test_create_process(box: Box) -> None:
    """Init is the first process, numbered 1; the group has its exit status afterwards."""
    group, tgid = box.kernel.create_process(box.args("echo $$ $PPID; exit 7"))
    assert (tgid, box.kernel.global_init) == (1, group)
    box.kernel.start()
    box.kernel.wait_exited()
    assert box.said() == "1 0\n"
    assert group.exit_status == 7 << 8


def test_create_process_twice(box: Box) -> None:
    """All that were created before `start` begin with it; the PID namespace ends with its init."""
    first, _ = box.kernel.create_process(box.args("sleep 0.2; echo init"))
    second, tgid = box.kernel.create_process(box.args("echo second; sleep 100"))
    assert tgid == 2
    box.kernel.start()
    box.kernel.wait_exited()
    assert sorted(box.said().split()) == ["init", "second"]
    assert (first.exit_status, second.exit_status & 0x7F) == (0, 9)


def test_init_refuses(box: Box) -> None:
    """Each missing argument is named, in gVisor's order; so is a second call."""
    args = init_args(box.kernel)
    with pytest.raises(StateError, match="kernel already initialized"):
        box.kernel.init(args)
    missing = args._replace(feature_set=None, timekeeper=None, root_user_namespace=None, application_cores=0)
    fresh = Kernel(box.kernel.platform, box.kernel.memory, box.kernel.host)
    for present, message in (
        ({}, "feature_set is None"),
        ({"feature_set": args.feature_set}, "timekeeper is None"),
        ({"timekeeper": args.timekeeper}, "root_user_namespace is None"),
        ({"root_user_namespace": INITIAL}, "application_cores is 0"),
    ):
        missing = missing._replace(**present)
        with pytest.raises(StateError, match=f"^{message}$"):
            fresh.init(missing)


def test_init_keeps_what_it_is_given(box: Box) -> None:
    """Namespaces and cores are those of the arguments; use_host_cores raises the cores to the host's, never lowers."""
    host = box.kernel.host._replace(possible_cpus=8)
    for cores, shown in ((2, 8), (9, 9)):
        kernel = Kernel(box.kernel.platform, box.kernel.memory, host)
        uts, pids = UTSNamespace(b"box", b"lan", INITIAL), PIDNamespace(INITIAL)
        ipc = IPCNamespace(INITIAL, box.kernel.state)
        args = init_args(box.kernel)._replace(
            application_cores=cores,
            use_host_cores=True,
            root_uts_namespace=uts,
            root_ipc_namespace=ipc,
            pid_namespace=pids,
            network_stack=box.kernel.network_stack,
            extra_auxv=((51, 7),),
        )
        kernel.init(args)
        assert kernel.application_cores == shown
        assert (kernel.root_uts_namespace, kernel.root_ipc_namespace, kernel.root_pid_namespace) == (uts, ipc, pids)
        assert kernel.network_stack is box.kernel.network_stack
        assert (kernel.root_user_namespace, kernel.feature_set) == (INITIAL, args.feature_set)


def test_extra_auxv(box: Box) -> None:
    """Every program finds the extra entries in its auxiliary vector, before the last."""
    kernel = Kernel(box.kernel.platform, box.kernel.memory, box.kernel.host)
    kernel.init(init_args(box.kernel)._replace(extra_auxv=((0x1234, 77),)))
    mount_proc(kernel.state, box.tree)
    kernel.create_process(box.args("od -An -v -w16 -td8 /proc/self/auxv"))
    kernel.start()
    kernel.wait_exited()
    rows = [row.split() for row in box.said().splitlines()]
    assert ["4660", "77"] in rows
    assert rows[-1] == ["0", "0"]


def test_start_refuses(box: Box) -> None:
    """Start needs a process, and happens once."""
    kernel = box.kernel
    with pytest.raises(StateError, match=r"^kernel contains no tasks$"):
        kernel.start()
    kernel.create_process(box.args("true"))
    kernel.start()
    with pytest.raises(StateError, match=r"^kernel already started$"):
        kernel.start()
    kernel.wait_exited()


def test_set_memory_file(box: Box) -> None:
    """The memory file is set before init, not after."""
    fresh = Kernel(box.kernel.platform, box.kernel.memory, box.kernel.host)
    other = MemoryFile()
    fresh.set_memory_file(other)
    assert fresh.memory_file is other
    other.close()
    with pytest.raises(StateError, match="after init"):
        box.kernel.set_memory_file(box.kernel.memory_file)


def test_create_process_needs_something_to_run(box: Box) -> None:
    """A file name, an open file, or an absolute argv[0], in this order."""
    kernel = box.kernel
    args = box.args("echo argv")
    with pytest.raises(StateError, match=r"^no filename or command provided$"):
        kernel.create_process(args._replace(argv=[]))
    with pytest.raises(StateError, match=r"^'sh' is not an absolute path$"):
        kernel.create_process(args._replace(argv=[b"sh"]))
    with pytest.raises(StateError, match="no mount namespace"):
        kernel.create_process(args._replace(mount_namespace=None))
    with pytest.raises(StateError, match=r"^failed to find initial working directory '/no/such': No such file"):
        kernel.create_process(args._replace(working_directory=b"/no/such"))
    fs = FSContext(box.tree.root)
    true = do_filp_open(None, b"/bin/true", 0, 0, fs, box.creds)
    kernel.create_process(args._replace(argv=[b"sh", b"-c", b"pwd"], filename=b"/bin/sh", file=true))
    kernel.create_process(args._replace(argv=[b"sh", b"-c", b"echo wrong"], file=true))
    true.decref()
    kernel.start()
    kernel.wait_exited()
    assert box.said() == "/\n", "filename counts more than file, file more than argv[0]"


def test_create_process_working_directory_and_umask(box: Box) -> None:
    """The process begins in the directory, with the umask, that it is given."""
    args = box.args("pwd; umask")._replace(working_directory=b"/usr/lib", umask=0o027)
    box.kernel.create_process(args)
    box.kernel.start()
    box.kernel.wait_exited()
    assert box.said().split() == ["/usr/lib", "0027"]


def test_create_process_limits_symlinks(box: Box) -> None:
    """The limit holds for the working directory and, counted anew, for the program."""
    kernel = box.kernel
    fs = FSContext(box.tree.root)
    do_symlinkat(None, b"/one", b"/usr", fs, box.creds)
    do_symlinkat(None, b"/two", b"/one", fs, box.creds)
    do_symlinkat(None, b"/three", b"/two", fs, box.creds)
    do_symlinkat(None, b"/four", b"/three", fs, box.creds)
    do_symlinkat(None, b"/program", b"/four/bin/true", fs, box.creds)
    args = box.args("")._replace(argv=[b"/usr/bin/true"], max_symlink_traversals=3)
    with pytest.raises(StateError, match=r"'/four': Too many levels of symbolic links$"):
        kernel.create_process(args._replace(working_directory=b"/four"))
    with pytest.raises(ELOOP):
        kernel.create_process(args._replace(filename=b"/program"))
    kernel.create_process(args._replace(working_directory=b"/three"))


def test_create_process_takes_namespaces(box: Box) -> None:
    """A process has the namespaces it is given, the root's otherwise; the second one has init's mounts by default."""
    uts = UTSNamespace(b"elsewhere", b"(none)", INITIAL)
    box.kernel.create_process(box.args("sleep 0.1; uname -n"))
    box.kernel.create_process(box.args("uname -n")._replace(uts_namespace=uts, mount_namespace=None))
    box.kernel.start()
    box.kernel.wait_exited()
    assert box.said().split() == ["elsewhere", "sentry"]


LISTEN = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind('\\0name'); print(sys.argv[1], flush=True)"


def test_abstract_socket_namespaces(box: Box) -> None:
    """Processes with one namespace share abstract names; another namespace has its own."""
    names = AbstractSocketNamespace()
    python = [b"/usr/bin/python3", b"-c", (LISTEN + "; import time; time.sleep(0.6)").encode()]
    box.kernel.create_process(box.args("")._replace(argv=[*python, b"root"]))
    box.kernel.create_process(box.args("")._replace(argv=[*python, b"other"], abstract_socket_namespace=names))
    box.kernel.create_process(box.args(f'sleep 0.3; /usr/bin/python3 -c "{LISTEN}" same 2>&1 | tail -n 1'))
    box.kernel.start()
    box.kernel.wait_exited()
    assert sorted(box.said().splitlines()[:2]) == ["other", "root"]
    assert box.said().splitlines()[2] == "OSError: [Errno 98] Address already in use"
    assert box.kernel.root_abstract_socket_namespace is box.kernel.network_stack.stack.abstract


def test_without_a_network_stack(box: Box) -> None:
    """There are unix sockets, and no internet sockets."""
    kernel = Kernel(box.kernel.platform, box.kernel.memory, box.kernel.host)
    kernel.init(init_args(kernel)._replace(network_stack=None))
    mnt = build_default_root(kernel.vfs, kernel.memory, cwd=b"/")
    script = b"import socket; socket.socketpair(); print('unix', flush=True); socket.socket(socket.AF_INET)"
    kernel.create_process(process_args(kernel, mnt, [b"/usr/bin/python3", b"-c", script], box.out))
    kernel.start()
    kernel.wait_exited()
    assert box.said().startswith("unix\n")
    assert box.said().endswith("[Errno 97] Address family not supported by protocol\n")


def test_start_process_after_start(box: Box) -> None:
    """A process that is created while the kernel runs begins with start_process."""
    box.kernel.create_process(box.args("sleep 0.3; echo init"))
    box.kernel.start()

    def more() -> None:
        group, _ = box.kernel.create_process(box.args("echo later"))
        box.kernel.start_process(group)

    def work() -> None:
        time.sleep(0.1)
        box.kernel.loop.call_soon(more)

    beside(box.kernel, work)
    assert box.said().split() == ["later", "init"]


def test_create_process_of_what_cannot_be_run(box: Box) -> None:
    """Create_process fails as execve does, and leaves nothing behind."""
    for name, error in ((b"/no/such", ENOENT), (b"/etc", EACCES), (b"/etc/passwd", EACCES)):
        with pytest.raises(error):
            box.kernel.create_process(box.args("")._replace(filename=name))
    with pytest.raises(ENOEXEC):
        box.kernel.create_process(
            box.args("")._replace(
                argv=[b"passwd"],
                file=do_filp_open(None, b"/etc/passwd", 0, 0, FSContext(box.tree.root), box.creds),
            )
        )
    assert not box.kernel.task_set.tasks


def test_kill(box: Box) -> None:
    """All groups end with the status that was given."""
    group, _ = box.kernel.create_process(box.args("while :; do :; done"))
    box.kernel.start()

    def work() -> None:
        time.sleep(0.1)
        box.kernel.kill(15)

    beside(box.kernel, work)
    assert group.exit_status == 15


def test_send_external_signal_and_send_container_signal(box: Box) -> None:
    """An external signal reaches init; one for a container its leaders; none for an unknown container."""
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


def test_pause_and_unpause(box: Box) -> None:
    """While paused no guest runs and no call is answered; afterwards all continue, uninterrupted. Pauses nest."""
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
            assert not any(t.context.running() for t in box.kernel.state.contexts.values())
            box.kernel.unpause()

    beside(box.kernel, work)
    assert box.said().split() == [*map(str, range(1, 401)), "end"]
    with pytest.raises(RuntimeError, match="without pause"):
        box.kernel.unpause()


def test_pause_of_threads_that_compute(box: Box) -> None:
    """Guests that make no call are stopped too, and their computation is not disturbed."""
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


def test_unique_id_clocks_and_save_error(box: Box) -> None:
    """Ids, cookies, clocks, the first save error, open sockets, the supervisor."""
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
    assert kernel.timekeeper is kernel.state.clock
    assert b"Linux version" in kernel.syslog()
    assert kernel.netlink_ports.allocate(0, 77) == 77
    assert kernel.root_uts_namespace.hostname == b"sentry"
    assert kernel.application_cores == 2
    assert kernel.feature_set.has(feature("fpu"))


def test_supervisor_context_and_process_context(box: Box) -> None:
    """The supervisor is root without limits, in no namespace before init; a process's context is its own."""
    kernel = box.kernel
    context = kernel.supervisor_context()
    assert (context.kernel, context.credentials, context.ns) == (kernel.state, root_credentials(), None)
    assert context.limits.get(7) == LimitSet().get(7)
    args = box.args("true")
    own = kernel.process_context(args)
    assert (own.credentials, own.limits, own.root) == (box.creds, args.limits, box.tree.root)
    kernel.create_process(args)
    assert kernel.supervisor_context().ns == own.ns
    assert kernel.supervisor_context().root == box.tree.root


def test_record_socket_and_list_sockets(box: Box) -> None:
    """Sockets are listed by rising entry number while they are open, whichever call makes them."""
    script = "import socket,time; a=socket.socketpair(); b=socket.socket(); c=socket.create_server(('127.0.0.1',0));"
    script += "d=socket.create_connection(c.getsockname()); e=c.accept(); time.sleep(0.3); b.close(); time.sleep(0.3)"
    box.kernel.create_process(box.args("")._replace(argv=[b"/usr/bin/python3", b"-c", script.encode()]))
    box.kernel.start()
    seen: list[list[int]] = []

    def work() -> None:
        for _ in range(2):
            time.sleep(0.3)
            done = threading.Event()

            def look(done: threading.Event = done) -> None:
                seen.append([entry for entry, _ in box.kernel.list_sockets()])
                done.set()

            box.kernel.loop.call_soon(look)
            done.wait(5)

    beside(box.kernel, work)
    first = seen[0][0]
    assert [entry - first for entry in seen[0]] == [0, 1, 2, 3, 4, 5]
    assert [entry - first for entry in seen[1]] == [0, 1, 3, 4, 5]
    assert box.kernel.list_sockets() == []


def test_pause_when_the_last_task_ends(box: Box) -> None:
    """A pause that waits while the last task ends returns, and can be ended."""
    for _ in range(20):
        box.kernel.pause()
        box.kernel.unpause()
    box.kernel.create_process(box.args("exit 3"))
    box.kernel.start()
    paused = threading.Event()

    def work() -> None:
        for _ in range(200):
            box.kernel.pause()
            box.kernel.unpause()
        paused.set()

    beside(box.kernel, work)
    assert paused.is_set()


def test_pause_on_the_kernel_thread(box: Box) -> None:
    """A function of another thread may pause on the kernel thread; the pause lasts until another thread ends it."""
    group, _ = box.kernel.create_process(box.args("while :; do :; done"))
    box.kernel.start()
    running: list[bool] = []

    def inside() -> None:
        box.kernel.pause()
        running.extend(t.context.running() for t in box.kernel.state.contexts.values())

    def work() -> None:
        time.sleep(0.1)
        box.kernel.loop.call_soon(inside)
        time.sleep(0.2)
        assert running == [False]
        assert not any(t.context.running() for t in box.kernel.state.contexts.values())
        box.kernel.unpause()
        time.sleep(0.1)
        box.kernel.kill(9)

    beside(box.kernel, work)
    assert group.exit_status == 9


def test_pause_and_unpause_within_one_event(box: Box) -> None:
    """A pause on the kernel thread may end before the loop goes on (a save): what the guests had done is served."""
    box.kernel.create_process(box.args("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo end"))
    box.kernel.start()
    frozen: list[int] = []

    def inside() -> None:
        box.kernel.pause()
        frozen.append(len(box.kernel.state.frozen_events))
        box.kernel.unpause()

    def work() -> None:
        for _ in range(20):
            time.sleep(0.002)
            box.kernel.loop.call_soon(inside)
        while not any(frozen):
            time.sleep(0.001)

    beside(box.kernel, work)
    assert any(frozen), "no guest was stopped"
    assert box.said() == "end\n"


class Unimplemented(Instrument[Task]):
    """Notes the calls that do not exist here."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        """Have seen none."""
        self.seen: list[tuple[int, int]] = []

    def unimplemented(self, task: Task, nr: int) -> None:
        """Note it."""
        self.seen.append((task.tid, nr))


def test_emit_unimplemented_event(box: Box) -> None:
    """The event goes to the instrument; without one nothing happens."""
    group, _ = box.kernel.create_process(box.args("exit 0"))
    box.kernel.emit_unimplemented_event(group.leader, 1000)
    instrument = Unimplemented()
    add_instrument(box.kernel.state, instrument)
    box.kernel.emit_unimplemented_event(group.leader, 1001)
    assert instrument.seen == [(1, 1001)]


class Pauser(Instrument[Task]):
    """Pauses the kernel in the middle of a call; counts the calls of others meanwhile."""

    __slots__ = ("kernel", "paused", "served")

    def __init__(self, kernel: Kernel) -> None:
        """Watch one kernel."""
        self.kernel = kernel
        self.paused = threading.Event()
        self.served = 0

    def entered(self, task: Task, nr: int, args: Sequence[int]) -> None:
        """Pause at the first getppid."""
        del task, args
        if self.paused.is_set():
            self.served += 1
        elif nr == GETPPID:
            self.kernel.pause()
            self.paused.set()


def test_pause_within_a_call(box: Box) -> None:
    """After the call that pauses no other is served, though other threads make calls without end."""
    script = "import os,threading,time\nover=[]\ndef f():\n while not over: os.getuid()\n"
    script += "t=[threading.Thread(target=f) for _ in range(2)]\n[x.start() for x in t]\ntime.sleep(.05)\n"
    script += "for _ in range(2000): os.getppid()\nover.append(1)\nprint('end')"
    pauser = Pauser(box.kernel)
    add_instrument(box.kernel.state, pauser)
    box.kernel.create_process(box.args("")._replace(argv=[b"/usr/bin/python3", b"-c", script.encode()]))
    box.kernel.start()

    def work() -> None:
        assert pauser.paused.wait(20)
        time.sleep(0.1)
        served = pauser.served
        running = [task.context.running() for task in box.kernel.state.contexts.values()]
        box.kernel.unpause()
        assert served == 0
        assert running == [False, False, False]

    beside(box.kernel, work)
    assert box.said() == "end\n"


def test_a_stub_killed_while_frozen(box: Box) -> None:
    """The death of a frozen guest is served at the thaw, and the others continue."""
    script = "(while :; do :; done); echo $?; (while :; do :; done) & kill $!; wait; echo end"
    box.kernel.create_process(box.args(script))
    box.kernel.start()

    def work() -> None:
        time.sleep(0.2)
        box.kernel.pause()
        last = max(box.kernel.state.contexts.values(), key=lambda task: task.tid)
        os.kill(box.kernel.platform.host_tid(last.context), 9)  # type: ignore[attr-defined]  # of stub platforms
        time.sleep(0.05)
        box.kernel.unpause()

    beside(box.kernel, work)
    assert box.said().splitlines()[-2:] == ["137", "end"]


def test_kill_while_paused(box: Box) -> None:
    """A kill in a pause takes effect at its end; signals of the host that came meanwhile are delivered then."""
    group, _ = box.kernel.create_process(box.args("sleep 100 & while :; do :; done"))
    box.kernel.start()
    got: list[int] = []
    box.kernel.on_host_signal = got.append
    box.kernel.platform.catch(signal.SIGUSR1)

    def work() -> None:
        time.sleep(0.1)
        box.kernel.pause()
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.02)
        assert got == []
        box.kernel.kill(7)
        time.sleep(0.05)
        assert box.kernel.state.contexts, "exited while frozen"
        box.kernel.unpause()

    beside(box.kernel, work)
    assert group.exit_status == 7
    assert set(got) == {signal.SIGUSR1}


def test_forget_events_of_an_exited_context(box: Box) -> None:
    """An exit drops the frozen events of its context, whose number a later thread may get."""
    box.kernel.create_process(box.args("exit 3"))
    state = box.kernel.state
    task = state.init_task()
    index = task.context.index
    state.frozen_events.extend(FrozenEvent(kind, (at, *[0] * 10)) for kind, at in ((4, index), (6, -1), (4, index + 1)))
    do_exit(task)
    assert [event.fields[0] for event in state.frozen_events] == [-1, index + 1]
    state.frozen_events.clear()


def test_pauses_nest_across_threads(box: Box) -> None:
    """Threads and the kernel thread pause and unpause at random: the output is as without."""
    script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; for n in 1 2 3; do (echo $n | cat); done; exit 7"
    box.kernel.create_process(box.args(f"sh -c '{script}'; echo $?; echo end"))
    box.kernel.start()

    def inside() -> None:
        box.kernel.pause()
        box.kernel.unpause()

    def work() -> None:
        def several() -> None:
            for turn in range(60):
                if turn % 3 == 2:
                    box.kernel.loop.call_soon(inside)
                else:
                    inside()

        threads = [threading.Thread(target=several) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)

    beside(box.kernel, work)
    assert box.said().split() == ["1", "2", "3", "7", "end"]


@pytest.mark.parametrize("how", ["pid", "context"])
def test_create_process_leaves_no_stub_behind(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When ids or contexts run out, no host process remains but a killed one, which the next event reaps."""
    kernel, mnt = new_kernel("auto")

    def children() -> int:
        pids = [pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]
        return sum(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" for pid in pids)

    def refuse(*_: object) -> None:
        raise EAGAIN

    try:
        kernel.create_process(process_args(kernel, mnt, [b"/bin/true"]))
        before = children()
        with monkeypatch.context() as patch:
            if how == "pid":
                patch.setattr(type(kernel.task_set), "allocate", refuse)
            else:
                patch.setattr(type(kernel.platform), "new_context", refuse)
            with pytest.raises(EAGAIN):
                kernel.create_process(process_args(kernel, mnt, [b"/bin/true"]))
        deadline = time.monotonic() + 5
        while children() != before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert children() == before
        assert len(kernel.task_set.tasks) == 1
    finally:
        kernel.close()


def test_an_exec_that_gets_no_thread_kills(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the point of no return a host that refuses a thread is a SIGKILL, and the new address space is released."""
    args = box.args("/bin/true; echo $?; /bin/true; echo $?")
    group, _ = box.kernel.create_process(args)
    context = type(group.leader.context)
    bind = context.bind
    refused: list[int] = []

    def refusing(self: object, space: object) -> None:
        if not refused:
            refused.append(1)
            raise EAGAIN
        bind(self, space)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(context, "bind", refusing)
    box.kernel.start()
    box.kernel.wait_exited()
    assert refused, "the shell's children share its address space until they execute"
    assert box.said().splitlines()[-2:] == ["137", "0"]
