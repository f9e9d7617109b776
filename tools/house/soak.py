"""The soak: one command in many sandboxes in a row, checking what each leaves behind.

A run that takes too long, ends otherwise or prints otherwise than the first, or leaves a process or a file of ours,
ends the soak. The soak adopts orphans, so a process that a run leaves is its child, however it was detached.
A memory file needs no check of its own: it ends with the processes that have it open.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from sentry_abi.prctl import PR_SET_CHILD_SUBREAPER
from tools.house.workspace import BIN


class Ended(NamedTuple):
    """What must be the same in every run."""

    status: int
    out: bytes


def descriptors() -> int:
    """Return how many descriptors we have open ourselves."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def once(command: list[str], options: list[str], limit_s: float, folder: Path) -> Ended | str:
    """Run the command in one sandbox; return how it ended, or what is wrong."""
    process = subprocess.Popen(
        [str(BIN / "sentry"), "do", *options, "--", *command],
        env=os.environ | {"TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd=folder,
    )
    with process:
        try:
            out, err = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return f"hangs: not over after {limit_s:.0f} s"
    if process.returncode >= 125 or process.returncode < 0:
        text = err.decode(errors="replace").strip().splitlines()
        return f"exit status {process.returncode}: {text[-1] if text else 'nothing said'}"
    return Ended(process.returncode, out)


def orphans() -> list[int]:
    """Reap dead children; return the living ones: a run has left them."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    own = os.getpid()
    return [int(pid) for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split()]


def leftovers(folder: Path) -> str:
    """Return what a run has left behind, after a short wait; '' for nothing."""
    deadline = time.monotonic() + 2
    while (left := orphans()) and time.monotonic() < deadline:
        time.sleep(0.005)
    if left:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return f"leaves processes {left}"
    if files := [path.name for path in folder.iterdir()]:
        return f"leaves files {files}"
    return ""


def run(command: list[str], options: list[str], runs: int, limit_s: float) -> int:
    """Run the soak; print a line per hundred runs; return 0 if nothing was wrong."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    first: Ended | None = None
    times: list[float] = []
    own = descriptors()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(1, runs + 1):
            begun = time.monotonic()
            ended = once(command, options, limit_s, folder)
            times.append((time.monotonic() - begun) * 1e3)
            wrong = ended if isinstance(ended, str) else ""
            first = first or (ended if isinstance(ended, Ended) else None)
            if not wrong and ended != first:
                wrong = f"ends otherwise than the first: {ended} instead of {first}"
            left = leftovers(folder)  # killed in any case
            wrong = wrong or left
            if wrong:
                print(f"run {number}: {wrong}")
                return 1
            if number % 100 == 0 or number == runs:
                recent = sorted(times[-100:])
                print(f"{number} runs, median {recent[len(recent) // 2]:.0f} ms, worst {recent[-1]:.0f} ms", flush=True)
    if descriptors() > own:
        print("the soak itself has lost descriptors")
        return 1
    return 0
