"""`run` leaves the process as it was: one run after another, after a failed one, and in a thread."""

import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sentry import SandboxSpec, run
from sentry.failures import ProgramMissingFailure, UsageFailure


def state() -> dict[str, object]:
    """Return what a run could leave changed."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "descriptors": {fd.name: fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()},
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "children": [p.read_text() for p in Path("/proc/self/task").glob("*/children")],
        "collector": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "limits": [resource.getrlimit(limit) for limit in range(16)],
        "signals": [status[name] for name in ("SigCgt", "SigIgn", "SigBlk")],
        "affinity": os.sched_getaffinity(0),
        "windows": sum("sentry-memory" in line for line in Path("/proc/self/maps").read_text().splitlines()),
    }


@pytest.mark.parametrize("platform", ["notify", "ptrace"])
def test_run_leaves_nothing(platform: str, tmp_path: Path) -> None:
    """Descriptors, threads, children, limits, signals, processors and the collector are as before."""
    spec = SandboxSpec(argv=("/bin/sh", "-c", "/bin/true | /bin/true; exit 3"), platform=platform)
    affinity = os.sched_getaffinity(0)
    run(spec)  # imports what there is to import
    before = state()
    assert os.sched_getaffinity(0) == affinity
    assert run(spec) == 3
    assert state() == before
    with pytest.raises(ProgramMissingFailure):
        run(spec._replace(argv=("/nope",)))
    with pytest.raises(UsageFailure):
        run(spec._replace(workdir="/nope", debug_log=str(tmp_path / "log")))
    assert state() == before
    assert run(spec) == 3
    assert state() == before


@pytest.mark.parametrize("platform", ["notify", "ptrace"])
def test_run_in_a_thread(platform: str) -> None:
    """A signal of the host that another thread takes reaches the guest at once; afterwards it is Python's again."""
    statuses: list[int] = []
    spec = SandboxSpec(argv=("/bin/sleep", "30"), platform=platform)
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: statuses.append(run(spec)))
    thread.start()
    time.sleep(1)
    with pytest.raises(UsageFailure, match="another sandbox is running"):
        run(spec)
    since = time.monotonic()
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    thread.join(20)
    assert statuses == [128 + signal.SIGTERM]
    assert time.monotonic() - since < 5
    assert signal.getsignal(signal.SIGTERM) == before
    with pytest.raises(KeyboardInterrupt):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


EXHAUSTED = """
import os, resource
import sentry.build
from sentry.testing import new_kernel
from sentry_host import keep_descriptors
hard = 64
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
keep_descriptors()
kernel, mnt = new_kernel("auto")
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
from sentry.syscalls.subjects import subjects
ipc, net = kernel.root_ipc_namespace, kernel.network_stack
assert len(subjects()) > 30
assert None not in (ipc.segments, ipc.semaphores, ipc.queues, ipc.posix_queues, net.stack)
assert sentry.build._feature_set()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard - 4, hard)
try:
    os.dup(0)
except OSError:
    os.write(1, b"fine")
os._exit(0)
"""


def test_imports_when_guests_have_used_up_all_descriptors() -> None:
    """A few descriptors are kept for the modules that are imported on a first call."""
    ended = subprocess.run([sys.executable, "-c", EXHAUSTED], capture_output=True, check=False, timeout=60)
    assert ended.stdout == b"fine", ended.stderr.decode()
