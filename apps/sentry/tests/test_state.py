"""The graph of a busy, paused kernel goes through an image and is the same graph."""

import io
import os
import time
from pathlib import Path

import pytest

from apps.sentry.tests.beside import beside
from sentry._state import LIBRARIES, externals, register_all
from sentry.kernel.pending import name_of
from sentry.kernel.state import KernelState, Task
from sentry.testing import new_kernel, process_args
from sentry_state import Reader, Registry, Writer
from sentry_vfs import FileDescription

SCRIPT = b"""
import mmap, os, select, signal, socket, subprocess, threading
pair = socket.socketpair(); pair[0].send(b"in flight")
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname()); accepted = listener.accept()[0]; client.send(b"x")
pipe = os.pipe(); events = select.epoll(); events.register(pipe[0], 1)
signal.setitimer(signal.ITIMER_REAL, 1000)
file = open("/tmp/file", "w+"); file.write("y" * 100000); file.flush()
host = open("/usr/bin/env", "rb"); area = mmap.mmap(file.fileno(), 100000); own = open("/proc/self/maps")
threads = [threading.Thread(target=os.read, args=(pipe[0], 1), daemon=True) for _ in range(2)]
[thread.start() for thread in threads]
child = subprocess.Popen(["sleep", "1000"])
print("ready", flush=True)
events.poll(1000)
"""


def shown_task(task: Task) -> dict[str, object]:
    """Return what is to be equal before and after."""
    parked = task.parked
    return {
        "ids": (task.tid, task.group.tgid, task.group.parent and task.group.parent.tgid),
        "state": (task.state.name, task.comm, task.nr, task.attention, task.blocked),
        "wait": parked and (name_of(parked.attempt), parked.deadline, parked.killable, len(parked.queues)),
        "files": {number: shown_file(file) for number, file in task.files},
        "areas": [(vma.start, vma.end, vma.prot) for vma in task.mm.vmas],
        "creds": (task.creds, task.creds.user_ns is task.ns.user is task.kernel.root_user_namespace),
        "timer": task.group.interval_timer and (task.group.interval_timer.next_ns, task.group.interval_timer.timer_seq),
    }


def shown_file(file: FileDescription) -> tuple[object, ...]:
    """Return the kind of a description and what it holds."""
    return type(file).__name__, file.flags, file.pos, file.refs, file.path()


def shown(kernel: KernelState) -> list[object]:
    """Return all tasks, in the order of their ids, and the kernel's own numbers."""
    tasks = kernel.root_pid_namespace.tasks
    return [
        *(shown_task(tasks[tid]) for tid in sorted(tasks)),
        kernel.root_uts_namespace.hostname,
        len(kernel.timers),
        [entry for entry, _ in kernel.open_sockets()],
        kernel.root_pid_namespace.last,
        len(kernel.frozen_events),
    ]


@pytest.mark.parametrize("platform", ["notify", "ptrace"])
def test_a_busy_kernel(platform: str, tmp_path: Path) -> None:
    """Threads in read and poll, sockets with data in flight, timers, maps of tmpfs and host files, a vforked child."""
    registry = Registry()
    register_all(registry)
    kernel, mnt = new_kernel(platform)
    path = tmp_path / "out"
    output = os.open(path, os.O_RDWR | os.O_CREAT)
    graphs: list[list[object]] = []

    def save_and_load() -> None:
        while path.read_text() != "ready\n" and time.monotonic() < end:
            time.sleep(0.01)
        kernel.pause()
        try:
            through_an_image()
        finally:
            kernel.unpause()

    def through_an_image() -> None:
        live = externals(kernel)
        with Writer(image := io.BytesIO(), registry=registry) as writer:
            writer.save("kernel", kernel.state, live)
        reader = Reader(io.BytesIO(image.getvalue()), registry=registry)
        loaded = reader.load("kernel", live)
        reader.finish()
        graphs.extend((shown(kernel.state), shown(loaded)))

    end = time.monotonic() + 20
    try:
        kernel.create_process(process_args(kernel, mnt, [b"/usr/bin/python3", b"-c", SCRIPT], output))
        kernel.start()
        beside(kernel, save_and_load, end=True)
    finally:
        kernel.close()
        os.close(output)
    before, after = graphs
    assert before == after
    assert len(before) == 4 + 5, "three threads of python3 and a child"


def test_libraries_are_those_of_the_floors() -> None:
    """Bases are registered before what derives from them: the order is that of the floors."""
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    rows = text[text.index("[tool.sentry.floors]") :].split("\n")[1:]
    names = [name.strip(' "]') for row in rows if "=" in row for name in row.partition("[")[2].split(",")]
    assert [name for name in names if name not in {"abi", "state"}] == list(LIBRARIES)
