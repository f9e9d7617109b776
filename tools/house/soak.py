"""The soak: one command in many sandboxes in a row, with a look at what each leaves behind.

A run that takes too long, ends otherwise or prints otherwise than the first, or leaves a process, a memory file or a
file of ours, ends the soak. What belongs to a run is known by a word in its environment, which everything that it
starts inherits.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tools.house.workspace import BIN

MARK = "SENTRY_SOAK"


class Ended(NamedTuple):
    """What must be the same in every run."""

    status: int
    out: bytes


def marked(word: str) -> list[int]:
    """Return the processes whose environment holds a word, ourselves left out."""
    wanted, found = f"{MARK}={word}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def memory_files() -> int:
    """Return how many memfds of the sentry are open on this machine, and may be looked at."""
    count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                count += sum("memfd:sentry" in str(fd.readlink()) for fd in (entry / "fd").iterdir())
    return count


def descriptors() -> int:
    """Return how many descriptors we have open ourselves."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def once(command: list[str], options: list[str], word: str, limit_s: float, folder: Path) -> Ended | str:
    """Run the command in one sandbox; return how it ended, or what is wrong."""
    argv = [str(BIN / "sentry"), "do", *options, "--", *command]
    environment = os.environ | {MARK: word, "TMPDIR": str(folder)}
    process = subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, cwd=folder,
    )  # fmt: skip
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


def leftovers(word: str, before: int, folder: Path) -> str:
    """Return what a run has left behind, after a moment of grace; '' for nothing."""
    deadline = time.monotonic() + 2
    while (left := marked(word)) and time.monotonic() < deadline:
        time.sleep(0.01)
    if left:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return f"leaves processes {left}"
    if files := [path.name for path in folder.iterdir()]:
        return f"leaves files {files}"
    if (now := memory_files()) > before:
        return f"leaves {now - before} memory files"
    return ""


def run(command: list[str], options: list[str], runs: int, limit_s: float) -> int:
    """Run the soak; print a line per hundred runs; return 0 if nothing was wrong."""
    first: Ended | None = None
    times: list[float] = []
    own = descriptors()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(1, runs + 1):
            word = f"{os.getpid()}-{number}"
            before = memory_files()
            begun = time.monotonic()
            ended = once(command, options, word, limit_s, folder)
            times.append(time.monotonic() - begun)
            wrong = ended if isinstance(ended, str) else ""
            first = first or (ended if isinstance(ended, Ended) else None)
            if not wrong and ended != first:
                wrong = f"ends otherwise than the first: {ended} instead of {first}"
            wrong = leftovers(word, before, folder) or wrong
            if wrong:
                print(f"run {number}: {wrong}")
                return 1
            if number % 100 == 0 or number == runs:
                recent = sorted(times[-100:])
                print(
                    f"{number} runs, median {recent[len(recent) // 2] * 1e3:.0f} ms, worst {recent[-1] * 1e3:.0f} ms",
                    flush=True,
                )
    if descriptors() > own:
        print("the soak itself has lost descriptors")
        return 1
    return 0
